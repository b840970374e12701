"""Learn the usual counts of one stream from its own, and give signals where the present ones are not.

Place: plausibility.watcher, and the bench ``alarms`` → HERE.
Rules: nothing here does I/O or asks a clock: the caller says which minute of Unix time a count is of. Minutes that were
not seen are unknown and never taken for zero. Weeks are of UTC; an hour is compared with the hours around it as well,
so that summer time and jobs that start a little later are no signal. Memory is bounded: 3.5 kB for a stream.
Not here: when a signal becomes an alarm (plausibility.alarms), where counts come from (plausibility.watcher).
"""

from __future__ import annotations

import math
from array import array
from statistics import median
from typing import Final

import msgspec
from msgspec import Struct

WEEK_H: Final = 168
HOURS: Final = 4 * WEEK_H
WINDOW: Final = 60
WEEK: Final = 60 * WEEK_H
LEARN_SILENCE: Final = WEEK  # Minutes until the longest quiet gap of a week is known.
LEARN_VOLUME: Final = 2 * WEEK

LEAST_EVENTS: Final = 20.0  # Below this many expected events per hour, volumes say nothing.
DROP: Final = math.log(0.7)
RISE: Final = math.log(2.0)
LEAK: Final = math.log(0.8)
Z: Final = 6.0
Z_DAY: Final = 4.0
LEAST_SHARE: Final = 0.05
LEAST_GAP: Final = 30  # Minutes without an event, where little is expected.
LEAST_QUIET: Final = 3  # The same where much is.
LEAST_MISSED: Final = 20.0  # Expected events that did not come.

_NAN: Final = math.nan
_NONE: Final = -1.0


class Signal(Struct, frozen=True):
    """Something unusual at one minute. ``kind`` is ``silent``, ``drop``, ``rise``, ``leak`` or ``invalid``; the numbers
    are events per hour, for ``leak`` per day, and for ``invalid`` shares of 1."""

    kind: str
    expected: float
    seen: float


class Kept(Struct, array_like=True):
    """Everything that a model remembers, as it is stored."""

    hours: bytes
    minutes: bytes
    invalid: bytes
    numbers: list[float]
    gaps: list[float]
    missed: list[float]


class StreamModel:
    """One stream. ``add`` takes its counts minute by minute, ``signals`` judges the last one."""

    __slots__ = (
        "_bounds", "_bounds_hour", "born", "day_scatter", "gaps", "hour_invalid", "hour_known", "hour_sum", "hours",
        "invalid", "leak", "level", "minute", "minutes", "missed", "missing", "quiet_since", "scatter", "share",
    )  # fmt: skip

    def __init__(self, born: int) -> None:
        """``born`` is the first minute of the stream."""
        self.hours = array("f", [_NAN]) * HOURS
        self.minutes = array("f", [_NAN]) * WINDOW
        self.invalid = array("f", [0.0]) * WINDOW
        self.born = born
        self.minute = born - 1
        self.hour_sum = self.hour_known = self.hour_invalid = 0.0
        self.level = 0.0  # Logarithm of the present level against the same hours of the weeks before.
        self.scatter = 0.15
        self.day_scatter = 0.05
        self.share = 0.0
        self.quiet_since = born
        self.missing = 0.0
        self.gaps = [0.0] * 4
        self.missed = [0.0] * 4
        self.leak: tuple[float, float] | None = None
        self._bounds: tuple[float, float, float, float] | None = None
        self._bounds_hour = -1

    @property
    def is_learned(self) -> bool:
        """Whether volumes are judged."""
        return self.minute - self.born >= LEARN_VOLUME

    def add(self, minute: int, count: float, invalid: float = 0.0) -> None:
        """Take the counts of a minute. One that is not after the last one is left out: a clock was set back."""
        if minute <= self.minute:
            return
        if minute > self.minute + 1:
            self._skip(minute)
        if minute // 60 != self.minute // 60 and self.minute >= self.born:
            self._close_hour(self.minute // 60)
        if minute // WEEK != self.minute // WEEK:
            at = minute // WEEK % 4
            self.gaps[at] = self.missed[at] = 0.0
        self.minute = minute
        at = minute % WINDOW
        self.minutes[at], self.invalid[at] = count, invalid
        self.hour_sum += count
        self.hour_invalid += invalid
        self.hour_known += 1
        if count > 0:
            self._end_quiet(minute)
        else:
            bounds = self._of_hour(minute // 60)
            if bounds is not None:
                self.missing += bounds[2] * math.exp(self.level) / 60

    def signals(self) -> list[Signal]:
        """Return what is unusual at the last minute."""
        found = []
        age = self.minute - self.born
        seen = self.seen()
        if age >= LEARN_SILENCE and (silent := self._silent(seen or 0.0)) is not None:
            found.append(silent)
        if seen is None:
            return found
        if age >= LEARN_VOLUME and (volume := self._volume(seen)) is not None:
            found.append(volume)
        if self.leak is not None:
            found.append(Signal("leak", *self.leak))
        wrong = sum(self.invalid)
        share = wrong / (wrong + seen) if wrong else 0.0
        if wrong >= LEAST_EVENTS and share > max(LEAST_SHARE, 5 * self.share) and age >= LEARN_SILENCE:
            found.append(Signal("invalid", self.share, share))
        return found

    def seen(self) -> float | None:
        """Return how many events came in the hour up to the last minute, or None while too little of it is known."""
        known = [count for count in self.minutes if count == count]
        return sum(known) * WINDOW / len(known) if len(known) >= WINDOW * 3 // 4 else None

    def expected(self) -> float | None:
        """Return how many events are expected in the hour up to the last minute, or None while that is unknown."""
        bounds = self._window()
        return None if bounds is None else (bounds[0] + bounds[1]) / 2

    def kept(self) -> Kept:
        """Return the memory of this model."""
        leak = self.leak or (_NONE, _NONE)
        numbers: list[float] = [
            self.born, self.minute, self.hour_sum, self.hour_known, self.hour_invalid, self.level, self.scatter,
            self.day_scatter, self.share, self.quiet_since, self.missing, *leak,
        ]  # fmt: skip
        arrays = (self.hours.tobytes(), self.minutes.tobytes(), self.invalid.tobytes())
        return Kept(*arrays, [float(number) for number in numbers], self.gaps, self.missed)

    @classmethod
    def of(cls, kept: Kept) -> StreamModel:
        """Return the model with this memory. Raises ValueError if it is of another form."""
        born, minute, *floats = kept.numbers
        model = cls(int(born))
        model.minute = int(minute)
        (
            model.hour_sum, model.hour_known, model.hour_invalid, model.level, model.scatter,
            model.day_scatter, model.share, quiet_since, model.missing, expected, seen,
        ) = floats  # fmt: skip
        model.quiet_since = int(quiet_since)
        model.leak = (expected, seen) if expected != _NONE else None
        for name, length in (("hours", HOURS), ("minutes", WINDOW), ("invalid", WINDOW)):
            numbers = array("f", getattr(kept, name))
            if len(numbers) != length:
                raise ValueError(f"{len(numbers)} {name}")
            setattr(model, name, numbers)
        if len(kept.gaps) != 4 or len(kept.missed) != 4:
            raise ValueError("gaps")
        model.gaps, model.missed = kept.gaps, kept.missed
        return model

    def _skip(self, minute: int) -> None:
        """Note that the minutes before this one are unknown."""
        first = max(self.minute + 1, minute - WINDOW)
        for each in range(first, minute):
            self.minutes[each % WINDOW], self.invalid[each % WINDOW] = _NAN, 0.0
        hour, last = minute // 60, self.minute // 60
        for each in range(max(last + 1, hour - HOURS), hour):
            self.hours[each % HOURS] = _NAN
        self.quiet_since, self.missing = minute, 0.0

    def _end_quiet(self, minute: int) -> None:
        """An event has come: learn how long it was quiet, and how much that was."""
        at = minute // WEEK % 4
        gap = float(minute - self.quiet_since)
        if gap > self.gaps[at]:
            self.gaps[at] = gap
        if self.missing > self.missed[at]:
            self.missed[at] = self.missing
        self.quiet_since, self.missing = minute, 0.0

    def _close_hour(self, hour: int) -> None:
        known = self.hour_known
        count = self.hour_sum * 60 / known if known >= 45 else _NAN
        if count == count:
            self._learn(hour, count)
        self.hours[hour % HOURS] = count
        self._bounds_hour = -1
        self.hour_sum = self.hour_known = self.hour_invalid = 0.0
        if hour % 24 == 23:
            self._judge_day(hour)

    def _learn(self, hour: int, count: float) -> None:
        total = count + self.hour_invalid
        if total >= 1:
            self.share += (self.hour_invalid / total - self.share) / 72
        bounds, usual = self._of_hour(hour), self._usual(hour, hour)
        if bounds is None or usual is None or usual < LEAST_EVENTS:
            return
        away = _away(count, bounds[2] * math.exp(self.level), bounds[3] * math.exp(self.level))
        self.scatter += (min(abs(away), 0.5) * 1.25 - self.scatter) / WEEK_H
        now = max(-0.5, min(0.5, math.log((count + 1) / (usual + 1))))
        self.level += (now - self.level) / 48

    def _judge_day(self, hour: int) -> None:
        """Compare the day that has ended with the same weekday of up to three weeks before."""
        first = hour - 23
        days = [sum(self.hours[(first + at - WEEK_H * week) % HOURS] for at in range(24)) for week in range(4)]
        today, before = days[0], [day for day in days[1:] if day == day]
        if today != today or len(before) < 2:
            return
        usual = median(before)
        if usual < 10 * LEAST_EVENTS:
            self.leak = None
            return
        away = math.log((today + 1) / (usual + 1))
        is_leak = away < LEAK and away < -Z_DAY * self.day_scatter
        self.leak = (usual, today) if is_leak else None
        self.day_scatter += (min(abs(away), 0.1) * 1.25 - self.day_scatter) / 14

    def _silent(self, seen: float) -> Signal | None:
        quiet = self.minute - self.quiet_since
        if quiet < LEAST_QUIET:
            return None
        expected = self.expected() or 0.0
        if self.missing > max(LEAST_MISSED, 2 * max(self.missed)) and self.is_learned:
            return Signal("silent", expected, seen)
        gap = max(self.gaps)
        if gap and quiet > max(LEAST_GAP, 2 * gap):
            return Signal("silent", expected, seen)
        return None

    def _volume(self, seen: float) -> Signal | None:
        bounds = self._window()
        if bounds is None:
            return None
        low, high = bounds
        away = _away(seen, low, high)
        scatter = math.sqrt(self.scatter**2 + 1 / (low + 1))
        if low >= LEAST_EVENTS and away < DROP and away < -Z * scatter:
            return Signal("drop", low, seen)
        if max(high, seen / 5) >= LEAST_EVENTS and away > RISE and away > Z * scatter:
            return Signal("rise", high, seen)
        return None

    def _window(self) -> tuple[float, float] | None:
        """Return the least and the most that is usual in the hour up to the last minute."""
        bounds = self._of_hour(self.minute // 60)
        if bounds is None:
            return None
        part, level = (self.minute % 60 + 1) / 60, math.exp(self.level)
        before_low, before_high, low, high = bounds
        return ((1 - part) * before_low + part * low) * level, ((1 - part) * before_high + part * high) * level

    def _of_hour(self, hour: int) -> tuple[float, float, float, float] | None:
        """Return the least and the most usual in the hour before, and in this hour; None while they are unknown."""
        if self._bounds_hour != hour:
            usual = [self._usual(hour + shift, hour) for shift in (-2, -1, 0, 1)]
            known = [each for each in usual if each is not None]
            self._bounds_hour = hour
            self._bounds = None
            if len(known) == 4:
                self._bounds = (min(known[:3]), max(known[:3]), min(known[1:]), max(known[1:]))
        return self._bounds

    def _usual(self, hour: int, now: int) -> float | None:
        """Return the median of the same hour of the week over up to four weeks before, if there are two."""
        weeks = 4 if hour >= now else 3  # The oldest count has been replaced by the hour's own.
        counts = [self.hours[(hour - WEEK_H * week) % HOURS] for week in range(1, weeks + 1)]
        known = [count for count in counts if count == count]
        return median(known) if len(known) >= 2 else None


def _away(count: float, low: float, high: float) -> float:
    """Return the logarithm of the distance from an interval; 0 within it."""
    if count < low:
        return math.log((count + 1) / (low + 1))
    if count > high:
        return math.log((count + 1) / (high + 1))
    return 0.0


def encode(model: StreamModel) -> bytes:
    """Return the memory of a model as bytes."""
    return msgspec.msgpack.encode(model.kept())


def decode(text: bytes) -> StreamModel:
    """Return the model of these bytes. Raises ValueError, which includes msgspec.DecodeError."""
    return StreamModel.of(msgspec.msgpack.decode(text, type=Kept))
