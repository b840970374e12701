"""Write the responses of a loop turn together at its end.

Place: http.protocol → HERE → socket. All connections of a worker share one.
Rule: a connection's responses leave in the order in which they were given. One that must leave at once takes those
before it along. A response waits for the rest of the turn at most.
Why: a response wakes its client, and waking a sleeping thread is most of the cost of a small write. When they are
written one after the other, the first wakes the client's process and the others find it awake.
# measured: bench quick, single hasty, whole request: 37.7 → 28.5 µs (64 connections of one client on another core)
Not here: which responses wait (http.protocol).
"""

# hot path

from __future__ import annotations

import asyncio


class Outgoing:
    """Holds the responses that wait for the end of the turn."""

    __slots__ = ("_call_soon", "_waiting")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._call_soon = loop.call_soon
        self._waiting: list[tuple[asyncio.Transport, bytes]] = []

    def later(self, transport: asyncio.Transport, response: bytes) -> None:
        """Write at the end of this turn."""
        self._waiting.append((transport, response))
        if len(self._waiting) == 1:
            self._call_soon(self.flush)

    def now(self, transport: asyncio.Transport, response: bytes) -> None:
        """Write at once, after the responses that wait."""
        self.flush()
        transport.write(response)

    def flush(self) -> None:
        """Write the responses that wait. Connections that have ended meanwhile are skipped."""
        if not self._waiting:
            return
        waiting, self._waiting = self._waiting, []
        for transport, response in waiting:
            if not transport.is_closing():
                transport.write(response)
