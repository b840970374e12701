"""Say how many events a second a worker may copy.

Place: console.copying.tap → HERE.
Rules: a request is copied whole or not at all, so a large one may take more than is left; the debt is paid off before
the next one is copied. An unused rest is not saved up.
Not here: which budget a request draws on (console.copying.tap).
"""

from __future__ import annotations

from typing import Final

REFILL_S: Final = 0.1
UNREAD_SHARE: Final = 0.1  # Of the usual number, while nothing reads the console.


class Budget:
    """``left`` is the number of events that may be copied until the next refill; below 0 it is a debt."""

    __slots__ = ("_per_refill", "left")

    def __init__(self, per_s: int) -> None:
        self._per_refill = max(1, round(per_s * REFILL_S))
        self.left = self._per_refill

    def refill(self, share: float = 1.0) -> None:
        """Allow a share of the usual number again, but one event at least."""
        more = max(1, round(self._per_refill * share))
        self.left = min(more, self.left + more)

    def take(self) -> bool:
        """Return whether a further request may be copied, and count one event of it."""
        if self.left <= 0:
            return False
        self.left -= 1
        return True
