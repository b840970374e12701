"""Read the sink of the intake, land every stream, and commit.

Place: command → HERE → landing, the inputs that page_change has too.
Rules: one thread. Reading begins at the offsets in the tables; the consumer group of Kafka knows none. Streams commit
one after another, each for itself. After TERM or INT everything that was read is committed. An hour is closed when
every partition was read beyond its end by ``late_s``, or to its own end at a clock that is.
Not here: what becomes of an event (landing), merging files (compact).
"""

from __future__ import annotations

import gc
import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from msgspec import Struct

from processors.lake.catalog import Catalog
from processors.lake.head import Head
from processors.lake.landing import HOUR_MS, Landing
from processors.lake.settings import LakeSettings
from processors.lake.tables import STREAM, Lake
from processors.page_change.embedded.inputs import Batch, Input
from processors.page_change.embedded.kafka_input import KafkaInput
from processors.page_change.embedded.sqlite_input import SqliteInput
from processors.page_change.embedded.stop import GivenUpError, Stop
from processors.page_change.embedded.watermarks import Watermarks
from server.errors import SettingsError

GC_THRESHOLDS: Final = (100_000, 50, 1_000)

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
        self._landings, self._by_topic = self._open(catalog)
        self._marks = Watermarks(round(settings.late_s * 1000), {})
        self._is_by_topic = catalog.generation.config.sink.kind == "kafka"
        positions = _positions(self._by_topic, self._landings, is_by_topic=self._is_by_topic)
        try:
            self._input = _input(settings, catalog, frozenset(self._by_topic), positions, stop)
        except BaseException:
            self._lake.close()
            raise
        self._read = self._commits = self._events = 0

    def run(self, *, once: bool = False) -> Told:
        """Work until told to stop, or with ``once`` until every partition was read to its end."""
        gc.freeze()
        gc.set_threshold(*GC_THRESHOLDS)  # Rows are trees of dicts without cycles.
        committed = self._clock()
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
        self._commit()
        return self.told()

    def close(self) -> None:
        """Release everything."""
        self._input.close()
        self._lake.close()

    def told(self) -> Told:
        """Return the counts."""
        return Told(self._read, self._commits, {name: landing.head for name, landing in self._landings.items()})

    def _open(self, catalog: Catalog) -> tuple[dict[str, Landing], dict[str, list[Landing]]]:
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
        return landings, by_topic

    def _take(self, batch: Batch) -> None:
        newest, partition = -1, batch.partition
        for record in batch.records:
            newest = max(newest, record.at)
            for landing in self._by_topic[record.topic]:
                landing.take(partition, record)
        self._marks.note(partition, min(newest, time.time_ns() // 1_000_000), batch.ended_at)
        for landing in self._of(partition):
            landing.note(partition, batch.position)
        self._read += len(batch.records)
        self._events += len(batch.records)

    def _of(self, partition: str) -> list[Landing]:
        """Return the streams that a partition can hold: in Kafka those of its topic, in a database all."""
        if self._is_by_topic:
            return self._by_topic[partition.rpartition("/")[0]]
        return list(self._landings.values())

    def _is_full(self) -> bool:
        if self._events >= self._settings.commit_events:
            return True
        return sum(one.gathered_bytes for one in self._landings.values()) >= self._settings.commit_bytes

    def _commit(self) -> None:
        partitions = self._input.partitions()
        for landing in self._landings.values():
            own = [name for name in partitions if landing in self._of(name)]
            closed = self._marks.value(own) // HOUR_MS * HOUR_MS
            if landing.commit(max(closed, 0)):
                self._commits += 1
                log.info(
                    "committed the stream %s: %d rows so far",
                    *(landing.name, landing.head.rows),
                    extra={"closed_through_ms": landing.closed_through, "rejected": landing.head.rejected},
                )
        self._events = 0


def _positions(
    by_topic: Mapping[str, list[Landing]], landings: Mapping[str, Landing], *, is_by_topic: bool
) -> dict[str, int]:
    """Return where reading begins: in each partition at the least offset of the streams that it can hold."""
    names = {name for landing in landings.values() for name in landing.head.offsets}
    found = {}
    for name in names:
        readers = by_topic.get(name.rpartition("/")[0], []) if is_by_topic else list(landings.values())
        found[name] = min((landing.head.offsets.get(name, 0) for landing in readers), default=0)
    return found


def _input(
    settings: LakeSettings, catalog: Catalog, topics: frozenset[str], positions: dict[str, int], stop: Stop
) -> Input:
    sink = catalog.generation.config.sink
    if sink.kind == "sqlite":
        directory = catalog.generation.data_dir / sink.sqlite.path
        return SqliteInput(directory, topics, positions)
    if sink.kind == "kafka":
        reading = {name: value for name, value in sink.kafka.items() if name in _SHARED or name.startswith(_SECURITY)}
        properties = {"group.id": "penstock-lake", **reading, **settings.kafka}
        return KafkaInput(properties, topics, positions, stop)
    raise SettingsError(f"sink.kind is {sink.kind}: it keeps nothing that could be read")


# The properties of the intake's producer that a consumer needs as well.
_SHARED: Final = ("bootstrap.servers", "metadata.broker.list", "client.dns.lookup", "broker.address.family")
_SECURITY: Final = ("sasl.", "ssl.", "security.")

__all__ = ["GivenUpError", "Runner", "Told"]
