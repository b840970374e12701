"""How a connection ends (refused, finished, too slow, drained or cut off), and the state that decides it.

Place: http.protocol.Connection is this and more; http.wheel calls ``on_deadline``, http.server ``drain`` and ``abort``.
Rules:
1. A fault that ends a connection early is answered after every request before it. The connection is then half-closed
   and read for a while: closing it at once would reset it and destroy the answer on its way.
2. Code that ends a connection gives it a deadline, so that no client can keep it open for ever.
3. If a handler never answers, the connection answers in its place (``_give_up``).
Not here: requests in their order (http.protocol), when a deadline is noticed (http.wheel).
"""

# hot path

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from server.http.limits import LINGER_BYTES, LINGER_S
from server.http.problem import OVERDUE, SLOW_BODY, SLOW_HEAD, Refusal
from server.http.reader import BODY, HEAD, IDLE, RequestReader

if TYPE_CHECKING:
    from server.http.request import Request
    from server.http.server import HttpServer
    from server.http.wheel import Timed

NOTHING: Final = memoryview(b"")


class Closing(asyncio.Protocol):
    """The part of a connection that ends it. ``_is_queued`` is True from the end on: nothing more is served."""

    __slots__ = (
        "_current",
        "_deadlines",
        "_discarded_bytes",
        "_fault",
        "_heads",
        "_is_eof",
        "_is_lingering",
        "_is_lost",
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
    )

    def __init__(self, server: HttpServer) -> None:
        self._server = server
        self._heads = server.heads
        self._outgoing = server.outgoing
        self._deadlines = server.deadlines
        self._reader: RequestReader
        self.deadline = self._deadlines[HEAD]
        self.bucket: set[Timed] | None = None
        self._current: Request | None = None
        self._waiting: list[Request] = []  # A deque would cost each idle connection 600 bytes.
        self._rest = NOTHING
        self._fault: Refusal | None = None
        self._is_queued = False
        self._transport: asyncio.Transport
        self._is_read_paused = False
        self._is_write_paused = False
        self._is_eof = False
        self._is_lingering = False
        self._is_lost = False
        self._unsent_bytes = 0  # As last seen while writing is paused; counted in the worker's bytes in flight.
        self._discarded_bytes = 0

    def _advance(self) -> None:
        """Go on until something must be waited for (http.protocol)."""
        raise NotImplementedError

    # Ends.

    def _is_closing(self) -> bool:
        return self._is_lingering or self._is_lost or self._transport.is_closing()

    def _finish(self) -> None:
        """Close once everything written is sent; the client has ``write_stall_s`` to read it."""
        self._is_queued = True
        self._reader.end(None)
        self._drop_waiting()
        self._outgoing.flush()
        self.deadline = self._server.wheel.after(self._server.bounds.write_stall_s)
        self._transport.close()

    def _end(self, fault: Refusal) -> None:
        """Read no more requests; answer ``fault`` once the requests before it are answered."""
        self._reader.end(None)
        self._fault = fault
        self._rest = NOTHING
        self._is_queued = True
        self._advance()

    def _answer_fault(self, fault: Refusal) -> None:
        self._fault = None
        self._server.count(fault)
        self._server.unread[fault.status] += 1
        if self._server.watcher is not None:
            self._server.watcher.on_fault(fault, self._reader.refused)
        self._outgoing.now(self._transport, self._heads.last(fault, self._server.cors.of_fault(self._reader.origin)))
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
        """Drop the requests that wait. ``_current`` holds its bytes until its handler answers."""
        while self._waiting:
            self._server.release(self._waiting.pop(0))
        self._rest = NOTHING
        self._fault = None

    # Time.

    def on_deadline(self) -> None:
        """Act on a deadline that has passed: by the stage, send 408, answer in place of a handler, or close."""
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
        """Answer in place of a handler that is overdue: it may have lost the request and hold its bytes for ever."""
        self._server.on_overdue(request)
        request.is_overdue = True
        self._server.release(request)
        self._current = None
        self._drop_waiting()
        self._reader.end(None)
        self._reader.origin = request.headers.get(b"origin", b"")
        self._end(OVERDUE)

    def _keep_pace(self, received_bytes: int) -> None:
        """Move the deadline after a part of a body came. A client may fall ``body_stall_s`` behind
        ``min_bytes_per_s``. A byte makes up for its own share of that time and no more, so a client that sends single
        bytes is as late as one that has stopped."""
        full = self._deadlines[BODY]
        if not self._reader.is_new:
            full = min(full, self.deadline + received_bytes * self._server.bounds.s_per_byte)
        self.deadline = full

    def _on_write_deadline(self) -> None:
        unsent_bytes = self._transport.get_write_buffer_size()
        least_bytes = self._server.bounds.write_stall_bytes
        if 0 < unsent_bytes < self._unsent_bytes - least_bytes:  # Slow, but it reads.
            self._count_unsent(unsent_bytes)
            self.deadline = self._server.wheel.after(self._server.bounds.write_stall_s)
            return
        self._server.refused["write_slow"] += 1
        self._transport.abort()

    def _count_unsent(self, unsent_bytes: int) -> None:
        self._server.in_flight_bytes += unsent_bytes - self._unsent_bytes
        self._unsent_bytes = unsent_bytes

    def drain(self, deadline: float) -> None:
        """Close by ``deadline`` (the wheel's clock) unless a request comes: the server drains."""
        if self._is_idle():
            self.deadline = min(self.deadline, deadline)
            self._server.wheel.add(self)

    def is_owed(self) -> bool:
        """True while the client waits for the answer to a whole request, or has not yet read all of an answer."""
        return self._current is not None or bool(self._waiting) or self._transport.get_write_buffer_size() > 0

    def is_waiting_for(self, request: Request) -> bool:
        """True until the client disconnects or is told that the answer is overdue."""
        return self._current is request

    def abort(self) -> bool:
        """Close now. Returns whether that cuts something short."""
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
