"""How a connection ends: refused, finished, too slow, drained or cut off; and the state that this is decided by.

Place: http.protocol.Connection is this and more; http.wheel calls ``on_deadline``, http.server ``drain`` and ``abort``.
Rules:
1. What ends a connection early is answered after every request before it; then half-close, and read on for a while:
   closing at once would reset the connection and destroy the answer on its way.
2. Whoever ends a connection gives it a deadline: nothing that a client does or leaves keeps it for ever.
3. A handler that never answers is answered for (``_give_up``).
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
    """A connection, as far as it ends. ``_is_queued`` is True from its end on: nothing more is served."""

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
        self._waiting: list[Request] = []  # Not a deque: 600 bytes for each idle connection.
        self._rest = NOTHING
        self._fault: Refusal | None = None
        self._is_queued = False
        self._transport: asyncio.Transport
        self._is_read_paused = False
        self._is_write_paused = False
        self._is_eof = False
        self._is_lingering = False
        self._is_lost = False
        self._unsent_bytes = 0  # While writing is paused, as last seen; counted among the worker's bytes in flight.
        self._discarded_bytes = 0

    def _advance(self) -> None:
        """Go on until something must be waited for (http.protocol)."""
        raise NotImplementedError

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
        request.is_overdue = True
        self._server.release(request)
        self._current = None
        self._drop_waiting()
        self._reader.end(None)
        self._reader.origin = request.headers.get(b"origin", b"")
        self._end(OVERDUE)

    def _keep_pace(self, received_bytes: int) -> None:
        """A part of a body has come. The client may lose ``body_stall_s`` on ``min_bytes_per_s``; a byte that comes
        makes up for its share of that, and no more: who drips is as late as who has stopped."""
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
        """The server drains: be gone by ``deadline`` (the wheel's clock) unless a request comes."""
        if self._is_idle():
            self.deadline = min(self.deadline, deadline)
            self._server.wheel.add(self)

    def is_owed(self) -> bool:
        """True while the client waits for an answer to a whole request, or has not taken all of one."""
        return self._current is not None or bool(self._waiting) or self._transport.get_write_buffer_size() > 0

    def is_waiting_for(self, request: Request) -> bool:
        """True as long as the client has not gone, nor been told that the answer is overdue."""
        return self._current is request

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
