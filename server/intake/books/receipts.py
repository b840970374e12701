"""Receipts: the outcome of each request, for clients that ask with its ID.

Place: intake.sending and intake.delivery note → HERE → server.shared.rings, which pages.receipt reads.
Rules: each request adds an entry to a list, and a tick writes the list to the ring. The ticks rest while no request is
noted and none has events without an outcome. Nothing is counted per event:
an event that the sink took counts as delivered unless it was noted otherwise, once all events as old as it have an
outcome. A guaranteed request is noted when it is answered, with all outcomes known.
Not here: HTTP (pages.receipt), why an event was spooled or dropped (intake.delivery).
"""

# hot path

from __future__ import annotations

import asyncio
import time
from array import array
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from server.shared.rings import CELLS, FAILED, IS_FINAL, MOST, NEVER, SPOOLED, Ring, counts_of
from server.timing.timers import Timer

if TYPE_CHECKING:
    from server.intake.event import Event

TICK_S: Final = 0.05
# Number of spooled events whose later delivery is added to their receipts; further ones stay "spooled".
MOST_SPOOLED: Final = 100_000

_NOTED: Final = 3  # Numbers of a note: an entry of the ring without its second cell, the time at which it is written.


class Receipts:
    """Writes this worker's ring.

    ``outstanding`` returns the sink's count, and ``settle_s`` is the time within which it settles every event;
    ``oldest``, for a sink without such a limit, returns the loop time before which it has settled all events.
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
        # Notes, the numbers of one behind those of the other. measured: to pack each takes three times as long.
        self._hasty: list[int] = []
        self._settled: list[int] = []
        # Last numbers of requests, or of slices of one, that are not settled, and the entry of the first.
        self._open: list[tuple[array[int], int]] = []
        self._ticks: deque[tuple[float, int]] = deque()
        self._last = 0
        self._spooled: dict[int, int] = {}
        self._timer: Timer | None = None
        self._is_resting = False

    def start(self) -> None:
        """Begin to write on a tick."""
        self._loop = asyncio.get_running_loop()
        self._timer = Timer(self._loop, TICK_S, self._tick)
        self._timer.start()

    def note_hasty(self, identity: bytes, accepted: int, invalid: int, last: int) -> None:
        """Note a hasty request whose accepted events are in the sink. ``last`` is the number of the last one; numbers
        rise."""
        if self._is_resting:
            self._wake()
        counts = accepted if accepted <= MOST and not invalid else counts_of(accepted, invalid)
        notes = self._hasty
        notes.append(hash(identity))
        notes.append(last)
        notes.append(counts)

    def note_settled(self, identity: bytes, accepted: int) -> None:
        """Note a guaranteed request of which all events are with the broker."""
        if self._is_resting:
            self._wake()
        notes = self._settled
        notes.append(hash(identity))
        notes.append(0)
        notes.append(min(accepted, MOST) | IS_FINAL)

    def note_odd(self, identity: bytes, taken: list[Event], last: int, *, is_final: bool, invalid: int = 0) -> None:
        """Note a request of which some accepted events are in the spool or failed afterwards, or that had invalid
        events too. ``is_final``: all others have been acked."""
        self.flush()
        failed = sum(event.verdict is not None for event in taken)
        spooled = [event.number for event in taken if event.is_spooled and event.verdict is None]
        counts = counts_of(len(taken), invalid) | min(len(spooled), MOST) << SPOOLED | min(failed, MOST) << FAILED
        entry = self._ring.written
        for number in spooled:
            self._remember(number, entry)
        if is_final:
            self._write([hash(identity), 0, counts | IS_FINAL])
        else:
            self._write([hash(identity), last, counts])
            self._expect(array("q", [last]), entry)

    def begin(self, identity: bytes) -> int:
        """A hasty request whose events are handed over in slices. Returns its entry, which is open until ``end``."""
        self.flush()
        entry = self._ring.written
        self._write([hash(identity), NEVER, 0])
        return entry

    def add(self, entry: int, counts: int, events: list[Event], last: int) -> None:
        """A slice of it, of which ``counts`` were taken; no later event has a number up to ``last``."""
        self.flush()
        self._ring.add(entry, counts)
        self._expect(array("q", [last]), entry)
        for event in events:
            if event.is_spooled and event.verdict is None:
                self.spooled(event.number)

    def end(self, entry: int, counts: int, last: int) -> None:
        """All slices are handed over, the last event has the number ``last``, and ``counts`` belong to it as well."""
        self._ring.add(entry, counts)
        self._ring.close(entry, last)

    def spooled(self, number: int) -> None:
        """Note that an event of an answered request went into the spool."""
        self.flush()
        if (entry := self._entry_of(number)) is not None:
            self._ring.add(entry, 1 << SPOOLED)
            self._remember(number, entry)

    def failed(self, number: int, *, was_spooled: bool) -> None:
        """Note that an event will not be delivered."""
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
        """Write the notes into the ring."""
        if self._hasty:
            entry = self._ring.written
            lasts = self._write(self._hasty)
            self._hasty.clear()
            self._expect(lasts, entry)
        if self._settled:
            self._write(self._settled)
            self._settled.clear()

    def _expect(self, lasts: array[int], entry: int) -> None:
        """Note that requests are not settled, by the numbers of their last events and the entry of the first."""
        self._open.append((lasts, entry))
        self._last = lasts[-1]
        if self._is_resting:
            self._wake()

    def _wake(self) -> None:  # cold: for the first request after a rest
        self._is_resting = False
        if self._timer is not None:
            self._timer.pace(TICK_S)

    def _write(self, notes: list[int]) -> array[int]:
        """Write notes to the ring, and return the numbers of their last events."""
        noted = array("q", notes)
        lasts = noted[1::_NOTED]
        cells = array("q", [int(time.time())]) * (CELLS * len(lasts))
        cells[0::CELLS], cells[2::CELLS], cells[3::CELLS] = noted[0::_NOTED], lasts, noted[2::_NOTED]
        self._ring.write(cells)
        return lasts

    def _remember(self, number: int, entry: int) -> None:
        if len(self._spooled) < MOST_SPOOLED:
            self._spooled[number] = entry

    def _entry_of(self, number: int) -> int | None:
        """The request of an event: the first whose last number is not smaller."""
        at = bisect_left(self._open, number, key=_last_of)
        if at == len(self._open):
            return None
        lasts, first = self._open[at]
        return first + bisect_left(lasts, number)

    def _tick(self) -> None:  # cold: 20 times a second at most
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
            del self._open[: bisect_right(self._open, settled, key=_last_of)]
        if not self._open and self._timer is not None:
            self._is_resting = True
            self._timer.pace(None)


def _last_of(noted: tuple[array[int], int]) -> int:
    return noted[0][-1]
