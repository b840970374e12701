"""Judge the samples of one stream: duplicates, clocks, sample rates, and the values of its fields.

Place: plausibility.sampling.process → HERE → plausibility.sampling.repeats, plausibility.sampling.drift.
Rules: pure. No value of an event is kept but identities, of the last events and of examples. Canaries are left out.
Anything may be in an event: a value of an unexpected type counts as absent.
Not here: which shares are unusual (plausibility.ratio), reading from the sink (sink.watch).
"""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec
from msgspec import Struct

from server.plausibility.sampling.drift import Drift, Spread
from server.plausibility.sampling.repeats import Repeats
from server.plausibility.sampling.sketch import bins_of
from server.plausibility.shares import Signal

EXAMPLES: Final = 3
MOST_ID_CHARS: Final = 128
SKEWS: Final = 100  # Of the last events, for percentiles.
ASKEW_S: Final = 300.0

Path = tuple[str, ...]
_FULL: Final = [""] * EXAMPLES


class Fields(Struct, frozen=True):
    """Where an event has what is read: its identity, the time of its receipt, its own time, and its domain."""

    identity: Path = ("meta", "id")
    received: Path = ("meta", "dt")
    own: Path = ("dt",)
    domain: Path = ("meta", "domain")


class StreamReport(Struct):
    """The findings about one stream since the report before. ``shares`` are numbers among ``sampled`` by kind;
    ``examples`` are identities by kind and what it concerns, ``kind of``; ``newest`` those of the last events. Skews
    are own times less times of receipt."""

    sampled: int = 0
    shares: dict[str, int] = {}
    signals: list[Signal] = []
    examples: dict[str, list[str]] = {}
    newest: list[str] = []
    skew_p50_s: float | None = None
    skew_p99_s: float | None = None


class StreamSample:
    """The samples of one stream."""

    def __init__(self, minute: int, salt: bytes, fields: Fields | None = None) -> None:
        self.drift = Drift.begin(minute)
        self._salt = salt
        self._fields = fields or Fields()
        self._repeats = Repeats()
        self._newest: deque[str] = deque(maxlen=EXAMPLES)
        self._skews = array("d")
        self._of_drift: dict[str, list[str]] = {}
        self._of_shares: dict[str, deque[str]] = {}

    def take(
        self, values: Iterable[bytes], watched: Sequence[str], sample_rate: float | None, minute: int
    ) -> StreamReport:
        """Take the events of a minute. ``watched`` are the paths of fields whose values are compared; ``sample_rate``
        is the one that events should name."""
        self.drift.use(watched)
        report = StreamReport()
        paths = {path: tuple(path.split(".")) for path in watched}
        for value in values:
            try:
                event = msgspec.json.decode(value)
            except (ValueError, RecursionError):
                continue
            if isinstance(event, dict) and _at(event, self._fields.domain) != "canary":
                self._take(event, paths, sample_rate, report)
        if self.drift.turn(minute):
            self._of_drift = {f"{one.kind} {one.of}": [] for one in self.drift.signals}
        report.signals = self.drift.signals
        report.newest = list(self._newest)
        report.examples = self._of_drift | {kind: list(ids) for kind, ids in self._of_shares.items()}
        if self._skews:
            skews = sorted(self._skews)
            report.skew_p50_s, report.skew_p99_s = skews[len(skews) // 2], skews[len(skews) * 99 // 100]
        return report

    def restore(self, born: int, windows: int, spreads: Mapping[str, Spread]) -> None:
        """Go on with what was learned before a restart."""
        self.drift.born, self.drift.windows, self.drift.spreads = born, windows, dict(spreads)

    def _take(
        self, event: dict[str, Any], paths: Mapping[str, Path], sample_rate: float | None, report: StreamReport
    ) -> None:
        report.sampled += 1
        found = _at(event, self._fields.identity)
        identity = found[:MOST_ID_CHARS] if isinstance(found, str) else ""
        if identity:
            self._newest.append(identity)
            if self._repeats.take(found):
                self._count("duplicate", identity, report)
        received, own = _time(_at(event, self._fields.received)), _time(_at(event, self._fields.own))
        if received is not None and own is not None:
            self._skews.append(round(own - received, 3))
            del self._skews[:-SKEWS]
            if own - received > ASKEW_S:
                self._count("ahead", identity, report)
        if sample_rate is not None:
            rate = _at(event, ("sample", "rate"))
            is_rate = isinstance(rate, int | float) and not isinstance(rate, bool)
            if is_rate and abs(rate - sample_rate) > 1e-9:
                self._count("sample_rate", identity, report)
        if paths:
            bins = {name: bins_of(_at(event, path), self._salt) for name, path in paths.items()}
            self.drift.window.add(bins)
            self._show(identity, bins)

    def _count(self, kind: str, identity: str, report: StreamReport) -> None:
        report.shares[kind] = report.shares.get(kind, 0) + 1
        if identity:
            self._of_shares.setdefault(kind, deque(maxlen=EXAMPLES)).append(identity)

    def _show(self, identity: str, bins: Mapping[str, tuple[str, ...]]) -> None:
        """Take an event as an example of the fields that have drifted, if it is one."""
        for signal in self.drift.signals:
            shown = self._of_drift.get(f"{signal.kind} {signal.of}", _FULL)
            if identity and len(shown) < EXAMPLES and self.drift.is_rare(signal, bins.get(signal.of, ())):
                shown.append(identity)


def _at(value: Any, path: Path) -> Any:
    """Return the value at a path, or None."""
    for name in path:
        if not isinstance(value, dict):
            return None
        value = value.get(name)
    return value


def _time(text: Any) -> float | None:
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.fromisoformat(text)
        return moment.timestamp() if moment.tzinfo is not None else None
    except (ValueError, OverflowError, OSError):
        return None
