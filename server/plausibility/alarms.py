"""Turn the signals of all streams into alarms that last, begin and end, and are few.

Place: plausibility.watcher, and the bench ``alarms`` → HERE.
Rules: an alarm is raised by signals in each of ``SUSTAIN`` minutes and ends after ``CALM`` minutes without one. When
many streams fall at once the fault is in front of them or in the intake: there is one alarm, of no stream, in place of
theirs. Nothing here does I/O or asks a clock.
Not here: what is unusual (plausibility.model), who is told (metrics, admin).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from msgspec import Struct

from server.plausibility.shares import Signal

Key = tuple[str, str, str]  # Stream, kind, and what it concerns.

SUSTAIN: Final = 3
CALM: Final = 15
MANY_SHARE: Final = 0.3
LEAST_MANY: Final = 3
FALLS: Final = ("silent", "drop")
ALL: Final = ""  # The stream of the alarm for many.


class Alarm(Struct):
    """One alarm. ``since`` is the minute of its first signal, ``last`` that of its last; ``is_grouped``: the alarm for
    many streams stands for it. ``of`` is what it concerns within the stream, often nothing; ``examples`` are
    identities of events that show it."""

    stream: str
    kind: str
    since: int
    last: int
    expected: float
    seen: float
    is_grouped: bool = False
    of: str = ""
    examples: list[str] = []


class Alarms:
    """The alarms of all streams. ``active`` has those that are raised; ``raised`` counts them, grouped ones apart."""

    def __init__(self, active: Iterable[Alarm] = ()) -> None:
        """``active`` are alarms that were raised before a restart."""
        self.active: dict[Key, Alarm] = {(one.stream, one.kind, one.of): one for one in active}
        self._signalled = dict(self.active)
        self.raised = 0

    def take(self, minute: int, signals: Mapping[str, Sequence[Signal]], watched: int) -> None:
        """Take the signals of a minute; ``watched`` is the number of streams whose volumes are known."""
        for stream, found in signals.items():
            for signal in found:
                self._signal(minute, stream, signal)
        falling = [one for one in self._signalled.values() if one.kind in FALLS and one.last == minute and one.stream]
        streams = {one.stream for one in falling}
        is_many = len(streams) >= max(LEAST_MANY, MANY_SHARE * watched)
        if is_many:
            self._signal(minute, ALL, Signal("many", 0.0, float(len(streams))))
        for one in falling:
            one.is_grouped = is_many
        for key, one in list(self._signalled.items()):
            if one.last > minute:  # The clock was set back.
                one.since, one.last = minute - (one.last - one.since), minute
            if minute - one.last >= (CALM if key in self.active else 1):
                del self._signalled[key]
                self.active.pop(key, None)
            elif key not in self.active and one.last - one.since >= SUSTAIN - 1:
                self.active[key] = one
                self.raised += not one.is_grouped

    def drop(self, streams: Sequence[str]) -> None:
        """Forget streams that are gone."""
        for key in [key for key in self._signalled if key[0] in set(streams)]:
            del self._signalled[key]
            self.active.pop(key, None)

    def shown(self) -> list[Alarm]:
        """Return the alarms that operators see, the oldest first."""
        return sorted((one for one in self.active.values() if not one.is_grouped), key=lambda one: one.since)

    def grouped(self) -> list[str]:
        """Return the streams for which the alarm for many stands."""
        return [one.stream for one in self._signalled.values() if one.is_grouped]

    def _signal(self, minute: int, stream: str, signal: Signal) -> None:
        key = (stream, signal.kind, signal.of)
        alarm = self._signalled.get(key)
        if alarm is None:
            self._signalled[key] = Alarm(
                stream, signal.kind, minute, minute, signal.expected, signal.seen, of=signal.of
            )  # fmt: skip
        else:
            alarm.last, alarm.expected, alarm.seen = minute, signal.expected, signal.seen
