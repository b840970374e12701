"""Decide when hasty events of keys that wait have to be refused, because the spool would never become empty otherwise.

Place: sink.spool.replay → HERE; the maps tell all workers (sink.spool.keys), intake.delivery refuses.
Rules: an event that goes through the disk costs about three times the CPU of one that goes to the broker at once. Keys
that most events have can therefore come in faster than they are replayed: an outage of seconds would last until the
load falls. Shedding begins when the spool has grown for GROWING_S although brokers answer and the replay had SETTLE_S
to become fast. It ends when the replay has caught up: then live events wait in memory for what is left.
Not here: how fast the replay sends (sink.spool.pace), whether this is wanted (`spool.on_growth`).
"""

from __future__ import annotations

from collections import deque
from typing import Final

SETTLE_S: Final = 3.0  # In which the pace doubles six times.
GROWING_S: Final = 4.0  # In both halves: batches that are read, and disks that pause, make less than half of it uneven.
_SAMPLES: Final = 5  # One a second.


class Shedding:
    """``is_on``: hasty events of keys that wait are to be refused."""

    def __init__(self) -> None:
        self.begin_again()

    def begin_again(self) -> None:
        """The replay has caught up, or no broker answers, so that nothing is known of its speed."""
        self.is_on = False
        self._next_at = 0.0
        self._samples: deque[int] = deque(maxlen=_SAMPLES)

    def look(self, now: float, waiting: int) -> None:
        """Note how many events wait at ``now`` (loop time), while the replay has more of them than it could send."""
        if not self._next_at:
            self._next_at = now + SETTLE_S
        if now < self._next_at:
            return
        self._next_at = now + GROWING_S / (_SAMPLES - 1)
        self._samples.append(waiting)
        if len(self._samples) == _SAMPLES:
            first, middle, last = self._samples[0], self._samples[_SAMPLES // 2], self._samples[-1]
            self.is_on = self.is_on or first < middle < last
