"""Watch all streams: take their counts once a minute, learn, and raise alarms.

Place: admin.process calls ``look`` → HERE → plausibility.model, plausibility.alarms, plausibility.state.
Rules: counts come from shared memory, so workers do nothing for it. Canaries are no traffic and are taken off. Counts
are those since the look before; the first look after a start, and one that comes too late, tell nothing, and their
minutes stay unknown. Streams that only match a regular expression are watched together, as they are counted.
Not here: what is unusual (plausibility.model), names of metrics (metrics.plausibility_metrics).
"""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from msgspec import Struct

from server.log import Limited
from server.plausibility.alarms import ALL, Alarm, Alarms
from server.plausibility.model import Signal, StreamModel
from server.plausibility.state import LearnedState

if TYPE_CHECKING:
    from pathlib import Path

    from server.catalog.snapshot import Snapshot

WRITE_MINUTES: Final = 5
LATE_MINUTES: Final = 1.5
BELOW: Final = "below_minimum"

_log = logging.getLogger("plausibility")
_limited = Limited(_log)


class Total(NamedTuple):
    """Events of a stream since the service began. ``accepted`` is without canaries."""

    accepted: int
    invalid: int


class StreamAlarms(Struct, frozen=True):
    """The section ``alarms`` of a stream's settings."""

    enabled: bool = True
    owner: str = ""
    severity: str = "ticket"
    expected_min_per_h: float | None = None


class Watcher:
    """The streams of one service. ``totals`` returns their counts, ``snapshot`` the streams declared now."""

    def __init__(
        self,
        directory: Path,
        totals: Callable[[], Mapping[str, Total]],
        snapshot: Callable[[], Snapshot],
        now_s: Callable[[], float] = time.time,
    ) -> None:
        self._state = LearnedState(directory)
        self._totals = totals
        self._snapshot = snapshot
        self._now_s = now_s
        self._is_leader = self._is_closed = False
        self._before: tuple[float, Mapping[str, Total]] | None = None
        self._minute = 0
        self._of_stream: tuple[Snapshot, dict[str, StreamAlarms]] | None = None
        self.models: dict[str, StreamModel] = {}
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
                self._state.write(self.models, self.alarms.active.values())
        except (OSError, sqlite3.Error) as failed:
            _limited.warning("state", "what was learned of streams cannot be kept: %s", failed)

    def close(self) -> None:
        """Keep what was learned, and let another process go on. This one watches no longer."""
        self._is_closed = True
        if not self._is_leader:
            return
        try:
            self._state.write(self.models, self.alarms.active.values())
        except (OSError, sqlite3.Error) as failed:
            _limited.warning("state", "what was learned of streams cannot be kept: %s", failed)
        self._state.release()
        self._is_leader = False

    def of_stream(self, stream: str) -> StreamAlarms:
        """Return the settings of a stream."""
        return self._settings().get(stream, StreamAlarms())

    def watched(self) -> tuple[int, int]:
        """Return how many streams are being learned, and how many are judged by their volume."""
        learned = sum(model.is_learned for model in self.models.values())
        return len(self.models) - learned, learned

    def _may_lead(self) -> bool:
        if not self._state.take():
            self._is_leader, self._before = False, None
            return False
        if not self._is_leader:
            self._is_leader = True
            self.models, alarms = self._state.read()
            self.alarms = Alarms(alarms)
        return True

    def _take(self, now_s: float, minute: int) -> None:
        """Take the counts of the minute that has ended."""
        before, totals = self._before, self._totals()
        self._before = (now_s, totals)
        settings = self._settings()
        gone = [name for name in self.models if name not in settings]
        for name in gone:
            del self.models[name]
        self.alarms.drop(gone)
        if before is None or not 0 < now_s - before[0] < LATE_MINUTES * 60:
            return
        signals = {}
        for name, wanted in settings.items():
            model = self.models.get(name)
            if model is None:
                model = self.models[name] = StreamModel(minute)
            now, old = totals.get(name, _NONE), before[1].get(name, _NONE)
            model.add(minute, max(0, now.accepted - old.accepted), max(0, now.invalid - old.invalid))
            found = model.signals() if wanted.enabled else []
            if wanted.enabled and wanted.expected_min_per_h is not None:
                found += _below(model, wanted.expected_min_per_h)
            if found:
                signals[name] = found
        self.alarms.take(minute, signals, self.watched()[1])

    def _settings(self) -> dict[str, StreamAlarms]:
        """Return the settings of all declared streams that this service takes."""
        snapshot = self._snapshot()
        if self._of_stream is None or self._of_stream[0] is not snapshot:
            self._of_stream = (
                snapshot,
                {stream.name: settings_of(stream.settings) for stream in snapshot.streams() if stream.enabled},
            )
        return self._of_stream[1]


_NONE: Final = Total(0, 0)


def _below(model: StreamModel, least: float) -> list[Signal]:
    seen = model.seen()
    return [Signal(BELOW, least, seen)] if seen is not None and seen < least else []


def settings_of(settings: Mapping[str, Any]) -> StreamAlarms:
    """Return the section ``alarms`` of the settings of a stream."""
    given = {name: value for name, value in (settings.get("alarms") or {}).items() if value is not None}
    return StreamAlarms(**given)


def said(watcher: Watcher, changed_s: float) -> dict[str, Any]:
    """Return alarms and streams for programs. ``changed_s`` is when the settings in force were read, in seconds since
    1970: a change of them is the likely cause of an alarm that begins soon after."""
    learning, learned = watcher.watched()
    return {
        "streams": {"learning": learning, "learned": learned},
        "settings_read_s": changed_s,
        "alarms": [_line(watcher, alarm, changed_s) for alarm in watcher.alarms.shown()],
    }


def _line(watcher: Watcher, alarm: Alarm, changed_s: float) -> dict[str, Any]:
    settings = watcher.of_stream(alarm.stream)
    return {
        "stream": alarm.stream or None,
        "streams": sorted(watcher.alarms.grouped()) if alarm.stream == ALL else [alarm.stream],
        "kind": alarm.kind,
        "expected": round(alarm.expected, 3),
        "seen": round(alarm.seen, 3),
        "since_s": alarm.since * 60,
        "is_after_change": 0 <= alarm.since * 60 - changed_s < 2 * 3600,
        "owner": settings.owner,
        "severity": settings.severity if alarm.stream else "page",
    }
