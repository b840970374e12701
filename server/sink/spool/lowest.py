"""The lowest number in a queue of events, without looking at all of them.

Place: sink.spool.writer → HERE.
Rule: of the queued numbers only those are kept that are lower than all behind them, because no other one can ever be
the lowest. Each number is added and removed once, so a turn takes constant time on average.
Not here: the queue itself (sink.spool.writer).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable


class Lowest:
    """Follows a queue: ``add`` at its end, ``drop`` at its beginning."""

    def __init__(self, numbers: Iterable[int] = ()) -> None:
        self._added = self._dropped = 0
        self._candidates: deque[tuple[int, int]] = deque()  # (place in the order of adding, number)
        for number in numbers:
            self.add(number)

    def add(self, number: int) -> None:
        """Add a number at the end."""
        while self._candidates and self._candidates[-1][1] >= number:
            self._candidates.pop()
        self._candidates.append((self._added, number))
        self._added += 1

    def drop(self, count: int) -> None:
        """Remove so many numbers from the beginning."""
        self._dropped += count
        while self._candidates and self._candidates[0][0] < self._dropped:
            self._candidates.popleft()

    def number(self) -> int:
        """Return the lowest number; 0 if there is none."""
        return self._candidates[0][1] if self._candidates else 0
