"""The shares of a stream's events that are of certain kinds, and the signals they give.

Place: plausibility.model → HERE → plausibility.ratio.
Rules: pure. A kind that has not come before has a usual share of nothing, over all the time that its stream is known.
Not here: when a signal becomes an alarm (plausibility.alarms), when shares are judged (plausibility.model).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from msgspec import Struct

from server.plausibility.ratio import KeptRatio, Ratio

INVALID: Final = ("invalid", "")

Numbers = Mapping[tuple[str, str], float]
KeptShares = list[tuple[str, str, KeptRatio]]


class Signal(Struct, frozen=True):
    """Something unusual at one minute. Of ``silent``, ``drop`` and ``rise`` the numbers are events per hour, of
    ``leak`` per day, and of other kinds shares of 1 (docs/PLAUSIBILITY.md). ``of`` is what it concerns within the
    stream, such as the type of invalid events; often nothing."""

    kind: str
    expected: float
    seen: float
    of: str = ""


class Shares:
    """Shares by kind and what they concern within the stream."""

    __slots__ = ("_ratios",)

    def __init__(self) -> None:
        self._ratios: dict[tuple[str, str], Ratio] = {}

    def add(self, minute: int, numbers: Numbers, whole: float, born: int, wholes: Iterable[float]) -> None:
        """Take the numbers of a minute, each some of ``whole``. ``born`` is the first minute of the stream; ``wholes``
        are those of the last minutes, NaN where unknown, for kinds that come for the first time."""
        ratios = self._ratios
        for key, part in numbers.items():
            if part and key not in ratios:
                known = [0.0 if count != count else count for count in wholes]
                ratios[key] = Ratio(minute - 1, (minute - born) // 60, known)
        for key, ratio in ratios.items():
            ratio.add(minute, numbers.get(key, 0.0), whole)

    def move(self, minute: int) -> None:
        """Go on behind this minute: the clock was set."""
        for ratio in self._ratios.values():
            ratio.move(minute)

    def unusual(self) -> list[Signal]:
        """Return what is unusual. Invalid events of all types together are one signal where no type is one."""
        found = [
            Signal(kind, *numbers, of)
            for (kind, of), ratio in self._ratios.items()
            if (numbers := ratio.unusual()) is not None
        ]
        is_typed = any(signal.kind == INVALID[0] and signal.of for signal in found)
        return [signal for signal in found if not is_typed or (signal.kind, signal.of) != INVALID]

    def kept(self) -> KeptShares:
        """Return the memory of these shares."""
        return [(*key, ratio.kept()) for key, ratio in self._ratios.items()]

    @classmethod
    def of(cls, kept: KeptShares) -> Shares:
        """Return the shares with this memory. Raises ValueError if it is of another form."""
        shares = cls()
        shares._ratios = {(kind, of): Ratio.of(ratio) for kind, of, ratio in kept}
        return shares
