"""The sampling process: read some of the newest events of each stream, and report the findings.

Place: server.master forks → HERE, a companion of the workers, only with ``plausibility.samples.enabled`` → sink.watch
(Tail), plausibility.sampling.sample, plausibility.sampling.files.
Rules: it reads where events are stored, so workers do nothing for it. At most ``per_stream`` events of a stream are
read in a round, and a round takes at most its period. One process at a time uses the directory. The admin process reads
the reports; when none comes, alarms about the content of events end.
Not here: alarms (plausibility.watcher, in the admin process).
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import time
from typing import TYPE_CHECKING, Final, Protocol

import uvloop

from server.catalog.regex import is_regex
from server.catalog.snapshot_follower import SnapshotFollower
from server.errors import SettingsError
from server.host.replace import sweep
from server.log import Limited
from server.plausibility.sampling.files import (
    LEARNED,
    REPORT,
    LearnedFields,
    Report,
    read_learned,
    write_learned,
    write_report,
)
from server.plausibility.sampling.sample import Fields, StreamSample
from server.plausibility.settings import fields_of, sample_rate_of, settings_of
from server.sink.kind import kind_of
from server.sink.spool.claim import Lock
from server.sink.watch import WatchError
from server.timing.companion import CompanionLife

if TYPE_CHECKING:
    from pathlib import Path

    from server.catalog.snapshot import Snapshot
    from server.catalog.stream import Stream
    from server.config.settings import Config, Intake
    from server.fetch.link import Link
    from server.master.generation import WorkerContext
    from server.schemas.repository import SchemaRepository
    from server.sink.watch import Tail

NICER: Final = 10
LOCK: Final = "samples"
WRITE_ROUNDS: Final = 5
READ_SHARE: Final = 0.8  # Of the period, for reading.
MOST_READ_S: Final = 10.0  # A drain may have to wait for it.

_logger = logging.getLogger("plausibility")
_limited = Limited(_logger)


class Materials(Protocol):
    """The part of boot.generation.Generation that is used here. Relative paths are relative to ``data_dir``."""

    config: Config
    data_dir: Path
    snapshot: Snapshot
    schemas: SchemaRepository
    link: Link


class Sampling:
    """The sampling process of one generation."""

    def __init__(self, materials: Materials, context: WorkerContext) -> None:
        self._materials = materials
        self._config = materials.config
        self._settings = materials.config.plausibility.samples
        self._directory = materials.data_dir / materials.config.plausibility.path
        self._context = context
        self._snapshot = materials.snapshot
        self._life = CompanionLife(context, self._config.process.beat_s, _logger)
        self._fields = fields_in(self._config.intake)
        self._lock = Lock(self._directory / LOCK)
        self._salt = b""
        self._round = 0
        self._samples: dict[str, StreamSample] = {}
        self._learned: dict[str, LearnedFields] = {}
        self._following: SnapshotFollower | None = None
        if not materials.snapshot.is_open:
            publication, prefix = materials.link.publication, materials.config.sink.topic_prefix
            self._following = SnapshotFollower(publication, materials.snapshot, prefix, self._use)

    async def run(self) -> None:
        """Take samples until told to stop."""
        self._life.begin(self._follow)
        if self._following is not None:
            self._following.catch_up()
        await self._life.work(self._rounds())
        if self._lock.is_held:
            self._write_learned()

    async def _rounds(self) -> None:
        loop, period_s = asyncio.get_running_loop(), self._settings.period_s
        tail: Tail | None = None
        while True:
            next_s = loop.time() + period_s
            try:
                if self._may_sample():
                    if tail is None:
                        tail = await loop.run_in_executor(None, self._open)
                    await self._once(tail)
            except (SettingsError, WatchError, OSError) as why:
                _limited.warning("samples", "no samples of events could be taken: %s", why)
            await asyncio.sleep(max(0.0, next_s - loop.time()))

    def _may_sample(self) -> bool:
        """Whether this process has the lock."""
        return self._lock.take(self._begin)

    def _begin(self) -> None:
        """Take over what was learned, and the secret. Raises OSError: it may be readable in the next round, and must
        not be replaced before."""
        for name in (REPORT, LEARNED):
            sweep(self._directory / name)
        learned = read_learned(self._directory)
        self._salt, self._learned, self._samples = learned.salt, learned.streams, {}

    def _open(self) -> Tail:
        make_tail = kind_of(self._config.sink).tail
        if make_tail is None:
            raise SettingsError(f"sink.kind: {self._config.sink.kind} stores no events that could be read")
        return make_tail(self._config.sink, self._materials.data_dir)

    async def _once(self, tail: Tail) -> None:
        loop, most = asyncio.get_running_loop(), self._settings.per_stream
        streams = [stream for stream in self._snapshot.streams() if stream.enabled and not is_regex(stream.name)]
        topics = list(dict.fromkeys(stream.topic for stream in streams))
        random.shuffle(topics)  # Where time does not suffice for all, others are left out each time.
        within_s = min(MOST_READ_S, READ_SHARE * self._settings.period_s)
        stored = await loop.run_in_executor(None, lambda: tail.take(topics, most, within_s))
        minute = int(time.time() // 60)
        reports = {}
        for stream in streams:
            values = [one.value for one in stored.get(stream.topic, ())]
            rate = sample_rate_of(stream.settings)
            reports[stream.name] = self._sample(stream.name, minute).take(values, self._watched(stream), rate, minute)
            await asyncio.sleep(0)  # The beat of this process must not wait for all of them.
        self._samples = {name: sample for name, sample in self._samples.items() if name in reports}
        self._round += 1
        write_report(self._directory, Report(self._round, time.time(), reports))
        if self._round % WRITE_ROUNDS == 0:
            self._write_learned()

    def _sample(self, stream: str, minute: int) -> StreamSample:
        found = self._samples.get(stream)
        if found is None:
            found = self._samples[stream] = StreamSample(minute, self._salt, self._fields)
            if (learned := self._learned.get(stream)) is not None:
                found.restore(learned.born, learned.windows, learned.spreads)
        return found

    def _watched(self, stream: Stream) -> list[str]:
        wanted = settings_of(stream.settings).fields
        if wanted is not True or stream.schema_title is None:
            return wanted if isinstance(wanted, list) else []
        versions = self._materials.schemas.versions(stream.schema_title)
        found = self._materials.schemas.find_here(versions[-1]) if versions else ("", "")
        return fields_of(found.schema) if not isinstance(found, tuple) else []

    def _write_learned(self) -> None:
        """Keep what was learned of fields."""
        streams = {
            name: LearnedFields(sample.drift.born, sample.drift.windows, sample.drift.spreads)
            for name, sample in self._samples.items()
            if sample.drift.spreads
        }
        try:
            write_learned(self._directory, self._salt, streams)
        except OSError as failed:
            _limited.warning("fields", "what was learned of fields cannot be kept: %s", failed)

    def _use(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    def _follow(self) -> None:
        if self._following is not None:
            self._following.look(asyncio.get_running_loop().call_later)


def fields_in(intake: Intake) -> Fields:
    """Return where events of these settings have what is read."""
    return Fields(identity=tuple(intake.id_field.split(".")), received=tuple(intake.dt_field.split(".")))


def run(materials: Materials, context: WorkerContext) -> int:
    """Be the sampling process until told to stop. Returns the exit code."""
    os.nice(NICER)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(Sampling(materials, context).run())
    return 0
