"""Learn which share of a stream's events is of some kind, and say when the present share is far above it.

Place: plausibility.model (invalid events by type, askew ones), plausibility.watcher (duplicates and wrong sample rates
in samples) → HERE.
Rules: pure: the caller says which minute numbers are of. A share is learned hour by hour, as a mean of the first hours
and then as one that forgets over three days. Memory is bounded: 0.7 kB.
Not here: which shares there are (docs/PLAUSIBILITY.md), when a signal becomes an alarm (plausibility.alarms).
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from typing import Final

from msgspec import Struct

WINDOW: Final = 60
LEAST_PARTS: Final = 20.0  # Fewer events in an hour are no signal, however few the others are.
LEAST_SHARE: Final = 0.05
TIMES: Final = 5.0
_HOURS: Final = 72  # A share is forgotten over so many hours.


class KeptRatio(Struct, array_like=True):
    """Everything that a ratio remembers, as it is stored."""

    share: float
    hours: int
    minute: int
    parts: bytes
    wholes: bytes
    hour_part: float
    hour_whole: float


class Ratio:
    """One share. ``add`` takes the numbers of a minute, ``unusual`` judges the hour up to it."""

    __slots__ = ("_hour_part", "_hour_whole", "_hours", "_minute", "_parts", "_wholes", "share")

    def __init__(self, minute: int, hours: int = 0, wholes: Iterable[float] = ()) -> None:
        """``minute`` is the last one before the first to be added. In so many hours before it the share was 0, and
        ``wholes`` are the numbers of the last ones, by minute modulo WINDOW."""
        self.share = 0.0
        self._hours = min(hours, _HOURS)
        self._minute = minute
        self._parts = array("f", [0.0]) * WINDOW
        self._wholes = array("f", wholes) or array("f", [0.0]) * WINDOW
        self._hour_part = self._hour_whole = 0.0

    def add(self, minute: int, part: float, whole: float) -> None:
        """Take the numbers of a minute; ``part`` is some of ``whole``. A minute of before is left out."""
        if minute <= self._minute:
            return
        for each in range(max(self._minute + 1, minute - WINDOW), minute):
            self._parts[each % WINDOW] = self._wholes[each % WINDOW] = 0.0
        if minute // 60 != self._minute // 60:
            self._learn()
        self._minute = minute
        self._parts[minute % WINDOW], self._wholes[minute % WINDOW] = part, whole
        self._hour_part += part
        self._hour_whole += whole

    def move(self, minute: int) -> None:
        """Go on behind this minute: the clock was set."""
        self._minute = minute
        self._parts, self._wholes = array("f", [0.0]) * WINDOW, array("f", [0.0]) * WINDOW
        self._hour_part = self._hour_whole = 0.0

    def seen(self) -> float:
        """Return the share in the hour up to the last minute."""
        whole = sum(self._wholes)
        return sum(self._parts) / whole if whole else 0.0

    def unusual(self) -> tuple[float, float] | None:
        """Return the usual share and the present one, if that is far above it."""
        seen = self.seen()
        if sum(self._parts) >= LEAST_PARTS and seen > max(LEAST_SHARE, TIMES * self.share):
            return self.share, seen
        return None

    def kept(self) -> KeptRatio:
        """Return the memory of this ratio."""
        return KeptRatio(
            self.share, self._hours, self._minute, self._parts.tobytes(), self._wholes.tobytes(), self._hour_part,
            self._hour_whole,
        )  # fmt: skip

    @classmethod
    def of(cls, kept: KeptRatio) -> Ratio:
        """Return the ratio with this memory. Raises ValueError if it is of another form."""
        ratio = cls(kept.minute)
        ratio.share, ratio._hours = kept.share, kept.hours
        ratio._parts, ratio._wholes = array("f", kept.parts), array("f", kept.wholes)
        if len(ratio._parts) != WINDOW or len(ratio._wholes) != WINDOW:
            raise ValueError("the window of a ratio has another length")
        ratio._hour_part, ratio._hour_whole = kept.hour_part, kept.hour_whole
        return ratio

    def _learn(self) -> None:
        if self._hour_whole >= 1:
            self._hours = min(self._hours + 1, _HOURS)
            self.share += (self._hour_part / self._hour_whole - self.share) / self._hours
        self._hour_part = self._hour_whole = 0.0
