"""What becomes of requests: noted for whoever asks with their identity.

Place: intake.receive and intake.delivery note → HERE → server.rings; ``find`` is what GET /v1/receipts/{id} tells.
Rules: per request four integers go to a list, and the list to the ring on a tick. Nothing is counted per event: what
the sink has taken is delivered unless it was noted otherwise, once everything as old as it has an outcome. A guaranteed
request is noted when it is answered, with all outcomes known.
Not here: HTTP (worker), why an event was spooled or dropped (intake.delivery).
"""

# hot path

from __future__ import annotations

import asyncio
import time
from bisect import bisect_left
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from server.rings import FAILED, IS_FINAL, MOST, SPOOLED, Ring

if TYPE_CHECKING:
    from server.intake.event import Event

TICK_S: Final = 0.05
MOST_SPOOLED: Final = 100_000  # Events in the spool whose request is told of their delivery; the others stay "spooled".


class Receipts:
    """Writes this worker's ring. ``outstanding`` is the sink's count, ``settle_s`` within which it settles anything."""

    def __init__(self, ring: Ring, outstanding: Callable[[], int], settle_s: float) -> None:
        self._ring = ring
        self._outstanding = outstanding
        self._settle_s = settle_s
        self._new: list[int] = []
        self._open: deque[tuple[int, int]] = deque()  # (last number, entry) of requests that are not settled.
        self._written = ring.written  # With those of ``_new``.
        self._ticks: deque[tuple[float, int]] = deque()
        self._last = 0
        self._spooled: dict[int, int] = {}
        self._second = int(time.time())

    def start(self) -> None:
        """Begin to write on a tick."""
        self._loop = asyncio.get_running_loop()
        self._tick()

    def note_hasty(self, identity: str, accepted: int, last: int) -> None:
        """A request was answered; the outcomes of its events follow. ``last`` is the number of its last event."""
        self._new += (hash(identity), self._second, last, min(MOST, accepted))
        self._open.append((last, self._written))
        self._written += 1
        self._last = last

    def note_guaranteed(self, identity: str, accepted: int) -> None:
        """A request was answered, and every event of it has been acked."""
        self._new += (hash(identity), self._second, 0, min(MOST, accepted) | IS_FINAL)
        self._written += 1

    def note_odd(self, identity: str, taken: list[Event], last: int, *, is_final: bool) -> None:
        """A request of whose accepted events some are in the spool, or failed afterwards. ``is_final``: all others have
        been acked."""
        failed = sum(event.verdict is not None for event in taken)
        spooled = [event.number for event in taken if event.is_spooled]
        counts = min(len(taken), MOST) | min(len(spooled), MOST) << SPOOLED | min(failed, MOST) << FAILED
        for number in spooled:
            self._remember(number, self._written)
        self._new += (hash(identity), self._second, last, counts | (IS_FINAL if is_final else 0))
        if not is_final:
            self._open.append((last, self._written))
            self._last = last
        self._written += 1

    def spooled(self, number: int) -> None:
        """An event of an answered request went into the spool."""
        self.flush()
        if (entry := self._entry_of(number)) is not None:
            self._ring.add(entry, 1 << SPOOLED)
            self._remember(number, entry)

    def failed(self, number: int, *, was_spooled: bool) -> None:
        """One will not be delivered."""
        self.flush()
        entry = self._spooled.pop(number, None) if was_spooled else self._entry_of(number)
        if entry is not None:
            self._ring.add(entry, (1 << FAILED) - ((1 << SPOOLED) if was_spooled else 0))

    def left_spool(self, number: int, *, is_delivered: bool) -> None:
        """The replay is done with one."""
        self.flush()
        entry = self._spooled.pop(number, None)
        if entry is not None:
            self._ring.add(entry, (0 if is_delivered else 1 << FAILED) - (1 << SPOOLED))

    def flush(self) -> None:
        """Give the ring what was noted."""
        if self._new:
            new, self._new = self._new, []
            self._ring.write(new)

    def _remember(self, number: int, entry: int) -> None:
        if len(self._spooled) < MOST_SPOOLED:
            self._spooled[number] = entry

    def _entry_of(self, number: int) -> int | None:
        """The request of an event: the first whose last number is not smaller."""
        at = bisect_left(self._open, (number, -1))
        return self._open[at][1] if at < len(self._open) else None

    def _tick(self) -> None:  # cold: twenty times a second
        now = self._loop.time()
        self._second = int(time.time())
        self.flush()
        if self._outstanding() == 0:
            settled = self._last
            self._ticks.clear()
        else:
            settled = 0
            self._ticks.append((now + self._settle_s, self._last))
            while self._ticks and self._ticks[0][0] <= now:
                settled = self._ticks.popleft()[1]
        if settled:
            self._ring.settle(settled)
            while self._open and self._open[0][0] <= settled:
                self._open.popleft()
        self._loop.call_later(TICK_S, self._tick)
