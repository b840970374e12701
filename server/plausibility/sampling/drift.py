"""Learn how the values of a stream's fields are spread, and say which field has drifted, and in which way.

Place: plausibility.sampling.sample → HERE → plausibility.sampling.sketch.
Rules: pure. Events are gathered into a window, which is judged when it has ``LEAST_EVENTS`` and ``LEAST_MINUTES``; the
judgement stands until that of the next window. Then the window is learned, unless it is a signal; one that lasts for
``HOLD`` windows is learned after all. Windows are forgotten over some 100 later ones, and nothing is judged before
``LEARN_MINUTES``. A field that is unstable by nature needs a greater change.
Memory is bounded: ``MOST_FIELDS`` of some hundred bins each.
Not here: which events are sampled (plausibility.sampling.process), when a signal is an alarm (plausibility.alarms).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from msgspec import Struct, field

from server.plausibility.sampling.sketch import FEW, MISSING, Bins, coarse, drift, kind_of, quantile
from server.plausibility.shares import Signal

MOST_FIELDS: Final = 32
LEAST_EVENTS: Final = 200
LEAST_MINUTES: Final = 20
LEARN_MINUTES: Final = 7 * 24 * 60
LEAST_WINDOWS: Final = 30
MOST_VALUES: Final = 200  # Texts of a window whose hashes are kept.
FORGET: Final = 0.99
RARE: Final = 0.01
HOLD: Final = 72  # Windows: a day at least.

DRIFT: Final = 0.25  # Population stability index.
TIMES: Final = 6.0  # So many times the usual index of a window.
SHARE_STEP: Final = 0.2  # Change of the share of missing values.
NEW_SHARE: Final = 0.05
FACTOR: Final = 4.0  # Of medians, lengths and 99th percentiles. Steps are a fourth of an octave.


class Spread(Struct):
    """The learned values of one field. ``usual_drift`` is the index that a window usually has against those before."""

    bins: Bins = field(default_factory=dict)
    usual_drift: float = 0.0
    windows: int = 0
    is_open: bool = False  # It has more than a few values, which are not kept.
    held: int = 0  # Windows in a row that were not learned, because they were signals.

    def learn(self, window: Mapping[str, float], index: float) -> None:
        """Take a window in."""
        if self.windows:
            self.usual_drift += (min(index, 1.0) - self.usual_drift) / min(self.windows, 50)
        self.windows += 1
        bins = {name: number * FORGET for name, number in self.bins.items()}
        for name, number in window.items():
            if not (self.is_open and name[0] == "v"):
                bins[name] = bins.get(name, 0.0) + number
        if len(kind_of(bins, "v")) > FEW:
            self.is_open = True
            bins = {name: number for name, number in bins.items() if name[0] != "v"}
        self.bins = {name: number for name, number in bins.items() if number >= 0.01}


class Window(Struct):
    """Events that are being gathered. ``fields`` has the bins of each field."""

    since: int
    events: int = 0
    fields: dict[str, Bins] = field(default_factory=dict)

    def add(self, found: Mapping[str, tuple[str, ...]]) -> None:
        """Take the bins of one event's fields."""
        self.events += 1
        for name, bins in found.items():
            known = self.fields.setdefault(name, {})
            for each in bins:
                if each in known or each[0] != "v" or len(known) < MOST_VALUES:
                    known[each] = known.get(each, 0.0) + 1


class Drift(Struct):
    """The fields of one stream. ``signals`` are those of the last whole window, and ``before`` has what was usual for
    their fields until then."""

    born: int
    window: Window
    windows: int = 0
    spreads: dict[str, Spread] = field(default_factory=dict)
    signals: list[Signal] = field(default_factory=list)
    before: dict[str, Bins] = field(default_factory=dict)

    @classmethod
    def begin(cls, minute: int) -> Drift:
        return cls(minute, Window(minute))

    def use(self, fields: Sequence[str]) -> None:
        """Forget fields that are looked at no longer."""
        self.spreads = {name: spread for name, spread in self.spreads.items() if name in fields}
        self.signals = [signal for signal in self.signals if signal.of in fields]

    def is_rare(self, signal: Signal, bins: tuple[str, ...]) -> bool:
        """Whether an event with these bins is an example of a signal: there were hardly any such events before."""
        usual = self.before.get(signal.of, {})
        least = RARE * sum(usual.values())
        return signal.kind == "field_constant" or any(usual.get(each, 0.0) < least for each in bins)

    def turn(self, minute: int) -> bool:
        """Judge and learn the window if it is whole, and begin another. Returns whether it was."""
        window = self.window
        if minute < window.since:
            window.since = minute  # The clock was set back.
        self.born = min(self.born, minute)
        if window.events < LEAST_EVENTS or minute - window.since < LEAST_MINUTES:
            return False
        is_judged = minute - self.born >= LEARN_MINUTES and self.windows >= LEAST_WINDOWS
        self.signals, self.before = [], {}
        for name, bins in window.fields.items():
            spread = self.spreads.get(name)
            if spread is None:
                if len(self.spreads) >= MOST_FIELDS:
                    continue
                spread = self.spreads[name] = Spread()
            index = drift(_comparable(spread, spread.bins), _comparable(spread, bins))
            signal = _judge(name, spread, bins, window.events, index) if is_judged else None
            if signal is not None:
                self.signals.append(signal)
                self.before[name] = spread.bins
            if signal is None or spread.held >= HOLD:
                spread.learn(bins, index)
            spread.held = spread.held + 1 if signal is not None else 0
        self.windows += 1
        self.window = Window(minute)
        return True


def _comparable(spread: Spread, bins: Mapping[str, float]) -> Bins:
    """Return the bins that are compared by the index: a text by its value where there are few, else by its length."""
    has_values = not spread.is_open and any(name[0] == "v" for name in spread.bins)
    return coarse({name: number for name, number in bins.items() if name[0] != ("l" if has_values else "v")})


def _judge(name: str, spread: Spread, now: Bins, events: int, index: float) -> Signal | None:
    """Return the signal that explains most, or None. Its numbers are those of its kind."""
    usual = spread.bins
    whole = _events_of(usual)
    if whole < LEAST_EVENTS:
        return None  # The field is new: it has not been learned.
    before, after = usual.get(MISSING, 0.0) / whole, now.get(MISSING, 0.0) / events
    if abs(after - before) > SHARE_STEP:
        return Signal("field_missing", before, after, name)
    if (values := _values(name, spread, now, events)) is not None:
        return values
    for kind, signal in (("n", "field_number"), ("l", "field_length")):
        if (sizes := _sizes(name, signal, kind_of(usual, kind), kind_of(now, kind), spread)) is not None:
            return sizes
    if index > max(DRIFT, TIMES * spread.usual_drift):
        return Signal("field_drift", spread.usual_drift, index, name)
    return None


def _values(name: str, spread: Spread, now: Bins, events: int) -> Signal | None:
    """Judge the values of a field: a new one among few, or one in place of many."""
    values, before = kind_of(now, "v"), kind_of(spread.bins, "v")
    if not values:
        return None
    top = max(values.values()) / events
    usual_top = max(before.values(), default=0.0) / (_events_of(spread.bins) or 1.0)
    if top > 0.98 and usual_top < 0.9 and (spread.is_open or len(before) >= 3):
        return Signal("field_constant", usual_top, top, name)
    if spread.is_open or not before:
        return None
    if len(values) > 2 * FEW:
        return Signal("field_distinct", len(before), len(values), name)
    rare = RARE * sum(before.values())  # A value that the window before has brought is still new.
    fresh = sum(number for value, number in values.items() if before.get(value, 0.0) < rare) / events
    return Signal("field_new_value", 0.0, fresh, name) if fresh > NEW_SHARE else None


def _sizes(name: str, signal: str, usual: Bins, now: Bins, spread: Spread) -> Signal | None:
    """Judge numbers or lengths by their median and their 99th percentile."""
    if sum(usual.values()) < LEAST_EVENTS or sum(now.values()) < LEAST_EVENTS / 2:
        return None
    if signal == "field_length" and not spread.is_open and kind_of(spread.bins, "v"):
        return None  # Of a few values, each has its length.
    for share in (0.5, 0.99):
        before, after = quantile(usual, share), quantile(now, share)
        if before is not None and after is not None and _is_far(before, after):
            return Signal(signal, before, after, name)
    return None


def _is_far(before: float, after: float) -> bool:
    if before * after < 0:
        return abs(before) > 2 and abs(after) > 2
    low, high = sorted((max(1.0, abs(before)), max(1.0, abs(after))))
    return high > FACTOR * low


def _events_of(bins: Mapping[str, float]) -> float:
    """Return the number of events behind the bins: each has one bin, and a text has one of its length, too."""
    texts = sum(number for name, number in bins.items() if name[0] == "v" and name not in ("vTrue", "vFalse"))
    lengths = sum(number for name, number in bins.items() if name[0] == "l")
    return sum(bins.values()) - min(texts, lengths)
