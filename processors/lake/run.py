"""Read the sink of the intake, land every stream, and commit.

Place: command → HERE → landing; source opens what is read.
Rules: one thread. Reading begins at the offsets in the tables; the consumer group of Kafka knows none. Streams commit
one after another, each for itself. After TERM or INT everything that was read is committed. An hour is closed when
every partition was read beyond its end by ``late_s``, or to its own end at a clock that is.
Not here: what becomes of an event (landing), merging files (compact).
"""

from __future__ import annotations

import gc
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from msgspec import Struct

from processors.lake.catalog import Catalog
from processors.lake.head import Head
from processors.lake.landing import HOUR_MS, Landing
from processors.lake.metrics import Metrics, Totals, verdicts_of
from processors.lake.settings import LakeSettings
from processors.lake.source import Streams, open_input
from processors.lake.tables import STREAM, Lake
from processors.metrics_server import listen
from processors.page_change.embedded.inputs import Batch
from processors.page_change.embedded.stop import GivenUpError, Stop
from processors.page_change.embedded.watermarks import Watermarks

GC_THRESHOLDS: Final = (100_000, 50, 1_000)
TIMES_EVERY_S: Final = 1.0

log = logging.getLogger("lake")


class Told(Struct, frozen=True):
    """The counts of a run: events that it read, commits, and the totals of each stream."""

    read: int
    commits: int
    streams: dict[str, Head]


class Runner:
    """One writer of a lake. Making one raises SettingsError, PenstockError, and GivenUpError if ``stop`` is asked for
    before a broker has answered."""

    def __init__(
        self,
        settings: LakeSettings,
        base_dir: Path,
        catalog: Catalog,
        stop: Stop,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._stop = stop
        self._clock = clock
        self._lake = Lake(settings, base_dir, is_writer=True)
        self._marks = Watermarks(round(settings.late_s * 1000), {})
        self._read = self._commits = self._events = 0
        self.metrics = Metrics()
        try:
            self._streams = self._open(catalog)
            self._input = open_input(settings, catalog, self._streams, stop)
            self.metrics_port = listen(self.metrics, settings.metrics_listen) if settings.metrics_listen else 0
        except BaseException:
            self._lake.close()
            raise
        self._tell(0.0)

    def run(self, *, once: bool = False) -> Told:
        """Work until told to stop, or with ``once`` until every partition was read to its end."""
        gc.freeze()
        gc.set_threshold(*GC_THRESHOLDS)  # Rows are trees of dicts without cycles.
        committed = told_times = self._clock()
        while not self._stop.is_asked:
            batches = self._input.read(self._marks.least_ahead(self._input.partitions()))
            for batch in batches:
                self._take(batch)
            is_quiet = not any(batch.records for batch in batches)
            is_done = once and is_quiet and self._marks.least_ahead(self._input.partitions()) is None
            now = self._clock()
            if is_done or self._is_full() or now - committed >= self._settings.commit_s:
                self._commit()
                committed = now
            if is_done:
                break
            if now - told_times >= TIMES_EVERY_S:
                self.metrics.tell_times(self._marks.times(self._input.partitions()))
                told_times = now
        self._commit()
        return self.told()

    def close(self) -> None:
        """Release everything."""
        self._input.close()
        self._lake.close()

    def told(self) -> Told:
        """Return the counts."""
        return Told(self._read, self._commits, {name: landing.head for name, landing in self._streams.landings.items()})

    def _open(self, catalog: Catalog) -> Streams:
        topics = {name: catalog.topics(stream) for name, stream in catalog.streams.items()}
        found = self._lake.tables()
        landings: dict[str, Landing] = {}
        by_topic: dict[str, list[Landing]] = {}
        for name, stream in catalog.streams.items():
            siblings = {other for other in topics if other != name and not set(topics[other]).isdisjoint(topics[name])}
            tables = [table for table in found if table.properties[STREAM] == name]
            landing = Landing(stream, frozenset(siblings), catalog, self._lake, tables, self._settings.dedupe_ids)
            landings[name] = landing
            for topic in topics[name]:
                by_topic.setdefault(topic, []).append(landing)
        return Streams(landings, by_topic, is_kafka=catalog.generation.config.sink.kind == "kafka")

    def _take(self, batch: Batch) -> None:
        newest, partition = -1, batch.partition
        for record in batch.records:
            newest = max(newest, record.at)
            for landing in self._streams.by_topic[record.topic]:
                landing.take(partition, record)
        self._marks.note(partition, min(newest, time.time_ns() // 1_000_000), batch.ended_at)
        for landing in self._streams.of(partition):
            landing.note(partition, batch.position)
        self._read += len(batch.records)
        self._events += len(batch.records)

    def _is_full(self) -> bool:
        if self._events >= self._settings.commit_events:
            return True
        return sum(one.gathered_bytes for one in self._streams.landings.values()) >= self._settings.commit_bytes

    def _commit(self) -> None:
        partitions = self._input.partitions()
        for landing in self._streams.landings.values():
            own = [name for name in partitions if landing in self._streams.of(name)]
            closed = self._marks.value(own) // HOUR_MS * HOUR_MS
            if landing.commit(max(closed, 0)):
                self._commits += 1
                log.info(
                    "committed the stream %s: %d rows so far",
                    *(landing.name, landing.head.rows),
                    extra={"closed_through_ms": landing.closed_through, "rejected": landing.head.rejected},
                )
        self._events = 0
        self._tell(time.time())

    def _tell(self, at: float) -> None:
        landings = self._streams.landings
        verdicts = {name: verdicts_of(one.head) for name, one in landings.items()}
        closed = {name: one.closed_through for name, one in landings.items()}
        self.metrics.tell(Totals(verdicts, closed, self._commits, at))
        self.metrics.tell_times(self._marks.times(self._input.partitions()))


__all__ = ["GivenUpError", "Runner", "Told"]
