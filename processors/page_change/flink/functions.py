"""The two functions of the Flink job: understand a record, and keep a page.

Place: flink.job → HERE → map, page, records.
Rules: the core is the same as in the embedded runner; here are only its state, its timers and its counters. A page is
one value of the keyed state (codec). Rows are ``(stream, wiki, page, time, value)``, with an empty stream for a draft
that goes on to the keyed function.
Not here: sources, sinks and their settings (job).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from pyflink.common import Row, Time, Types
from pyflink.datastream import KeyedProcessFunction, ProcessFunction, RuntimeContext
from pyflink.datastream.state import StateTtlConfig, ValueState, ValueStateDescriptor

from processors.page_change.catalog import checker, open_catalog
from processors.page_change.codec import packed, packed_draft, unpacked, unpacked_draft
from processors.page_change.draft import Heartbeat, Invalid, Step
from processors.page_change.map import digest_of, map_event
from processors.page_change.page import Page
from processors.page_change.records import Records
from processors.page_change.settings import PageChangeSettings, load

UNDERSTOOD: Final = Types.ROW_NAMED(
    ["stream", "wiki_id", "page_id", "at", "draft", "error"],
    [Types.STRING(), Types.STRING(), Types.LONG(), Types.LONG(), Types.PICKLED_BYTE_ARRAY(), Types.STRING()],
)
WRITTEN: Final = Types.ROW_NAMED(
    ["stream", "wiki_id", "page_id", "at", "body"],
    [Types.STRING(), Types.STRING(), Types.LONG(), Types.LONG(), Types.STRING()],
)

ENTRIES_PER_CLOCK: Final = 1_000  # States that a compaction of RocksDB looks at between two looks at the clock.


def lifetime(millis: int) -> StateTtlConfig:
    """Return the settings of states that the backend deletes after so long.

    The cleanup is Flink's default, but named: to make its default, PyFlink 2.3 starts a gateway to a JVM of its own
    within the task manager, which fails in every cluster. The time of periodic compactions is not read in thread mode,
    where it is always 30 days.
    """
    return (
        StateTtlConfig.new_builder(Time.milliseconds(millis))
        .disable_cleanup_in_background()
        .cleanup_in_rocksdb_compact_filter(ENTRIES_PER_CLOCK, Time.days(30))
        .build()
    )


class _Counters:
    """Flink's counters of verdicts, made when they are first needed."""

    def __init__(self, context: RuntimeContext) -> None:
        self._group = context.get_metrics_group().add_group("page_change")
        self._counters: dict[tuple[str, str], Any] = {}

    def take(self, counts: dict[tuple[str, str], int]) -> None:
        """Move counts of (stream, verdict) into the counters."""
        for key, count in counts.items():
            counter = self._counters.get(key)
            if counter is None:
                stream, verdict = key
                group = self._group.add_group("stream", stream or "none")
                counter = self._counters[key] = group.counter(verdict)
            counter.inc(count)
        counts.clear()


class Understand(ProcessFunction):
    """Map a record. Canaries end here: their times have moved the watermark in the source already. ``most`` has the
    bytes of the largest record of each stream."""

    def __init__(self, settings: PageChangeSettings, most: dict[str, int]) -> None:
        self._settings = settings
        self._most = most

    def open(self, runtime_context: RuntimeContext) -> None:
        """Prepare the counters and the making of error events."""
        self._records = Records(self._settings.names, lambda value: None, self._most)
        self._counters = _Counters(runtime_context)

    def process_element(self, value: bytes, ctx: ProcessFunction.Context) -> Iterator[Row]:
        """Yield a draft, or an error event."""
        at = ctx.timestamp()
        draft = map_event(value, at, self._settings.inputs)
        if isinstance(draft, Heartbeat):
            self._counters.take({(draft.stream, "canary"): 1})
        elif isinstance(draft, Invalid):
            output = self._records.refused(draft, at, digest_of(draft.raw))
            self._counters.take(self._records.counts)
            yield Row(output.stream, "", 0, at, b"", output.value.decode())
        else:
            yield Row("", draft.wiki, draft.page_id, at, packed_draft(draft), "")


class KeepPage(KeyedProcessFunction):
    """The page of one key. ``config`` is the file of the settings, which every task manager has. ``most`` has the
    bytes of the largest record of each stream."""

    def __init__(self, config: Path, settings: PageChangeSettings, most: dict[str, int]) -> None:
        self._config = config
        self._names = settings.names
        self._bounds = settings.bounds
        self._most = most

    def open(self, runtime_context: RuntimeContext) -> None:
        """Compile the schema of the output, and describe the state."""
        settings, base_dir = load(self._config)
        check = checker(open_catalog(settings, base_dir).generation.schemas)
        self._records = Records(self._names, check, self._most)
        self._counters = _Counters(runtime_context)
        descriptor = ValueStateDescriptor("page", Types.PICKLED_BYTE_ARRAY())
        # The core forgets by event time. Twice that by the clock only frees the disk.
        descriptor.enable_time_to_live(lifetime(2 * self._bounds.ttl_ms))
        self._state: ValueState = runtime_context.get_state(descriptor)

    def process_element(self, value: Row, ctx: KeyedProcessFunction.Context) -> Iterator[Row]:
        """Take one draft, and set its timer."""
        draft = unpacked_draft(value[4])
        page = self._page(draft.wiki, draft.page_id)
        # Flink does not store watermarks: after a restart it begins again, and what is late must not look in time.
        watermark = max(ctx.timer_service().current_watermark(), page.fired_at)
        steps, timer = page.take(draft, watermark, self._bounds)
        self._state.update(packed(page))
        if timer is not None:
            ctx.timer_service().register_event_time_timer(timer)
        yield from self._rows(steps, watermark)

    def on_timer(self, timestamp: int, ctx: KeyedProcessFunction.OnTimerContext) -> Iterator[Row]:
        """Emit what is due."""
        wiki, _, page_id = ctx.get_current_key().rpartition("/")
        page = self._page(wiki, int(page_id))
        steps = page.fire(timestamp, self._bounds)
        if steps:
            page.fired_at = timestamp
            self._state.update(packed(page))
            yield from self._rows(steps, timestamp)

    def _page(self, wiki: str, page_id: int) -> Page:
        stored = self._state.value()
        return Page() if stored is None else unpacked(stored, wiki, page_id)

    def _rows(self, steps: list[Step], watermark: int) -> Iterator[Row]:
        if not steps:
            return
        first = steps[0].parts[0]
        for output in self._records.of(steps, watermark):
            yield Row(output.stream, first.wiki, first.page_id, output.at, output.value.decode())
        self._counters.take(self._records.counts)
