"""The embedded runner: read, consolidate, commit.

Place: commands.processing.process → HERE → inputs, consolidator, outputs, store.
Rules: one thread. A commit holds the outputs, the state and the positions of everything read so far; reading goes on
there after a stop or a kill. TERM and INT end the run after a commit, or without one if the brokers of the output are
away for longer than ``drain_s``.
Not here: the order (page, order), the kinds of inputs (embedded.inputs).
"""

from __future__ import annotations

import gc
import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from msgspec import Struct

from processors.page_change.catalog import Catalog, checker
from processors.page_change.consolidator import Consolidator
from processors.page_change.embedded.clients import check as check_properties
from processors.page_change.embedded.inputs import Batch, Input, shown
from processors.page_change.embedded.kafka_input import KafkaInput
from processors.page_change.embedded.metrics import Metrics, Told
from processors.page_change.embedded.outputs import Addressed, IntoKafka, IntoStore, Outputs
from processors.page_change.embedded.sqlite_input import SqliteInput
from processors.page_change.embedded.stop import GivenUpError, Stop
from processors.page_change.embedded.store import Store
from processors.page_change.embedded.watermarks import Watermarks
from processors.page_change.limits import most_bytes
from processors.page_change.records import Output
from processors.page_change.settings import PageChangeSettings
from server.config.kafka.consumers import reaching
from server.errors import SettingsError

REPORT_EVERY_S: Final = 60.0
NAME: Final = "penstock-page-change"  # By which the brokers know the consumer.

log = logging.getLogger("page_change")


class Counts(Struct, frozen=True):
    """The counts of one run: a number for each stream and verdict."""

    read: int
    written: int
    by_verdict: dict[str, dict[str, int]]
    pending: int
    watermark: int


class Runner:
    """One processor. Making one raises GivenUpError if ``stop`` is asked for before a broker has answered."""

    def __init__(
        self, settings: PageChangeSettings, base_dir: Path, catalog: Catalog, stop: Stop | None = None
    ) -> None:
        self._stop = stop or Stop(settings.drain_s)
        self._settings = settings
        self._catalog = catalog
        bounds = settings.bounds
        self._bounds = bounds
        self._store = Store(base_dir / settings.path)
        positions, newest, watermark = self._store.positions()
        self._marks = Watermarks(bounds.disorder_ms, newest)
        self._input = _input(settings, catalog, positions, self._stop)
        self._compare(positions)
        most = most_bytes(settings, catalog)
        self._outputs = _outputs(catalog, most)
        check = checker(catalog.generation.schemas)
        self._consolidator = Consolidator(bounds, settings.names, self._store.load, check, settings.inputs, most)
        self._consolidator.resume(self._store.waiting(), watermark)
        self._unwritten: list[Addressed] = []
        self._positions: dict[str, int] = {}  # Those that changed since the last commit.
        self._stored = dict(positions)
        self._read = self._written = self._since_commit = 0
        self._forgotten_at = 0
        self._commits = 0
        self._committed_at = time.time()
        self.metrics = Metrics(self._store.path)
        self.metrics_port = self.metrics.listen(settings.metrics_listen) if settings.metrics_listen else 0
        self._tell()

    def run(self, *, once: bool = False, on_commit: Callable[[], None] = lambda: None) -> Counts:
        """Work until told to stop, or with ``once`` until every input was read to its end and everything is emitted.
        Raises PenstockError."""
        # Nothing here makes cycles: looking for some would take a tenth of the time. What libraries leave is collected
        # with each report.
        gc.freeze()
        gc.disable()
        try:
            self._work(once=once, on_commit=on_commit)
        except GivenUpError as reason:
            log.warning("stopped without the last commit: %s; the next run reads the same events again", reason)
        finally:
            gc.enable()
            gc.unfreeze()
        self._report()
        return self.counts()

    def _work(self, *, once: bool, on_commit: Callable[[], None]) -> None:
        committed = reported = time.monotonic()
        log.info("reading the topics %s", ", ".join(sorted(self._catalog.topics)))
        while not self._stop.is_asked:
            partitions = self._input.partitions()
            least = self._marks.least_ahead(partitions)
            batches = self._input.read(least)
            for batch in batches:
                self._take(batch)
            is_done = once and self._is_at_end(batches)
            watermark = self._marks.value(self._input.partitions())
            self._add(self._consolidator.advance(watermark))
            if is_done:
                self._add(self._consolidator.flush())
            now = time.monotonic()
            if (
                is_done
                or self._since_commit >= self._settings.commit_events
                or now - committed >= self._settings.commit_s
            ):
                self._commit()
                on_commit()
                committed = now
            if is_done:
                break
            if now - reported >= REPORT_EVERY_S:
                self._report()
                gc.collect()
                reported = now
        self._commit()

    def close(self) -> None:
        """Release everything. The next run reads again from the last commit."""
        self._input.close()
        self._store.close()

    def counts(self) -> Counts:
        """Return what was counted since the start."""
        by_verdict: dict[str, dict[str, int]] = {}
        for (stream, verdict), count in sorted(self._consolidator.counts.items()):
            by_verdict.setdefault(verdict, {})[stream] = count
        return Counts(self._read, self._written, by_verdict, self._consolidator.pending, self._consolidator.watermark)

    def state_sizes(self) -> tuple[int, int]:
        """Return the number of stored pages and the bytes of their states."""
        return self._store.sizes()

    def _compare(self, positions: Mapping[str, int]) -> None:
        """Warn if the state is of other inputs than those that are there."""
        read, there = {shown(name) for name in positions}, {shown(name) for name in self._input.partitions()}
        if read and there and read.isdisjoint(there):
            log.warning(
                "the state %s is of other inputs, such as %s: what is older than it in %s is late",
                *(self._store.path, min(read), min(there)),
            )

    def _take(self, batch: Batch) -> None:
        take, add = self._consolidator.take, self._add
        newest = -1
        clock = time.time_ns() // 1_000_000  # A time in the future must not make all others late.
        for record in batch.records:
            at = record.at
            if at > newest:
                newest = at
            if found := take(record.value, at):
                add(found)
        self._marks.note(batch.partition, min(newest, clock), batch.ended_at)
        if batch.position != self._stored.get(batch.partition, 0):
            self._positions[batch.partition] = self._stored[batch.partition] = batch.position
        self._read += len(batch.records)
        self._since_commit += len(batch.records)

    def _is_at_end(self, batches: list[Batch]) -> bool:
        is_quiet = not any(batch.records for batch in batches)
        return is_quiet and self._marks.least_ahead(self._input.partitions()) is None

    def _add(self, outputs: list[Output]) -> None:
        topic_of = self._catalog.topic_of
        self._unwritten += [(topic_of[output.stream], output) for output in outputs]

    def _commit(self) -> None:
        """Write and store everything since the last commit."""
        dirty = self._consolidator.dirty
        if not (dirty or self._unwritten or self._positions):
            self._tell()  # The clock goes on: idle inputs are not behind it.
            return
        kept = self._outputs.write(self._unwritten, self._stop)
        pages = ((key, self._consolidator.page(key)) for key in dirty)
        positions = {name: (where, self._marks.newest.get(name, -1)) for name, where in self._positions.items()}
        self._store.commit(pages, kept, positions, self._consolidator.watermark)
        self._consolidator.clean()
        self._written += len(self._unwritten)
        self._unwritten = []
        self._positions = {}
        self._since_commit = 0
        self._commits += 1
        self._committed_at = time.time()
        self._tell()
        self._forget()

    def _forget(self) -> None:
        """Delete the states that are too old to be used, a few times for each time that they live."""
        watermark = self._consolidator.watermark
        if watermark - self._forgotten_at > self._bounds.ttl_ms // 8:
            self._forgotten_at = watermark
            self._store.forget_before(watermark - self._bounds.ttl_ms)

    def _tell(self) -> None:
        """Hand the counts to the metrics."""
        core = self._consolidator
        told = Told(
            *(dict(core.counts), dict(core.kinds), dict(core.aside), self._marks.times(self._input.partitions())),
            *(self._commits, self._committed_at, core.watermark, core.pending),
        )
        self.metrics.tell(told)

    def _report(self) -> None:
        counts = self.counts()
        log.info(
            "read %d events and wrote %d; %d wait",
            *(counts.read, counts.written, counts.pending),
            extra={"watermark_ms": counts.watermark, "verdicts": counts.by_verdict},
        )


def _input(settings: PageChangeSettings, catalog: Catalog, positions: dict[str, int], stop: Stop) -> Input:
    """Open the input of the intake's kind of sink."""
    sink = catalog.generation.config.sink
    if sink.kind == "sqlite":
        check_properties(settings.kafka)
        return SqliteInput(
            catalog.generation.data_dir / sink.sqlite.path, catalog.topics, positions, has_identities=True
        )
    if sink.kind == "kafka":
        own = {"group.id": NAME, "client.id": NAME, **settings.kafka}
        return KafkaInput(reaching(sink.kafka, own), catalog.topics, positions, stop, has_identities=True)
    raise SettingsError(f"sink.kind is {sink.kind}: it keeps nothing that a processor could read")


def _outputs(catalog: Catalog, most: dict[str, int]) -> Outputs:
    sink = catalog.generation.config.sink
    return IntoKafka(sink.kafka, most) if sink.kind == "kafka" else IntoStore()
