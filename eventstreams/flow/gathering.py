"""When new events are handed to clients: at once if there is time, else gathered for a moment and sent together.

Place: sources' thread → HERE → hub.
Rules: a write costs the same for one event as for twenty. After events were sent, the next ones wait ``REST`` times as
long as sending took, at most ``MOST_REST_S``. A few clients therefore get every event at once; with many, the events of
some milliseconds share one write per client, and writing takes at most 1 / (1 + REST) of the loop's time until the
longest rest is reached. The thread that brings events waits while the loop has ``MOST_WAITING_BYTES`` of them to take.
Not here: what is done with the events (hub).
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Final

from eventstreams.record import Record

REST: Final = 3.0
MOST_REST_S: Final = 0.05
LEAST_REST_S: Final = 0.001  # A timer is not finer.
MOST_WAITING_BYTES: Final = 16 << 20


class Inbox:
    """Hands records from a thread to the loop: all that have come since the last turn in one call of ``take``."""

    def __init__(self, loop: asyncio.AbstractEventLoop, take: Callable[[list[Record]], None]) -> None:
        self._loop = loop
        self._take = take
        self._batches: deque[list[Record]] = deque()
        self._waiting_bytes = 0
        self._is_called = False
        self._is_open = True
        self._changed = threading.Condition()

    def put(self, records: list[Record]) -> None:
        """Hand records over. Waits while the loop is behind. Any thread but the loop's."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting_bytes < MOST_WAITING_BYTES or not self._is_open)
            if not self._is_open:
                return
            self._batches.append(records)
            self._waiting_bytes += sum(record.weight_bytes for record in records)
            is_called, self._is_called = self._is_called, True
        if not is_called and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._on_call)

    def close(self) -> None:
        """Take nothing more, and let a waiting thread go on."""
        with self._changed:
            self._is_open = False
            self._changed.notify_all()

    def _on_call(self) -> None:
        with self._changed:
            batches, self._batches = self._batches, deque()
            self._waiting_bytes = 0
            self._is_called = False
            self._changed.notify_all()
        if self._is_open:
            self._take([record for batch in batches for record in batch])


class Pace:
    """Calls ``send`` when events wait to be sent: at once, or at the end of the rest after the last time."""

    def __init__(self, loop: asyncio.AbstractEventLoop, send: Callable[[], None]) -> None:
        self._loop = loop
        self._send = send
        self._is_resting = False
        self._is_wanted = False

    def want(self) -> None:
        """Events wait to be sent."""
        if self._is_resting:
            self._is_wanted = True
        else:
            self._go()

    def _go(self) -> None:
        self._is_resting, self._is_wanted = True, False
        began_s = time.perf_counter()
        try:
            self._send()
        finally:
            # uvloop writes to the sockets at the end of this turn, so the time is taken in the next one.
            self._loop.call_soon(self._on_written, began_s)

    def _on_written(self, began_s: float) -> None:
        rest_s = min(MOST_REST_S, REST * (time.perf_counter() - began_s))
        if rest_s < LEAST_REST_S:
            self._on_rested()
        else:
            self._loop.call_later(rest_s, self._on_rested)

    def _on_rested(self) -> None:
        self._is_resting = False
        if self._is_wanted:
            self._go()
