"""Decide when hasty events of keys that wait have to be refused, because the spool would hardly ever become empty.

Place: sink.spool.replay → HERE; the maps tell all workers (sink.spool.keys), intake.delivery refuses.
Rules: an event that goes through the disk costs about three times the CPU of one that goes to the broker at once. Keys
that most events have can therefore come in as fast as they are replayed: an outage of seconds would last until the
load falls. The gain is the fall of the number that waits, from the lowest of one window to the lowest of the next.
Shedding begins when it was less than LEAST_GAIN of what was replayed in two windows, although brokers answer and the
replay had SETTLE_S to become fast. It ends when the replay has caught up: then live events wait in memory for what is
left.
Not here: how fast the replay sends (sink.spool.pace), whether this is wanted (`spool.when_behind`).
"""

from __future__ import annotations

from typing import Final

SETTLE_S: Final = 2.0  # In which the pace doubles four times.
WINDOW_S: Final = 2.0
# Of what is replayed. Under a load that is paced for the brokers' sake it is a third or more.
LEAST_GAIN: Final = 0.1


class Shedding:
    """``is_on``: hasty events of keys that wait are to be refused."""

    def __init__(self) -> None:
        self.begin_again()

    def begin_again(self) -> None:
        """The replay has caught up, or no broker answers, so that nothing is known of its speed."""
        self.is_on = False
        self._begins_at = 0.0  # The window.
        self._lowest: int | None = None
        self._before: int | None = None
        self._replayed = 0
        self._poor = 0  # Windows without enough gain, one after the other.

    def look(self, now: float, waiting: int, replayed: int) -> None:
        """Note how many events wait at ``now`` (loop time), while the replay has more of them than it could send.
        ``replayed`` is the number of those that were ever delivered."""
        if not self._begins_at:
            self._begins_at, self._replayed = now + SETTLE_S, replayed
        if now < self._begins_at:
            self._replayed = replayed
            return
        if now >= self._begins_at + WINDOW_S and self._lowest is not None:
            self._close(self._lowest, replayed)
            self._begins_at, self._replayed, self._lowest = now, replayed, None
        self._lowest = waiting if self._lowest is None else min(waiting, self._lowest)

    def _close(self, lowest: int, replayed: int) -> None:
        if self._before is not None:
            gain = self._before - lowest
            has_gained = gain >= LEAST_GAIN * (replayed - self._replayed)
            self._poor = 0 if has_gained else self._poor + 1
            self.is_on = self.is_on or self._poor >= 2
        self._before = lowest
