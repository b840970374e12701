"""Consolidate records of all inputs into one stream: the core of the embedded runner, without I/O.

Place: embedded.run → HERE → map, page, format.
Rules: timers fire one by one in the order of (time, page), so the whole output is the same however the inputs were
interleaved. Every output is validated; one that is not valid becomes an error event.
Not here: watermarks of partitions (embedded.watermarks), what is stored (embedded.store).
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Final

import orjson
from msgspec import Struct

from processors.page_change import format as formats
from processors.page_change.draft import Bounds, Heartbeat, Invalid, Kind, Step
from processors.page_change.format import Names
from processors.page_change.map import STREAMS, digest_of, map_event
from processors.page_change.page import Page

Key = tuple[str, int]
# Verdicts whose events go to the stream of inconsistencies. Whether a revision is not current is not certain while a
# deletion or a restore may be late, and what is hidden must not stay visible without a trace.
INCONSISTENT: Final = frozenset(
    {"undelete_of_present", "delete_of_gone", "visibility_of_gone", "visibility_of_unseen", "not_current", "overtaken"}
)
# What is counted in addition to the one verdict of each source event.
FACTS: Final = frozenset({"unmerged", "missed_revision", "rev_dt_unknown", "flushed", "refused"})
FOREVER: Final = 1 << 62


class Output(Struct, frozen=True):
    """One record to write: its stream, its key (None for errors), its time, its value."""

    stream: str
    key: bytes | None
    at: int
    value: bytes


def outputs_of(
    steps: list[Step], names: Names, watermark: int, counts: Counter[tuple[str, str]]
) -> list[tuple[Output, str, str]]:
    """Render steps, and count the verdict of every source event. Returns each record with the source of its event and
    the kind of its change."""
    found: list[tuple[Output, str, str]] = []
    for step in steps:
        first = step.parts[0]
        counts[first.stream, step.verdict] += 1
        for part in step.parts[1:]:
            counts[part.stream, "merged" if step.is_emitted else step.verdict] += 1
        for fact in step.counts:
            counts[first.stream, fact] += 1
        if not (step.is_emitted or step.note or step.verdict == "late" or step.verdict in INCONSISTENT):
            continue
        key = key_of(first.wiki, first.page_id)
        if step.is_emitted:
            output, is_known = _change(step, names, key)
            if not is_known:
                counts[first.stream, "rev_dt_unknown"] += 1
            if output.stream == names.error:
                counts[names.output, "refused"] += 1
            found.append((output, first.source, step.kind))
        reason = step.note or (step.verdict if step.verdict in INCONSISTENT else "")
        if reason:
            told = formats.aside(names.inconsistent, formats.INCONSISTENT_SCHEMA, first, reason, step.before, -1)
            found.append((Output(names.inconsistent, key, first.at, orjson.dumps(told)), first.source, step.kind))
        if step.verdict == "late":
            told = formats.aside(names.late, formats.LATE_SCHEMA, first, "late", step.before, watermark)
            found.append((Output(names.late, key, first.at, orjson.dumps(told)), first.source, step.kind))
    return found


def _change(step: Step, names: Names, key: bytes) -> tuple[Output, bool]:
    """Return the record of an emitted step, and whether the time of its revision is known. A source event with members
    of types that its schema does not allow becomes an error event: no input may stop the processor."""
    first = step.parts[0]
    try:
        event, is_known = formats.page_change(step, names.output)
        return Output(names.output, key, first.at, orjson.dumps(event)), is_known
    except (AttributeError, KeyError, TypeError, ValueError) as fault:
        invalid = Invalid(first.stream, f"it cannot be rendered: {fault}", first.raw)
        error = formats.error_event(names.error, invalid, first.at, first.source)
        return Output(names.error, None, first.at, orjson.dumps(error)), True


def key_of(wiki: str, page_id: int) -> bytes:
    """Return the key of a record, as the intake makes it from ``{wiki_id: …, page_id: …}``."""
    return b"%b%d}" % (_key_head(wiki), page_id)


@lru_cache(maxsize=4096)
def _key_head(wiki: str) -> bytes:
    return b'{"wiki_id":' + orjson.dumps(wiki) + b',"page_id":'


class Consolidator:
    """All pages. ``load`` returns a stored page or None; ``check`` says why an output is not valid, or None.

    ``dirty`` are the pages that changed since ``clean``. ``counts`` has a number for each stream and verdict,
    ``kinds`` one for each kind of change in the output, ``aside`` one for each side stream.
    """

    def __init__(
        self,
        bounds: Bounds,
        names: Names,
        load: Callable[[Key], Page | None] = lambda key: None,
        check: Callable[[bytes], str | None] = lambda value: None,
        streams: Mapping[str, Kind] = STREAMS,
    ) -> None:
        self._bounds = bounds
        self._names = names
        self._load = load
        self._check = check
        self._streams = streams
        self._pages: dict[Key, Page] = {}
        self._timers: list[tuple[int, Key]] = []
        self.dirty: set[Key] = set()
        self.counts: Counter[tuple[str, str]] = Counter()
        self.kinds: Counter[str] = Counter()
        self.aside: Counter[str] = Counter()
        self.watermark = -1
        self.pending = 0

    def resume(self, pages: Mapping[Key, Page], watermark: int) -> None:
        """Go on with the stored pages that have waiting events."""
        self.watermark = watermark
        self._pages.update(pages)
        for key, page in pages.items():
            self.pending += len(page.pending)
            for draft in page.pending:
                heapq.heappush(self._timers, (draft.at + self._bounds.reorder_ms, key))

    def take(self, raw: bytes, at: int | None) -> list[Output]:
        """Take one record. Returns the records that follow at once: of late, repeated and invalid events."""
        draft = map_event(raw, at, self._streams)
        if isinstance(draft, Heartbeat):
            self.counts[draft.stream, "canary"] += 1
            return []
        if isinstance(draft, Invalid):
            return [self._refuse(draft, at)]
        key = draft.key
        page = self._page(key)
        self.pending -= len(page.pending)
        steps, timer = page.take(draft, self.watermark, self._bounds)
        self.pending += len(page.pending)
        self.dirty.add(key)
        if timer is not None:
            heapq.heappush(self._timers, (timer, key))
        return self._written(steps, self.watermark) if steps else []

    def advance(self, watermark: int) -> list[Output]:
        """Fire the timers up to a watermark, in order. A smaller one than before has no effect."""
        found: list[Output] = []
        while self._timers and self._timers[0][0] <= watermark:
            now, key = heapq.heappop(self._timers)
            page = self._pages.get(key)
            if page is None or not page.pending:
                continue
            before = len(page.pending)
            steps = page.fire(now, self._bounds)
            if steps:
                self.pending += len(page.pending) - before
                self.dirty.add(key)
                found += self._written(steps, now)
        self.watermark = max(self.watermark, watermark)
        return found

    def flush(self) -> list[Output]:
        """Fire all timers: the inputs have no more events. The watermark stays where it is."""
        watermark = self.watermark
        found = self.advance(FOREVER)
        self.watermark = watermark
        return found

    def page(self, key: Key) -> Page:
        """Return a page, for the store."""
        return self._pages[key]

    def clean(self) -> None:
        """Forget the pages that have nothing to wait for: they are stored."""
        for key in self.dirty:
            if not self._pages[key].pending:
                del self._pages[key]
        self.dirty.clear()

    def _page(self, key: Key) -> Page:
        page = self._pages.get(key)
        if page is None:
            page = self._pages[key] = self._load(key) or Page()
        return page

    def _written(self, steps: list[Step], watermark: int) -> list[Output]:
        found = []
        for output, source, kind in outputs_of(steps, self._names, watermark, self.counts):
            if output.stream != self._names.output:
                self.aside[output.stream] += 1
                found.append(output)
                continue
            fault = self._check(output.value)
            if fault is None:
                self.kinds[kind] += 1
                found.append(output)
            else:
                self.counts[output.stream, "refused"] += 1
                found.append(self._error(Invalid(output.stream, fault, output.value), output.at, source))
        return found

    def _refuse(self, invalid: Invalid, at: int | None) -> Output:
        self.counts[invalid.stream, "invalid"] += 1
        return self._error(invalid, at or 0, digest_of(invalid.raw))

    def _error(self, invalid: Invalid, at: int, source: str) -> Output:
        self.aside[self._names.error] += 1
        event = formats.error_event(self._names.error, invalid, at, source)
        return Output(self._names.error, None, at, orjson.dumps(event))
