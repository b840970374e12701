"""Decide how soon a dead worker is replaced, and when the master gives up.

Place: master.fleet asks; the caller passes the time.
Rules: a death is quick when the worker had not served for ``STEADY_S``. After any other death (an operator, the
out-of-memory killer, one poisoned request an hour) the worker is replaced at once and the death does not count. Quick
deaths double the slot's delay from 0, and too many of them in a window are a crash loop.
Not here: killing and forking (master.fleet).
"""

from __future__ import annotations

from collections import deque

STEADY_S = 1.0  # Workers in a crash loop die while they boot or on their first requests; others serve for a second.
FIRST_S = 0.1  # The second delay. The first replacement comes at once.


class Backoff:
    """One slot's delays: 0, 0.1, 0.2, 0.4 … ``max_s``; a steady life sets them back to 0."""

    __slots__ = ("_max_s", "_next_s")

    def __init__(self, max_s: float) -> None:
        self._max_s = max_s
        self._next_s = 0.0

    def after_death(self, served_s: float) -> float:
        """Return the seconds to wait before the replacement of a worker that was READY for ``served_s``."""
        if served_s >= STEADY_S:
            self._next_s = 0.0
            return 0.0
        delay_s = self._next_s
        self._next_s = min(self._max_s, delay_s * 2 or FIRST_S)
        return delay_s


class Deaths:
    """Quick deaths of all slots in a sliding window."""

    __slots__ = ("_instants", "_limit", "_window_s")

    def __init__(self, limit: int, window_s: float) -> None:
        self._limit = limit
        self._window_s = window_s
        self._instants: deque[float] = deque(maxlen=limit)

    def is_loop(self, now: float, served_s: float) -> bool:
        """Count a death. Returns True when it is the ``limit``-th quick one within the window."""
        if served_s >= STEADY_S:
            return False
        self._instants.append(now)
        return len(self._instants) == self._limit and now - self._instants[0] <= self._window_s
