"""One connection: requests served one at a time and in order, between the reader and the socket.

Place: socket → HERE → http.reader → HERE → handler; handler → http.request → HERE → socket. Loop thread only.
Rules:
1. ``_current`` is the one request being served. While it is not answered, what is behind it waits: requests of the
   slice that was parsed already (``_waiting``), the rest as bytes (``_rest``) with reading paused.
2. ``_is_queued`` is True whenever something waits or nothing may be written. Then, and only then, ``_advance`` decides
   what comes next; otherwise a request goes straight from the reader to its handler.
3. A client that does not read gets no further request served: responses cannot pile up.
4. What ends a connection early is answered after every request before it; then half-close, and read on for a while.
5. A handler's exceptions end here, in ``_serve``. A handler that never answers is answered for (``_give_up``).
6. Bytes of responses that a client is slow to take count as bytes in flight; small ones leave by http.outgoing.
Not here: parsing and judging (http.reader), when a deadline is noticed (http.wheel).
"""

# hot path

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, cast

from server.http.limits import LATER_BYTES, LINGER_BYTES, LINGER_S, REQUEST_BYTES, SLICE_BYTES
from server.http.problem import INTERNAL, OVERDUE, SLOW_BODY, SLOW_HEAD, Refusal
from server.http.reader import BODY, ENDED, HEAD, IDLE, Reader
from server.http.response import CLOSE, CONTINUE, PROBLEM_TYPE

if TYPE_CHECKING:
    from server.http.request import Request
    from server.http.server import HttpServer
    from server.http.wheel import Timed

NOTHING: Final = memoryview(b"")
ANSWER: Final = 4  # We are to answer. Beside the stages of the reader, an index of ``HttpServer.deadlines``.


class Connection(asyncio.Protocol):
    """Made by the listener for each connection."""

    __slots__ = (
        "_current",
        "_deadlines",
        "_discarded_bytes",
        "_fault",
        "_heads",
        "_is_advancing",
        "_is_eof",
        "_is_lingering",
        "_is_lost",
        "_is_overdue",
        "_is_queued",
        "_is_read_paused",
        "_is_write_paused",
        "_outgoing",
        "_reader",
        "_rest",
        "_server",
        "_transport",
        "_unsent_bytes",
        "_waiting",
        "bucket",
        "deadline",
        "peer",
    )

    def __init__(self, server: HttpServer) -> None:
        self._server = server
        self._heads = server.heads
        self._outgoing = server.outgoing
        self._deadlines = server.deadlines
        self._reader = Reader(self, server)
        self.peer = ""
        self.deadline = self._deadlines[HEAD]
        self.bucket: set[Timed] | None = None
        self._current: Request | None = None
        self._waiting: list[Request] = []  # Not a deque: 600 bytes for each idle connection.
        self._rest = NOTHING
        self._fault: Refusal | None = None
        self._is_queued = False
        self._is_advancing = False
        self._transport: asyncio.Transport
        self._is_read_paused = False
        self._is_write_paused = False
        self._is_eof = False
        self._is_lingering = False
        self._is_lost = False
        self._is_overdue = False
        self._unsent_bytes = 0  # While writing is paused, as last seen; counted among the worker's bytes in flight.
        self._discarded_bytes = 0

    # The transport calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client is there."""
        self._transport = cast(asyncio.Transport, transport)
        peer = transport.get_extra_info("peername")
        self.peer = peer[0] if isinstance(peer, tuple) else ""
        if not self._server.on_open(self):
            self._end(self._server.bounds.many_connections)

    def data_received(self, received: bytes) -> None:
        """The client sent something."""
        must_wait = self._current is not None or self._is_queued or len(received) > SLICE_BYTES
        if must_wait:
            self._hold(received)
            return
        request = self._reader.recall(received)
        if request is None:
            self._feed(received)
        else:
            self._serve(request)

    def _feed(self, received: bytes | memoryview) -> None:
        reader = self._reader
        reader.feed(received)
        if reader.stage:
            self._on_partial()

    def eof_received(self) -> bool:
        """The client sends no more. What it sent whole is answered: ``printf … | nc`` is a client too."""
        self._is_eof = True
        self._outgoing.flush()
        if self._current is None and not self._is_queued:
            return False
        self._is_queued = True
        return not self._is_lingering

    def connection_lost(self, exc: Exception | None) -> None:
        """The client has gone, or we have closed."""
        self._is_lost = self._is_queued = True
        if self._current is not None:
            self._server.abandoned += 1
            self._current = None
        self._reader.close()
        self._drop_waiting()
        self._count_unsent(0)
        self._server.on_lost(self)

    def pause_writing(self) -> None:
        """The client reads more slowly than we answer."""
        self._is_write_paused = self._is_queued = True
        self._count_unsent(self._transport.get_write_buffer_size())
        self.deadline = self._server.wheel.after(self._server.bounds.write_stall_s)
        self._pause_reading()

    def resume_writing(self) -> None:
        """The client has caught up."""
        self._is_write_paused = False
        self._count_unsent(0)
        if self._transport.is_closing():
            self.deadline = self._server.wheel.after(self._server.bounds.write_stall_s)
        elif not self._is_lingering:
            self.deadline = self._deadlines[self._reader.stage if self._current is None else ANSWER]
        self._advance()

    def _count_unsent(self, unsent_bytes: int) -> None:
        self._server.in_flight_bytes += unsent_bytes - self._unsent_bytes
        self._unsent_bytes = unsent_bytes

    # The reader calls.

    def on_request(self, request: Request) -> None:
        """A whole request."""
        if self._current is None and not self._is_queued:
            self._serve(request)
        else:
            self._waiting.append(request)
            self._is_queued = True
            self._server.hold(request, REQUEST_BYTES + len(request.body))

    def on_awaited(self, request: Request) -> None:
        """The head of a request whose client waits for 100 before it sends the body."""
        if self._current is None and not self._is_queued:
            self._send_continue(request)
        else:
            self._is_queued = True  # In its turn: ``_on_nothing_waiting``, or ``_serve`` when the body is there first.

    # A handler's answer.

    def answer(self, request: Request, status: int, phrase: str, body: bytes, content_type: bytes, more: bytes) -> None:
        """Send the one response to ``request``, then turn to what waits behind it."""
        server = self._server
        if request.held_bytes:
            server.release(request)
        if self._current is not request:
            server.on_stray_reply(is_late=self._is_lost or self._is_overdue)
            return
        stage = self._reader.stage
        tail = request.tail
        if server.is_draining and stage == IDLE and not self._waiting and not self._rest:
            tail = CLOSE
        (server.by_route.get(request.path) or server.elsewhere(request.path))[status] += 1
        self._current = None
        if not self._is_write_paused:
            self.deadline = self._deadlines[stage]
        is_head = request.method == b"HEAD"
        response = self._heads.response(status, phrase, body, content_type, more, tail, is_head)
        leave = self._outgoing.now if tail is CLOSE or len(response) > LATER_BYTES else self._outgoing.later
        leave(self._transport, response)
        if tail is CLOSE:
            self._finish()
        elif self._is_queued:
            self._advance()

    # What comes next.

    def _serve(self, request: Request) -> None:
        server = self._server
        self._current = request
        server.requests += 1
        server.body_bytes += len(request.body)
        if request.is_awaited:
            self._send_continue(request)
        try:
            request.handler(request)
        except Exception:
            server.on_handler_error(request)
            if self._current is request:
                INTERNAL.handle(request)
        if self._current is request:
            self.deadline = self._deadlines[ANSWER]
            if not request.held_bytes:
                server.hold(request, REQUEST_BYTES + len(request.body))

    def _on_partial(self) -> None:
        reader = self._reader
        if reader.fault is not None:
            self._end(reader.fault)
        elif self._current is not None or self._is_write_paused:
            return  # That has a deadline of its own, and when it is over the stage sets the next.
        elif reader.stage == BODY or (reader.stage == HEAD and reader.is_new):
            self.deadline = self._deadlines[reader.stage]

    def _hold(self, received: bytes) -> None:
        """Keep bytes that are not parsed yet. Reading is paused, so this happens once or twice at most."""
        if self._reader.stage == ENDED:
            self._discard(len(received))
            return
        self._rest = memoryview(bytes(self._rest) + received) if self._rest else memoryview(received)
        self._is_queued = True
        self._advance()
        if self._rest:
            self._pause_reading()

    def _advance(self) -> None:
        """Go on until something must be waited for. Order: requests, bytes, the fault, the socket."""
        if self._is_advancing:
            return
        self._is_advancing = True
        while self._current is None and not self._is_write_paused and not self._is_closing():
            if self._waiting:
                self._serve(self._waiting.pop(0))
            elif self._rest:
                self._feed_slice()
            elif self._fault is not None:
                self._answer_fault(self._fault)
            elif self._is_eof:
                self._finish()
            else:
                self._on_nothing_waiting()
                break
        self._is_advancing = False

    def _feed_slice(self) -> None:
        size = self._reader.slice_bytes()
        piece, self._rest = self._rest[:size], self._rest[size:]
        self._feed(piece)

    def _on_nothing_waiting(self) -> None:
        self._is_queued = False
        reader = self._reader
        if reader.incoming is not None and reader.incoming.is_awaited:
            self._send_continue(reader.incoming)
        self._resume_reading()

    def _send_continue(self, request: Request) -> None:
        request.is_awaited = False
        self._outgoing.now(self._transport, CONTINUE)

    # Ends.

    def _is_closing(self) -> bool:
        return self._is_lingering or self._is_lost or self._transport.is_closing()

    def _finish(self) -> None:
        """Close once everything written is sent; the client has ``write_stall_s`` to take it."""
        self._is_queued = True
        self._reader.end(None)
        self._drop_waiting()
        self._outgoing.flush()
        self.deadline = self._server.wheel.after(self._server.bounds.write_stall_s)
        self._transport.close()

    def _end(self, fault: Refusal) -> None:
        """Read no more requests; answer ``fault`` when those before are answered."""
        self._reader.end(None)
        self._fault = fault
        self._rest = NOTHING
        self._is_queued = True
        self._advance()

    def _answer_fault(self, fault: Refusal) -> None:
        self._fault = None
        self._server.count(fault)
        self._server.unread[fault.status] += 1
        head = self._heads.response(fault.status, fault.phrase, fault.body, PROBLEM_TYPE, fault.more, CLOSE)
        self._outgoing.now(self._transport, head)
        if self._is_eof:
            self._finish()
            return
        self._is_lingering = True
        self._resume_reading()
        self._transport.write_eof()
        self.deadline = self._server.wheel.after(LINGER_S)
        self._server.wheel.add(self)

    def _discard(self, size_bytes: int) -> None:
        self._discarded_bytes += size_bytes
        if self._discarded_bytes <= LINGER_BYTES:
            return
        if self._is_lingering:
            self._server.refused["linger"] += 1
            self._transport.abort()
        else:
            self._pause_reading()

    def _drop_waiting(self) -> None:
        """``_current`` keeps its bytes until its handler lets go of it."""
        while self._waiting:
            self._server.release(self._waiting.pop(0))
        self._rest = NOTHING
        self._fault = None

    # Time.

    def on_deadline(self) -> None:
        """``deadline`` has passed."""
        stage = self._reader.stage
        if self._is_lingering:
            self._transport.abort()
        elif self._is_write_paused or self._transport.is_closing():
            self._on_write_deadline()
        elif self._current is not None:
            self._give_up(self._current)
        elif stage == HEAD:
            self._end(SLOW_HEAD)
        elif stage == BODY:
            self._end(SLOW_BODY)
        else:
            self._server.refused["idle"] += not self._server.is_draining
            self._finish()

    def _give_up(self, request: Request) -> None:
        """The answer is overdue. Whoever has the request may have lost it, and would hold its bytes for ever."""
        self._server.on_overdue(request)
        self._server.release(request)
        self._is_overdue = True
        self._current = None
        self._drop_waiting()
        self._end(OVERDUE)

    def _on_write_deadline(self) -> None:
        unsent_bytes = self._transport.get_write_buffer_size()
        if 0 < unsent_bytes < self._unsent_bytes:  # Slow, but it reads.
            self._count_unsent(unsent_bytes)
            self.deadline = self._server.wheel.after(self._server.bounds.write_stall_s)
            return
        self._server.refused["write_slow"] += 1
        self._transport.abort()

    def drain(self, deadline: float) -> None:
        """The server drains: be gone by ``deadline`` (the wheel's clock) unless a request comes."""
        if self._is_idle():
            self.deadline = min(self.deadline, deadline)
            self._server.wheel.add(self)

    def is_owed(self) -> bool:
        """True while the client waits for an answer to a whole request, or has not taken all of one."""
        return self._current is not None or self._transport.get_write_buffer_size() > 0

    def abort(self) -> bool:
        """Be gone now. Returns whether that cuts something short."""
        is_over = self._is_idle() or (self._transport.is_closing() and not self.is_owed())
        self._transport.abort()
        return not is_over

    def _is_idle(self) -> bool:
        return self._current is None and not self._is_queued and self._reader.stage == IDLE

    # Reading.

    def _pause_reading(self) -> None:
        if not self._is_read_paused and not self._is_closing():
            self._is_read_paused = True
            self._transport.pause_reading()

    def _resume_reading(self) -> None:
        if self._is_read_paused and not self._transport.is_closing():
            self._is_read_paused = False
            self._transport.resume_reading()
