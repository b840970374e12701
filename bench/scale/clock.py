"""A simulated clock, and what is to happen at which of its instants.

Place: bench.scale.fleet → HERE.
Rule: of two calls for the same instant the one that was asked for first comes first, so a run repeats exactly.
Not here: what happens (fleet).
"""

from __future__ import annotations

import heapq
from collections.abc import Callable


class Clock:
    """``now`` is in seconds since the start."""

    def __init__(self) -> None:
        self.now = 0.0
        self._calls: list[tuple[float, int, Callable[[], None]]] = []
        self._asked = 0

    def at(self, when: float, call: Callable[[], None]) -> None:
        """Call this at an instant."""
        self._asked += 1
        heapq.heappush(self._calls, (when, self._asked, call))

    def every(self, period_s: float, call: Callable[[], None], first: float) -> None:
        """Call this again and again."""

        def again() -> None:
            call()
            self.at(self.now + period_s, again)

        self.at(first, again)

    def run(self, until: Callable[[], bool], most_s: float) -> None:
        """Go on until this is so, or for so long."""
        while self._calls and self._calls[0][0] <= most_s and not until():
            self.now, _, call = heapq.heappop(self._calls)
            call()
