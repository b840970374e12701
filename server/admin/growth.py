"""The growth of counts between two looks at them.

Place: admin.view → HERE, for admin.status.
Rule: nothing is measured by itself: a rate is of the time between the looks of readers.
Not here: rates over any time, which Prometheus works out of the counters.
"""

from __future__ import annotations

from typing import Final

RATE_S: Final = 5.0


class Rates:
    """Growth per second of some counts, over at least ``RATE_S`` where there was a look before that."""

    def __init__(self) -> None:
        self._before: tuple[float, dict[str, int]] | None = None
        self._newest: tuple[float, dict[str, int]] | None = None

    def of(self, now_s: float, counts: dict[str, int]) -> dict[str, float]:
        """Return the rates up to now; none at the first look."""
        if self._newest is None or now_s - self._newest[0] >= RATE_S:
            self._before, self._newest = self._newest, (now_s, counts)
        since_s, old = self._before or self._newest
        if now_s <= since_s:
            return {}
        return {name: (count - old.get(name, 0)) / (now_s - since_s) for name, count in counts.items()}
