"""Limit how fast the replay may send: slowly at first, then as fast as it takes to catch up.

Place: sink.spool.replay → HERE.
Rules: the rate begins at a quarter of the usual load of this host after every outage, at least at START_PER_S, and
doubles every DOUBLE_S, up to a limit. With it the brokers get LOAD times the usual load, live events included. The
limit is at least twice the rate at which events still come into the spool, because the spool would otherwise never
become empty. It is at least MIN_PER_S, and never above ``max_per_s``. Brokers that hung take the events in their queues
at once when they go on, and so many fewer are replayed in the first seconds.
Not here: which events are sent (sink.spool.replay).
"""

from __future__ import annotations

from typing import Final

START_PER_S: Final = 200.0
MIN_PER_S: Final = 200.0
UNKNOWN_PER_S: Final = 1000.0  # The usual load that is assumed until one was measured while nothing waited.
DOUBLE_S: Final = 0.5
LOAD: Final = 1.8  # The producers' queues are sent to the brokers at the same time, which makes it about 2.
# Events that could have been sent and were not are made up for, up to the rate times this. With a slow disk a round of
# reading, sending, acks and deleting takes half a second; one of 0.2 s at most left 3,000 events a second unreachable.
BURST_S: Final = 1.0
RETURN_S: Final = 3.0  # In so many seconds after an outage, acks beyond the usual load are for events that were queued.
_DECAY: Final = 0.9  # The highest usual rate counts for so much of itself a minute later.
_YEAR_S: Final = 365 * 86400.0


class ReplayPace:
    """``per_s`` is the rate now."""

    def __init__(self, max_per_s: float) -> None:
        self._max_per_s = max_per_s
        self._acked = _Rate()
        self._put = _Rate()
        self._usual_per_s = 0.0
        self._measured_at = self._doubled_at = self._drawn_at = 0.0
        self._tokens = 0.0
        self._away_at = -RETURN_S
        self._waiting = 0
        self.per_s = self._start_per_s()

    def look(self, now: float, acked: int, put: int, waiting: int) -> None:
        """Measure the load and raise the rate. ``acked`` and ``put`` are totals of this host: the events of live
        requests that brokers have acked, and the events that were put into the spool. ``waiting`` is the number of
        events in the spool now."""
        is_usual = not waiting and not self._waiting
        self._waiting = waiting
        if now - self._measured_at >= 1.0:
            passed_s, self._measured_at = min(now - self._measured_at, 3600.0), now
            self._acked.look(now, acked)
            self._put.look(now, put)
            if self._usual_per_s and now < self._away_at + RETURN_S:
                self._tokens -= max(0.0, self._acked.per_s - self._usual_per_s) * passed_s
            if is_usual:
                self._usual_per_s = max(self._acked.steady_per_s, self._usual_per_s * _DECAY ** (passed_s / 60))
        if now - self._doubled_at >= DOUBLE_S:
            self._doubled_at = now
            self.per_s = min(self.per_s * 2, self._limit_per_s())

    def _limit_per_s(self) -> float:
        usual_per_s = self._usual_per_s or UNKNOWN_PER_S
        left_per_s = LOAD * usual_per_s - min(self._acked.per_s, usual_per_s)
        return min(self._max_per_s, max(MIN_PER_S, left_per_s, 2 * self._put.steady_per_s))

    def _start_per_s(self) -> float:
        return min(max(START_PER_S, self._usual_per_s / 4), self._max_per_s)

    def draw(self, now: float) -> int:
        """Return how many events may be sent now."""
        if self._drawn_at:
            self._tokens += (now - self._drawn_at) * self.per_s
        self._drawn_at = now
        self._tokens = min(self._tokens, max(1.0, BURST_S * self.per_s))
        return int(self._tokens)

    def spend(self, count: int) -> None:
        """Note that so many were sent."""
        self._tokens -= count

    def begin_again(self, now: float) -> None:
        """Return to the start rate: at ``now`` no broker answers, or no event waits."""
        self._away_at = self._drawn_at = now
        self._tokens = min(self._tokens, 0.0)
        self.per_s = self._start_per_s()

    def catch_up_s(self, *, is_paused: bool = False) -> float:
        """Return the estimated seconds until the spool is empty; a year if events come in as fast as they leave."""
        if not self._waiting:
            return 0.0
        gain_per_s = 0.0 if is_paused else self.per_s - self._put.per_s
        return min(self._waiting / gain_per_s, _YEAR_S) if gain_per_s > 0 else _YEAR_S


class _Rate:
    """The growth of a total per second, from one look to the next. ``steady_per_s`` is the lower of the last two,
    because events that waited for something are put, or acked, together in one second."""

    def __init__(self) -> None:
        self._last = 0
        self._at = 0.0
        self.per_s = self.steady_per_s = 0.0

    def look(self, now: float, total: int) -> None:
        before_per_s = self.per_s
        if self._at:
            self.per_s = max(0.0, (total - self._last) / (now - self._at))
        self.steady_per_s = min(self.per_s, before_per_s)
        self._last, self._at = total, now
