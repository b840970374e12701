"""What becomes of requests: noted for whoever asks with their identity.

Place: intake.sending and intake.delivery note → HERE → server.shared.rings, which pages.receipt reads.
Rules: per request a few integers go to lists, and the lists to the ring on a tick. Nothing is counted per event: what
the sink has taken is delivered unless it was noted otherwise, once everything as old as it has an outcome. A guaranteed
request is noted when it is answered, with all outcomes known.
Not here: HTTP (pages.receipt), why an event was spooled or dropped (intake.delivery).
"""

# hot path

from __future__ import annotations

import asyncio
import time
from array import array
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from server.shared.rings import CELL_BYTES, CELLS, FAILED, INVALID, IS_FINAL, MOST, SPOOLED, Ring, counts_of
from server.timing.timers import Timer

if TYPE_CHECKING:
    from server.intake.event import Event

TICK_S: Final = 0.05
MOST_SPOOLED: Final = 100_000  # Events in the spool whose request is told of their delivery; the others stay "spooled".


class Receipts:
    """Writes this worker's ring. ``outstanding`` is the sink's count, ``settle_s`` within which it settles anything;
    ``oldest``, where that has no bound, the loop time before which it has settled everything.

    A hasty request is noted by an append to ``hasty``: the hash of its identity, how many events (``counts_of``, where
    some are invalid), the number of its last one (they rise); a guaranteed one of which all is well by one to
    ``settled``, without a number. Both stay the same lists, so that their ``append`` can be bound once. measured: a
    method call instead, 10 µs → 10.7 a request.
    """

    def __init__(
        self,
        ring: Ring,
        outstanding: Callable[[], int],
        settle_s: float,
        oldest: Callable[[], float] | None = None,
    ) -> None:
        self._ring = ring
        self._outstanding = outstanding
        self._settle_s = settle_s
        self._oldest = oldest
        self.hasty: list[tuple[int, int, int]] = []
        self.settled: list[tuple[int, int]] = []
        self._open: deque[tuple[array[int], int]] = deque()  # Numbers of requests that are not settled, first entry.
        self._ticks: deque[tuple[float, int]] = deque()
        self._last = 0
        self._spooled: dict[int, int] = {}

    def start(self) -> None:
        """Begin to write on a tick."""
        self._loop = asyncio.get_running_loop()
        Timer(self._loop, TICK_S, self._tick).start()

    def note_odd(self, identity: bytes, taken: list[Event], last: int, *, is_final: bool, invalid: int = 0) -> None:
        """A request of whose accepted events some are in the spool, or failed afterwards, or that had invalid ones too.
        ``is_final``: all others have been acked."""
        self.flush()
        failed = sum(event.verdict is not None for event in taken)
        spooled = [event.number for event in taken if event.is_spooled and event.verdict is None]
        counts = counts_of(len(taken), invalid) | min(len(spooled), MOST) << SPOOLED | min(failed, MOST) << FAILED
        entry = self._ring.written
        for number in spooled:
            self._remember(number, entry)
        lasts = array("q", [0 if is_final else last])
        self._write([hash(identity)], [counts | IS_FINAL if is_final else counts], lasts)
        if not is_final:
            self._open.append((lasts, entry))
            self._last = last

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

    def left_spool(self, number: int) -> None:
        """Note that an event was delivered from the spool."""
        self.flush()
        entry = self._spooled.pop(number, None)
        if entry is not None:
            self._ring.add(entry, -(1 << SPOOLED))

    def flush(self) -> None:
        """Give the ring what was noted."""
        if self.hasty:
            hashes, counts, numbers = zip(*self.hasty, strict=True)
            self.hasty.clear()
            lasts = array("q", numbers)
            self._open.append((lasts, self._ring.written))
            self._last = lasts[-1]
            self._write(hashes, _bounded(counts), lasts)
        if self.settled:
            hashes, counts = zip(*self.settled, strict=True)
            self.settled.clear()
            none = array("q", bytes(CELL_BYTES * len(counts)))
            self._write(hashes, [count | IS_FINAL for count in _bounded(counts)], none)

    def _write(self, hashes: Sequence[int], counts: Sequence[int], lasts: array[int]) -> None:
        cells = array("q", bytes(CELLS * CELL_BYTES * len(hashes)))
        cells[0::CELLS] = array("q", hashes)
        cells[1::CELLS] = array("q", [int(time.time())]) * len(hashes)
        cells[2::CELLS] = lasts
        cells[3::CELLS] = array("q", counts)
        self._ring.write(cells)

    def _remember(self, number: int, entry: int) -> None:
        if len(self._spooled) < MOST_SPOOLED:
            self._spooled[number] = entry

    def _entry_of(self, number: int) -> int | None:
        """The request of an event: the first whose last number is not smaller."""
        for lasts, first in self._open:
            if number <= lasts[-1]:
                return first + bisect_left(lasts, number)
        return None

    def _tick(self) -> None:  # cold: twenty times a second
        now = self._loop.time()
        self.flush()
        settled = 0
        if self._outstanding() == 0:
            settled = self._last
            self._ticks.clear()
        else:
            if not self._ticks or self._ticks[-1][1] != self._last:
                self._ticks.append((now + self._settle_s, self._last))
            settled_s = now if self._oldest is None else min(now, self._oldest())
            while self._ticks and self._ticks[0][0] <= settled_s:
                settled = self._ticks.popleft()[1]
        if settled:
            self._ring.settle(settled)
            while self._open and self._open[0][0][-1] <= settled:
                self._open.popleft()


def _bounded(counts: Sequence[int]) -> Sequence[int]:
    """None of them more than a receipt can tell. Those that count invalid events too (``counts_of``) are bounded."""
    return counts if max(counts) <= MOST else [count if count >> INVALID else min(count, MOST) for count in counts]
