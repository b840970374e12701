"""Watch all streams: take their counts once a minute, learn, and raise alarms.

Place: admin.process calls ``look`` → HERE → plausibility.model, plausibility.alarms, plausibility.state.
Rules: counts come from shared memory. Canaries are no traffic and are taken off. Counts are those since the look
before; the first look after a start, and one that comes too late, tell nothing, and their minutes stay unknown. Streams
that only match a regular expression are watched together, as they are counted. A report of the sampling process counts
while it is fresh.
Not here: what is unusual (plausibility.model), samples (plausibility.sampling), what is shown (plausibility.shown),
names of metrics (metrics.plausibility_metrics).
"""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Final, NamedTuple

from server.config.plausibility_settings import FRESH_S
from server.log import Limited
from server.plausibility.alarms import FALLS, Alarms
from server.plausibility.causes import Causes, Change
from server.plausibility.model import LEARN_SILENCE, WEEK, StreamModel
from server.plausibility.settings import StreamAlarms, sample_rate_of, settings_of
from server.plausibility.shares import INVALID, Signal
from server.plausibility.state import Learned, LearnedState
from server.plausibility.versions import VersionModels, key_of

if TYPE_CHECKING:
    from pathlib import Path

    from server.catalog.snapshot import Snapshot
    from server.plausibility.sampling.files import Report

WRITE_MINUTES: Final = 5
LATE_MINUTES: Final = 1.5
REST: Final = WEEK
BELOW: Final = "below_minimum"

_log = logging.getLogger("plausibility")
_limited = Limited(_log)


class Total(NamedTuple):
    """Events of a stream since the service began. ``accepted`` is without canaries; ``old`` and ``askew`` are some of
    them (intake.books.dated); ``by_type`` are the invalid ones by type, ``lost`` the accepted ones that were dropped,
    by reason."""

    accepted: int
    invalid: int
    old: int = 0
    askew: int = 0
    by_type: Mapping[str, int] = {}
    lost: Mapping[str, int] = {}


class _Settings(NamedTuple):
    """The settings of a stream that are used here."""

    alarms: StreamAlarms
    sample_rate: float | None
    schema_title: str | None


def _no_report() -> Report | None:
    return None


def _no_schemas() -> Iterable[str]:
    return ()


def _no_counts() -> Mapping[str, int]:
    return {}


class Watcher:
    """The streams of one service.

    ``totals`` returns their counts, ``snapshot`` the streams declared now, ``report`` the last one of the sampling
    process, ``schemas`` the URIs of those that events have had, ``versions`` the events by stream and schema, and
    ``agents`` the invalid ones by stream and program, each since the service began and with a space in the name.
    ``resting`` are the models of streams that were declared until lately. ``samples`` is the report, while it is fresh,
    and ``sampled_s`` the time of the last one, or of the beginning.
    """

    def __init__(
        self,
        directory: Path,
        totals: Callable[[], Mapping[str, Total]],
        snapshot: Callable[[], Snapshot],
        now_s: Callable[[], float] = time.time,
        report: Callable[[], Report | None] = _no_report,
        schemas: Callable[[], Iterable[str]] = _no_schemas,
        versions: Callable[[], Mapping[str, int]] = _no_counts,
        agents: Callable[[], Mapping[str, int]] = _no_counts,
    ) -> None:
        self._state = LearnedState(directory)
        self._totals = totals
        self._snapshot = snapshot
        self._now_s = now_s
        self._report = report
        self._schemas = schemas
        self._versions, self._agents = Growing(versions), Growing(agents)
        self.versions = VersionModels()
        self.causes = Causes()
        self.samples: Report | None = None
        self.sampled_s = now_s()
        self._is_leader = self._is_closed = False
        self._before: tuple[float, Mapping[str, Total]] | None = None
        self._minute = 0
        self._of_stream: tuple[Snapshot, dict[str, _Settings]] | None = None
        self.models: dict[str, StreamModel] = {}
        self.resting: dict[str, StreamModel] = {}
        self.alarms = Alarms()

    def look(self) -> None:
        """Take the counts, if a minute has ended since the last look. Call it every second or so."""
        now_s = self._now_s()
        minute = int(now_s // 60)
        if minute == self._minute or self._is_closed:
            return
        self._minute = minute
        try:
            if not self._may_lead():
                return
            self._take(now_s, minute - 1)
            if minute % WRITE_MINUTES == 0:
                self._write()
        except (OSError, sqlite3.Error) as failed:
            _limited.warning("state", "what was learned of streams cannot be kept: %s", failed)

    def close(self) -> None:
        """Keep what was learned, and let another process go on. This one watches no longer."""
        self._is_closed = True
        if not self._is_leader:
            return
        try:
            self._write()
        except (OSError, sqlite3.Error) as failed:
            _limited.warning("state", "what was learned of streams cannot be kept: %s", failed)
        self._state.release()
        self._is_leader = False

    def of_stream(self, stream: str) -> StreamAlarms:
        """Return the settings of a stream."""
        found = self._settings().get(stream)
        return found.alarms if found is not None else StreamAlarms()

    def new_schemas(self, stream: str, since: int) -> list[str]:
        """Return the schemas of a stream's title that were seen first shortly before this minute, if the stream has
        been watched for longer than a week."""
        found, model = self._settings().get(stream), self.models.get(stream)
        if found is None or found.schema_title is None or model is None or since - model.born < LEARN_SILENCE:
            return []
        return self.causes.new_schemas(found.schema_title, since)

    def announce(self, text: str) -> Change | None:
        """Remember that something has changed; None: another process watches."""
        return self.causes.announce(int(self._now_s() // 60), text) if self._is_leader else None

    def watched(self) -> tuple[int, int]:
        """Return how many streams are being learned, and how many are judged by their volume."""
        learned = sum(model.is_learned for model in self.models.values())
        return len(self.models) - learned, learned

    def _write(self) -> None:
        alarms = list(self.alarms.active.values())
        self._state.write(Learned(self.resting | self.models, alarms, self.versions.models, self.causes))

    def _may_lead(self) -> bool:
        if not self._state.take():
            self._is_leader, self._before = False, None
            return False
        if not self._is_leader:
            learned = self._state.read()  # If that fails, what is stored must not be replaced.
            self.models, self.alarms, self.resting = learned.models, Alarms(learned.alarms), {}
            self.versions, self.causes = VersionModels(learned.versions), learned.causes
            self._is_leader = True
        return True

    def _take(self, now_s: float, minute: int) -> None:
        """Take the counts of the minute that has ended."""
        before, totals = self._before, self._totals()
        self._before = (now_s, totals)
        settings = self._settings()
        gone = [name for name in self.models if name not in settings]
        self._rest(gone, settings, minute)
        self.alarms.drop(gone)
        is_new, versions = self._take_report(now_s), self._versions.take()
        self.causes.take(minute, self._schemas(), self._agents.take())
        if before is None or not 0 < now_s - before[0] < LATE_MINUTES * 60:
            return
        rates = {name: one.sample_rate for name, one in settings.items()}
        by_key = {key: number for name, number in versions.items() if (key := key_of(name))}
        self.versions.take(minute, by_key, rates, self.models)
        signals: dict[str, list[Signal]] = {}
        for name, wanted in settings.items():
            model = self.models.get(name)
            if model is None:
                model = self.models[name] = self._begin(name, minute)
            if wanted.sample_rate is not None:
                model.use_sample_rate(wanted.sample_rate)
            self._add(model, minute, totals.get(name, _NONE), before[1].get(name, _NONE))
            found = model.signals() if wanted.alarms.enabled else []
            found += self._of_samples(name, minute, is_new=is_new) if wanted.alarms.enabled else []
            least = wanted.alarms.expected_min_per_h
            if wanted.alarms.enabled and least is not None:
                found += _below(model, least)
            if found:
                signals[name] = found
        for name, of_versions in self.versions.signals(_falling(signals)).items():
            if name in settings and settings[name].alarms.enabled:
                signals.setdefault(name, []).extend(of_versions)
        self.alarms.take(minute, signals, self.watched()[1])
        self._show_examples()

    def _begin(self, name: str, minute: int) -> StreamModel:
        """Return the model of a stream that was not declared before, or not lately."""
        return self.resting.pop(name) if name in self.resting else StreamModel(minute)

    def _rest(self, gone: Iterable[str], declared: Collection[str], minute: int) -> None:
        """Put the models of streams that are declared no longer aside for a week: a source of streams may have lost
        them by mistake."""
        for name in gone:
            self.resting[name] = self.models.pop(name)
        old = [name for name, model in self.resting.items() if not 0 <= minute - model.minute < REST]
        for name in old:
            del self.resting[name]
        self.versions.keep({*declared, *self.resting})

    @staticmethod
    def _add(model: StreamModel, minute: int, now: Total, old: Total) -> None:
        shares = {
            ("invalid", error_type): max(0.0, float(number - old.by_type.get(error_type, 0)))
            for error_type, number in now.by_type.items()
        }
        for reason, number in now.lost.items():
            shares["lost", reason] = max(0.0, float(number - old.lost.get(reason, 0)))
        shares[INVALID] = max(0.0, float(now.invalid - old.invalid))
        shares["askew", ""] = max(0.0, float(now.askew - old.askew))
        model.add(minute, max(0, now.accepted - old.accepted), shares, max(0, now.old - old.old))

    def _take_report(self, now_s: float) -> bool:
        """Take the last report of samples. Returns whether it is another one than before."""
        report, before = self._report(), self.samples
        is_fresh = report is not None and abs(now_s - report.ended_s) < FRESH_S
        self.samples = report if is_fresh else None
        if report is not None:
            self.sampled_s = report.ended_s
        return self.samples is not None and (before is None or before.ended_s != self.samples.ended_s)

    def _of_samples(self, stream: str, minute: int, *, is_new: bool) -> list[Signal]:
        """Return what is unusual in the samples of a stream. Shares are learned for as long as a stream."""
        report = self.samples.streams.get(stream) if self.samples is not None else None
        if report is None:
            return []
        model = self.models[stream]
        if is_new:
            model.add_samples(minute, report.sampled, report.shares)
        return [*model.unusual_samples(), *report.signals]

    def _show_examples(self) -> None:
        """Give alarms the identities of events that show them, and keep those that they had."""
        streams = self.samples.streams if self.samples is not None else {}
        for alarm in self.alarms.active.values():
            report = streams.get(alarm.stream)
            if report is not None and not alarm.examples:
                key = f"{alarm.kind} {alarm.of}"
                alarm.examples = (report.examples.get(key) or report.examples.get(alarm.kind) or report.newest)[:3]

    def _settings(self) -> dict[str, _Settings]:
        """Return the settings of all declared streams that this service takes."""
        snapshot = self._snapshot()
        if self._of_stream is None or self._of_stream[0] is not snapshot:
            self._of_stream = (
                snapshot,
                {
                    stream.name: _Settings(
                        settings_of(stream.settings), sample_rate_of(stream.settings), stream.schema_title
                    )
                    for stream in snapshot.streams()
                    if stream.enabled
                },
            )
        return self._of_stream[1]


class Growing:
    """Numbers that grow, by name. ``take`` returns by how much they have grown since it was called last; at first
    nothing."""

    def __init__(self, read: Callable[[], Mapping[str, int]]) -> None:
        self._read = read
        self._before: Mapping[str, int] | None = None

    def take(self) -> dict[str, int]:
        before, self._before = self._before, self._read()
        if before is None:
            return {}
        return {name: number - before.get(name, 0) for name, number in self._before.items()}


def _falling(signals: Mapping[str, Iterable[Signal]]) -> set[str]:
    """Return the streams that are silent or fall as a whole."""
    return {stream for stream, found in signals.items() if any(one.kind in FALLS for one in found)}


_NONE: Final = Total(0, 0)


def _below(model: StreamModel, least: float) -> list[Signal]:
    seen = model.seen()
    return [Signal(BELOW, least, seen)] if seen is not None and seen < least else []
