"""The two functions of the Flink job: understand a record, and keep a page.

Place: flink.job → HERE → map, page, format.
Rules: the core is the same as in the embedded runner; here are only its state, its timers and its counters. A page is
one value of the keyed state (codec). Rows are ``(stream, wiki, page, time, value)``, with an empty stream for a draft
that goes on to the keyed function.
Not here: sources, sinks and their settings (job).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import orjson
from pyflink.common import Row, Time, Types
from pyflink.datastream import KeyedProcessFunction, ProcessFunction, RuntimeContext
from pyflink.datastream.state import StateTtlConfig, ValueState, ValueStateDescriptor

from processors.page_change import format as formats
from processors.page_change.catalog import checker, open_catalog
from processors.page_change.codec import packed, packed_draft, unpacked, unpacked_draft
from processors.page_change.consolidator import outputs_of
from processors.page_change.draft import Heartbeat, Invalid, Step
from processors.page_change.map import digest_of, map_event
from processors.page_change.page import Page
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

    def add(self, counts: Counter[tuple[str, str]]) -> None:
        """Add counts of (stream, verdict)."""
        for key, count in counts.items():
            counter = self._counters.get(key)
            if counter is None:
                stream, verdict = key
                group = self._group.add_group("stream", stream or "none")
                counter = self._counters[key] = group.counter(verdict)
            counter.inc(count)


class Understand(ProcessFunction):
    """Map a record. Canaries end here: their times have moved the watermark in the source already."""

    def __init__(self, settings: PageChangeSettings) -> None:
        self._settings = settings

    def open(self, runtime_context: RuntimeContext) -> None:
        """Prepare the counters."""
        self._counters = _Counters(runtime_context)

    def process_element(self, value: bytes, ctx: ProcessFunction.Context) -> Iterator[Row]:
        """Yield a draft, or an error event."""
        at = ctx.timestamp()
        draft = map_event(value, at, self._settings.inputs)
        if isinstance(draft, Heartbeat):
            self._counters.add(Counter({(draft.stream, "canary"): 1}))
        elif isinstance(draft, Invalid):
            self._counters.add(Counter({(draft.stream, "invalid"): 1}))
            event = formats.error_event(self._settings.error, draft, at, digest_of(draft.raw))
            yield Row(self._settings.error, "", 0, at, b"", orjson.dumps(event).decode())
        else:
            yield Row("", draft.wiki, draft.page_id, at, packed_draft(draft), "")


class KeepPage(KeyedProcessFunction):
    """The page of one key. ``config`` is the file of the settings, which every task manager has."""

    def __init__(self, config: Path, settings: PageChangeSettings) -> None:
        self._config = config
        self._settings = settings
        self._bounds = settings.bounds
        self._names = settings.names

    def open(self, runtime_context: RuntimeContext) -> None:
        """Compile the schema of the output, and describe the state."""
        settings, base_dir = load(self._config)
        self._check = checker(open_catalog(settings, base_dir).generation.schemas)
        self._counters = _Counters(runtime_context)
        descriptor = ValueStateDescriptor("page", Types.PICKLED_BYTE_ARRAY())
        # The core forgets by event time. Twice that by the clock only frees the disk.
        descriptor.enable_time_to_live(lifetime(2 * self._bounds.ttl_ms))
        self._state: ValueState = runtime_context.get_state(descriptor)

    def process_element(self, value: Row, ctx: KeyedProcessFunction.Context) -> Iterator[Row]:
        """Take one draft, and set its timer."""
        draft = unpacked_draft(value[4])
        page = self._page(draft.wiki, draft.page_id)
        watermark = ctx.timer_service().current_watermark()
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
            self._state.update(packed(page))
            yield from self._rows(steps, timestamp)

    def _page(self, wiki: str, page_id: int) -> Page:
        stored = self._state.value()
        return Page() if stored is None else unpacked(stored, wiki, page_id)

    def _rows(self, steps: list[Step], watermark: int) -> Iterator[Row]:
        if not steps:
            return
        counts: Counter[tuple[str, str]] = Counter()
        first = steps[0].parts[0]
        for output, source, _kind in outputs_of(steps, self._names, watermark, counts):
            stream, body = output.stream, output.value
            fault = self._check(body) if stream == self._names.output else None
            if fault is not None:
                counts[stream, "refused"] += 1
                invalid = Invalid(stream, fault, body)
                body = orjson.dumps(formats.error_event(self._names.error, invalid, output.at, source))
                stream = self._names.error
            yield Row(stream, first.wiki, first.page_id, output.at, body.decode())
        self._counters.add(counts)
