"""One connection: serve its requests one at a time and in order, between the reader and the socket.

Place: socket → HERE → http.reader → HERE → handler; handler → http.request → HERE → socket. Loop thread only.
Rules:
1. ``_current`` is the one request being served. Until it is answered, everything behind it waits: the requests of the
   slice that was parsed already (``_waiting``), and the rest as bytes (``_rest``) with reading paused.
2. ``_is_queued`` is True whenever something waits or nothing may be written. Then, and only then, ``_advance`` decides
   what comes next; otherwise a request goes straight from the reader to its handler.
3. No further request of a client that does not read is served, so that responses cannot pile up.
4. A handler's exceptions end here, in ``_serve``.
5. Requests that a client has sent ahead are parsed and served one turn of the loop at a time (``TURN_BYTES``), so that
   other clients are served in between.
6. Bytes of responses that a client is slow to read count as bytes in flight; small ones leave by http.outgoing.
Not here: parsing and judging (http.reader), how a connection ends and its deadlines (http.closing).
"""

# hot path

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, cast

from server.http.closing import Closing
from server.http.limits import (
    LARGE_BYTES,
    LATER_BYTES,
    REQUEST_BYTES,
    SLICE_BYTES,
    TURN_BYTES,
    TURN_REQUEST_BYTES,
    TURN_SLICE_BYTES,
)
from server.http.problem import INTERNAL
from server.http.reader import BODY, ENDED, HEAD, IDLE, RequestReader
from server.http.response import CLOSE, CONTINUE

if TYPE_CHECKING:
    from server.http.request import Request
    from server.http.server import HttpServer

ANSWER: Final = 4  # We have to answer. Like the stages of the reader, it is an index of ``HttpServer.deadlines``.


class Connection(Closing):
    """The asyncio protocol of one connection; the listener makes one for each."""

    __slots__ = ("_is_advancing", "_left_bytes", "_requests_left", "peer")

    def __init__(self, server: HttpServer) -> None:
        super().__init__(server)
        self._reader = RequestReader(self, server)
        self.peer = ""
        self._is_advancing = False
        self._left_bytes = 0  # What is left of TURN_BYTES while one read is parsed.
        self._requests_left = server.bounds.max_requests

    # Called by the transport.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count the connection in, and refuse it if there are too many."""
        self._transport = cast(asyncio.Transport, transport)
        if not self.peer:  # Otherwise http.around.proxy_header has set it.
            self.peer = peer_of(transport)
        refusal = self._server.on_open(self)
        if refusal is not None:
            self._end(refusal)

    def data_received(self, received: bytes) -> None:
        """Parse what the client sent, and serve the requests in it."""
        must_wait = self._current is not None or self._is_queued
        request = None if must_wait or len(received) > LARGE_BYTES else self._reader.look_up(received)
        if request is not None:
            self._serve(request)
        elif must_wait or len(received) > SLICE_BYTES:
            self._hold(received)
        else:
            self._left_bytes = TURN_BYTES
            self._feed(received)
            if self._waiting and self._current is None and not self._is_advancing:
                self._is_advancing = True
                self._server.call_soon(self._on_turn)

    def _feed(self, received: bytes | memoryview) -> None:
        reader = self._reader
        reader.feed(received)
        if reader.stage:
            self._on_partial(len(received))

    def eof_received(self) -> bool:
        """The client sends no more. Its whole requests are still answered, so that ``printf … | nc`` works."""
        self._is_eof = True
        self._outgoing.flush()
        if self._current is None and not self._is_queued:
            return False
        self._is_queued = True
        return not self._is_lingering

    def connection_lost(self, exc: Exception | None) -> None:
        """Release everything: the client has disconnected, or we have closed."""
        self._is_lost = self._is_queued = True
        if self._current is not None:
            self._server.abandoned += 1
            self._current = None
        self._reader.close()
        self._drop_waiting()
        self._count_unsent(0)
        self._server.on_lost(self, self.peer)

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

    # Called by the reader.

    def on_request(self, request: Request) -> None:
        """Serve a whole request, or let it wait its turn."""
        if self._current is None and not self._is_queued and self._left_bytes > 0:
            self._serve(request)
            self._left_bytes -= TURN_REQUEST_BYTES + len(request.body)  # The decompressed size, if it was compressed.
        else:
            self._waiting.append(request)
            self._is_queued = True
            self._server.hold(request, REQUEST_BYTES + len(request.body))

    def on_awaited(self, request: Request) -> None:
        """Send 100 to a client that waits for it before it sends the body of ``request``, now or in its turn."""
        if self._current is None and not self._is_queued:
            self._send_continue(request)
        else:
            self._is_queued = True  # ``_on_nothing_waiting`` sends it, or ``_serve`` if the body comes first.

    # Called by a handler.

    def answer(self, request: Request, status: int, phrase: str, body: bytes, content_type: bytes, more: bytes) -> None:
        """Send the one response to ``request``, then serve what waits behind it."""
        server = self._server
        if request.held_bytes:  # The same as ``release``.
            server.in_flight_bytes -= request.held_bytes
            if request.client:
                server.forget(request)
            request.held_bytes = 0
        if self._current is not request:
            server.on_stray_reply(is_late=self._is_lost or request.is_overdue)
            return
        stage = self._reader.stage
        tail = request.tail
        if server.is_draining and stage == IDLE and not self._waiting and not self._rest:
            tail = CLOSE
        (server.by_route.get(request.path) or server.elsewhere(request.path))[status] += 1
        if status >= 400 and server.watcher is not None:
            server.watcher.on_answer(request, status, phrase, body)
        self._current = None
        if not self._is_write_paused:
            self.deadline = self._deadlines[stage]
        heads = self._heads
        if not body and phrase is heads.last_phrase and status == heads.last_status:
            response = heads.last_start + more + tail
        else:
            response = heads.response(status, phrase, body, content_type, more, tail, request.method == b"HEAD")
        if tail is CLOSE or len(response) > LATER_BYTES:
            self._outgoing.now(self._transport, response)
        else:
            self._outgoing.later(self._transport, response)
        if tail is CLOSE:
            self._finish()
        elif self._is_queued:
            self._advance()

    def hand_over(self, request: Request, status: int) -> asyncio.Transport | None:  # cold: once for a stream
        """Give the socket to another protocol, which answers ``request`` with ``status`` and all that follows.

        It must be carried by the server in the place of this connection (``HttpServer.carry``, ``on_lost``), and must
        be given the transport by ``set_protocol``. Returns None when the client has gone.

        It must not be called before the handler has returned: the parser is then still at work.
        """
        if self._current is not request or self._is_closing():
            return None
        server = self._server
        server.release(request)
        (server.by_route.get(request.path) or server.elsewhere(request.path))[status] += 1
        self._current = None
        self._is_lost = self._is_queued = True
        self._drop_waiting()
        self._count_unsent(0)
        self._outgoing.flush()
        self._reader.close()
        server.drop(self)
        return self._transport

    # The next request.

    def _serve(self, request: Request) -> None:
        server = self._server
        self._current = request
        self._requests_left -= 1
        if not self._requests_left:
            server.refused["connection_requests"] += request.tail is not CLOSE
            request.tail = CLOSE
        server.requests += 1
        server.body_bytes += len(request.body)
        if request.is_awaited:
            self._send_continue(request)
        try:
            request.handler(request)
        except Exception:
            server.on_handler_error(request)
            if self.is_waiting_for(request):
                INTERNAL.handle(request)
        if self.is_waiting_for(request):  # mypyc takes ``_current`` for what was assigned to it above.
            self.deadline = self._deadlines[ANSWER]
            if not request.held_bytes:  # The same as ``hold``; calling it takes 1 % of a request.
                if request.client:
                    server.hold(request, REQUEST_BYTES + len(request.body))
                else:
                    request.held_bytes = held_bytes = REQUEST_BYTES + len(request.body)
                    server.in_flight_bytes += held_bytes

    def _on_partial(self, received_bytes: int) -> None:
        reader = self._reader
        if reader.fault is not None:
            self._end(reader.fault)
        elif self._current is not None or self._is_write_paused:
            return  # Answering and writing have deadlines of their own; after them the stage sets the next.
        elif reader.stage == BODY:
            self._keep_pace(received_bytes)
        elif reader.stage == HEAD and reader.is_new:
            self.deadline = self._deadlines[HEAD]

    def _hold(self, received: bytes) -> None:
        """Hold bytes that cannot be parsed yet. Reading is paused, so this happens once or twice at most."""
        if self._reader.stage == ENDED:
            self._discard(len(received))
            return
        self._rest = memoryview(bytes(self._rest) + received) if self._rest else memoryview(received)
        self._is_queued = True
        self._advance()
        if self._rest:
            self._pause_reading()

    def _advance(self) -> None:
        """Proceed until something must be waited for, in the order: requests, bytes, the fault, the socket."""
        if self._is_advancing:
            return
        self._is_advancing = True
        left_bytes = TURN_BYTES
        while self._current is None and not self._is_write_paused and not self._is_closing():
            if left_bytes <= 0 and (self._waiting or self._rest):
                self._server.call_soon(self._on_turn)
                return  # ``_is_advancing`` stays True: calls before that turn have nothing to do.
            if self._waiting:
                request = self._waiting.pop(0)
                self._serve(request)
                left_bytes -= TURN_REQUEST_BYTES + len(request.body)  # The decompressed size, if it was compressed.
            elif self._rest:
                left_bytes -= self._feed_slice()
            elif self._fault is not None:
                self._answer_fault(self._fault)
            elif self._is_eof:
                self._finish()
            else:
                self._on_nothing_waiting()
                break
        self._is_advancing = False

    def _on_turn(self) -> None:
        self._is_advancing = False
        self._advance()

    def _feed_slice(self) -> int:
        """Parse one slice. Returns how much of the turn it takes; its requests are counted when they are served."""
        size = self._reader.slice_bytes()
        piece, self._rest = self._rest[:size], self._rest[size:]
        self._feed(piece)
        return 0 if self._waiting else TURN_SLICE_BYTES + self._reader.framing_bytes

    def _on_nothing_waiting(self) -> None:
        self._is_queued = False
        reader = self._reader
        if reader.incoming is not None and reader.incoming.is_awaited:
            self._send_continue(reader.incoming)
        self._resume_reading()

    def _send_continue(self, request: Request) -> None:
        request.is_awaited = False
        self._outgoing.now(self._transport, CONTINUE)


def peer_of(transport: asyncio.BaseTransport) -> str:
    """Return the address of the connection's peer; "" on a Unix socket."""
    peer = transport.get_extra_info("peername")
    return peer[0] if isinstance(peer, tuple) else ""
