"""Learn the usual counts of one stream from its own, and give signals where the present ones are not.

Place: plausibility.watcher, and the bench ``alarms`` → HERE.
Rules: nothing here does I/O or asks a clock: the caller says which minute of Unix time a count is of. Minutes that were
not seen are unknown and never taken for zero. Weeks are of UTC; an hour is compared with the hours around it as well,
so that summer time and jobs that start a little later are no signal. Old events beyond the usual share were sent
again, and are left out. Memory is bounded: 3.5 kB for a stream, and 0.7 kB for each share.
Not here: when a signal becomes an alarm (plausibility.alarms), where counts come from (plausibility.watcher).
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Mapping
from statistics import median
from typing import Final

import msgspec
from msgspec import Struct

from server.plausibility.shares import INVALID, KeptShares, Numbers, Shares, Signal

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
LEAST_GAP: Final = 30  # Minutes without an event, where little is expected.
LEAST_SPAN_H: Final = 24  # From the first event to the last one, where little is expected.
LEAST_QUIET: Final = 3  # The same where much is.
LEAST_MISSED: Final = 20.0  # Expected events that did not come.

_NAN: Final = math.nan
_NONE: Final = -1.0
_NEVER: Final = -(1 << 40)
SAMPLED: Final = ("duplicate", "ahead", "sample_rate")  # What is counted among samples.


SHIFT: Final = 24 * 60  # Minutes until clients have heard of another sample rate.
FORGET_H: Final = 72
SLOW: Final = 0.05  # The usual share of old events changes by so much in three days, if it has been learned.

BACK: Final = 120  # Minutes. A clock that is set back further is followed, and does not come back to where it was soon.
FAR: Final = 2 * WEEK


class Kept(Struct, array_like=True):
    """Everything that a model remembers, as it is stored."""

    hours: bytes
    minutes: bytes
    numbers: list[float]
    gaps: list[float]
    missed: list[float]
    shares: KeptShares
    samples: KeptShares


class StreamModel:
    """One stream. ``add`` takes its counts minute by minute, ``signals`` judges the last one."""

    __slots__ = (
        "_bounds", "_bounds_hour", "born", "day_scatter", "factor", "gaps", "hour_known", "hour_old", "hour_raw",
        "hour_sum", "hours", "leak", "level", "minute", "minutes", "missed", "missing", "old_share", "quiet_since",
        "sample_rate", "samples", "scatter", "shares", "shifted",
    )  # fmt: skip

    def __init__(self, born: int) -> None:
        """``born`` is the first minute of the stream."""
        self.hours = array("f", [_NAN]) * HOURS
        self.minutes = array("f", [_NAN]) * WINDOW
        self.born = born
        self.minute = born - 1
        self.hour_sum = self.hour_known = self.hour_raw = self.hour_old = 0.0
        self.level = 0.0  # Logarithm of the present level against the same hours of the weeks before.
        self.scatter = 0.15
        self.day_scatter = 0.05
        self.old_share = 0.0
        self.shares, self.samples = Shares(), Shares()
        self.sample_rate = _NONE  # The share of events that clients send, as the settings say it.
        self.shifted, self.factor = _NEVER, 1.0  # When the sample rate changed, and how many times as much it is.
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

    def add(self, minute: int, events: float, shares: Numbers | None = None, old: float = 0.0) -> None:
        """Take the counts of a minute. One that is not after the last one is left out: a clock was set back a little.

        ``old`` of the events are of an hour before or earlier. ``shares`` are numbers of events by kind and what they
        concern; the invalid ones are none of ``events``.
        """
        if minute < self.minute - BACK or minute > self.minute + FAR:
            self._move(minute)
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
        count = events - max(0.0, old - self.old_share * events)
        self.minutes[minute % WINDOW] = count
        self.hour_sum += count
        self.hour_raw += events
        self.hour_old += old
        self.hour_known += 1
        numbers = shares or {}
        self.shares.add(minute, numbers, events + numbers.get(INVALID, 0.0), self.born, self.minutes)
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
        if self.leak is not None and not self._is_shifting(3):
            found.append(Signal("leak", *self.leak))
        if age >= LEARN_SILENCE:
            found += self.shares.unusual()
        return found

    def add_samples(self, minute: int, sampled: int, shares: Mapping[str, int]) -> None:
        """Take the numbers of a sample: some of ``sampled`` events, by kind."""
        numbers = {(kind, ""): float(shares.get(kind, 0)) for kind in SAMPLED}
        self.samples.add(minute, numbers, sampled, self.born, ())

    def unusual_samples(self) -> list[Signal]:
        """Return what is unusual in samples."""
        return self.samples.unusual() if self.minute - self.born >= LEARN_SILENCE else []

    def use_sample_rate(self, rate: float) -> None:
        """Note which share of events clients send by the settings. After a change, so many times the events are
        usual; clients follow it within a day."""
        before, self.sample_rate = self.sample_rate, rate
        if before in (_NONE, rate) or not before or not rate:
            return
        factor = rate / before
        self.hours = array("f", [count * factor for count in self.hours])
        self.gaps = [gap * max(1.0, 1 / factor) for gap in self.gaps]
        self._bounds_hour = -1
        earlier = self.factor if self._is_shifting() else 1.0
        self.shifted, self.factor = self.minute, earlier * factor

    def seen(self) -> float | None:
        """Return how many events came in the hour up to the last minute, or None while too little of it is known."""
        events, known = self.window()
        return events * WINDOW / known if known >= WINDOW * 3 // 4 else None

    def window(self) -> tuple[float, int]:
        """Return the events of those minutes of the last hour that are known, and the number of these minutes."""
        known = [count for count in self.minutes if count == count]
        return sum(known), len(known)

    def expected(self) -> float | None:
        """Return how many events are expected in the hour up to the last minute, or None while that is unknown."""
        bounds = self._window()
        return None if bounds is None else (bounds[0] + bounds[1]) / 2

    def kept(self) -> Kept:
        """Return the memory of this model."""
        leak = self.leak or (_NONE, _NONE)
        numbers: list[float] = [
            self.born, self.minute, self.quiet_since, self.shifted, self.hour_sum, self.hour_known, self.hour_raw,
            self.hour_old, self.level, self.scatter, self.day_scatter, self.old_share, self.missing, self.sample_rate,
            self.factor, *leak,
        ]  # fmt: skip
        arrays = (self.hours.tobytes(), self.minutes.tobytes())
        return Kept(
            *arrays,
            [float(number) for number in numbers],
            self.gaps,
            self.missed,
            self.shares.kept(),
            self.samples.kept(),
        )

    @classmethod
    def of(cls, kept: Kept) -> StreamModel:
        """Return the model with this memory. Raises ValueError if it is of another form."""
        model = cls(int(kept.numbers[0]))
        model.minute, model.quiet_since, model.shifted = (int(number) for number in kept.numbers[1:4])
        (
            model.hour_sum, model.hour_known, model.hour_raw, model.hour_old, model.level, model.scatter,
            model.day_scatter, model.old_share, model.missing, model.sample_rate, model.factor, expected, seen,
        ) = kept.numbers[4:]  # fmt: skip
        model.leak = (expected, seen) if expected != _NONE else None
        model.shares, model.samples = Shares.of(kept.shares), Shares.of(kept.samples)
        for name, length in (("hours", HOURS), ("minutes", WINDOW)):
            numbers = array("f", getattr(kept, name))
            if len(numbers) != length:
                raise ValueError(f"{len(numbers)} {name}")
            setattr(model, name, numbers)
        if len(kept.gaps) != 4 or len(kept.missed) != 4:
            raise ValueError("gaps")
        model.gaps, model.missed = kept.gaps, kept.missed
        return model

    def _skip(self, minute: int) -> None:
        """Note that the minutes before this one are unknown. A few, such as those of a restart, are left out of a
        silence; many end it."""
        first = max(self.minute + 1, minute - WINDOW)
        for each in range(first, minute):
            self.minutes[each % WINDOW] = _NAN
        hour, last = minute // 60, self.minute // 60
        for each in range(max(last + 1, hour - HOURS), hour):
            self.hours[each % HOURS] = _NAN
        unknown = minute - 1 - self.minute
        if unknown <= WINDOW:
            self.quiet_since += unknown
        else:
            self.quiet_since, self.missing = minute, 0.0

    def _move(self, minute: int) -> None:
        """Go on at another time: a clock was far off, or is now. Hours of the week stay what they are."""
        away = minute - 1 - self.minute
        self.minute, self.born, self.shifted = minute - 1, self.born + away, self.shifted + away
        self.quiet_since, self.missing, self._bounds_hour = minute, 0.0, -1
        self.hour_sum = self.hour_known = self.hour_raw = self.hour_old = 0.0
        self.minutes = array("f", [_NAN]) * WINDOW
        self.shares.move(minute - 1)
        self.samples.move(minute - 1)

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
        self.hour_sum = self.hour_known = self.hour_raw = self.hour_old = 0.0
        if hour % 24 == 23:
            self._judge_day(hour)

    def _learn(self, hour: int, count: float) -> None:
        if self.hour_raw >= 1:
            self._learn_old(self.hour_old / self.hour_raw - self.old_share, 60 * hour - self.born)
        if self._is_shifting():
            return
        bounds, usual = self._of_hour(hour), self._usual(hour, hour)
        if bounds is None or usual is None or usual < LEAST_EVENTS:
            return
        away = _away(count, bounds[2] * math.exp(self.level), bounds[3] * math.exp(self.level))
        self.scatter += (min(abs(away), 0.5) * 1.25 - self.scatter) / WEEK_H
        now = max(-0.5, min(0.5, math.log((count + 1) / (usual + 1))))
        self.level += (now - self.level) / 48

    def _learn_old(self, away: float, age: int) -> None:
        """Learn the share of old events: fast at first, and later so slowly that days of repeated ones do not count."""
        if age < LEARN_SILENCE:
            self.old_share += away / min(max(1, 1 + age // 60), FORGET_H)
        else:
            self.old_share += max(-SLOW, min(SLOW, away)) / FORGET_H

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

    def _is_shifting(self, days: int = 1) -> bool:
        """Whether the sample rate changed so few days ago that clients may not have heard of it."""
        return self.minute - self.shifted < days * SHIFT

    def _silent(self, seen: float) -> Signal | None:
        quiet = self.minute - self.quiet_since
        if quiet < LEAST_QUIET:
            return None
        expected = self.expected() or 0.0
        if self.missing > max(LEAST_MISSED, 2 * max(self.missed)) and self.is_learned:
            return Signal("silent", expected, seen)
        gap = max(self.gaps)
        if gap and quiet > max(LEAST_GAP, 2 * gap) and (rate := self._rate()) is not None:
            return Signal("silent", expected or rate, seen)
        return None

    def _rate(self) -> float | None:
        """Return the mean of an hour between the first event of the last weeks and the last one. None: all came within
        a day, such as a trial before a stream is used; that it is quiet since then says nothing."""
        hour = self.minute // 60
        counts = [self.hours[each % HOURS] for each in range(hour - HOURS + 1, hour)]
        busy = [at for at, count in enumerate(counts) if count > 0]
        if not busy or busy[-1] - busy[0] < LEAST_SPAN_H:
            return None
        known = [count for count in counts[busy[0] : busy[-1] + 1] if count == count]
        return sum(known) / len(known)

    def _volume(self, seen: float) -> Signal | None:
        bounds = self._window()
        if bounds is None:
            return None
        low, high = bounds
        away = _away(seen, low, high)
        scatter = math.sqrt(self.scatter**2 + 1 / (low + 1))
        if low >= LEAST_EVENTS and away < DROP and away < -Z * scatter:
            return Signal("drop", low, seen)
        if high > 0 and max(high, seen / 5) >= LEAST_EVENTS and away > RISE and away > Z * scatter:
            return Signal("rise", high, seen)
        return None

    def _window(self) -> tuple[float, float] | None:
        """Return the least and the most that is usual in the hour up to the last minute."""
        bounds = self._of_hour(self.minute // 60)
        if bounds is None:
            return None
        part, level = (self.minute % 60 + 1) / 60, math.exp(self.level)
        before_low, before_high, low, high = bounds
        if self._is_shifting():
            level *= min(1.0, 1 / self.factor)
            widest = max(self.factor, 1 / self.factor)
            before_high, high = before_high * widest, high * widest
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
