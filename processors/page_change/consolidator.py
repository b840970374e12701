"""Consolidate records of all inputs into one stream: the core of the embedded runner, without I/O.

Place: embedded.run → HERE → map, page, records.
Rule: timers fire one by one in the order of (time, page), so the whole output is the same however the inputs were
interleaved.
Not here: watermarks of partitions (embedded.watermarks), what is stored (embedded.store), how a step is written
(records).
"""

from __future__ import annotations

import heapq
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Final

from processors.page_change.draft import Bounds, Draft, Heartbeat, Kind
from processors.page_change.format import Names
from processors.page_change.map import STREAMS, digest_of, map_event
from processors.page_change.page import Page
from processors.page_change.records import Output, Records

Key = tuple[str, int]
# What is counted in addition to the one verdict of each source event.
FACTS: Final = frozenset({"unmerged", "missed_revision", "rev_dt_unknown", "flushed", "refused", "too_large"})
MOST_IDLE: Final = 20_000  # Some 9 MB.
FOREVER: Final = 1 << 62


class Consolidator:
    """All pages. ``load`` returns a stored page or None; ``check`` says why an output is not valid, or None; ``most``
    has the bytes of the largest record of each stream.

    ``dirty`` are the pages that changed since ``clean``. ``counts``, ``kinds`` and ``aside`` are those of the records.
    """

    def __init__(
        self,
        bounds: Bounds,
        names: Names,
        load: Callable[[Key], Page | None] = lambda key: None,
        check: Callable[[bytes], str | None] = lambda value: None,
        streams: Mapping[str, Kind] = STREAMS,
        most: Mapping[str, int] | None = None,
    ) -> None:
        self._bounds = bounds
        self._names = names
        self._load = load
        self._records = Records(names, check, most)
        self._streams = streams
        self._pages: dict[Key, Page] = {}
        self._idle: OrderedDict[Key, Page] = OrderedDict()  # Stored, and likely to change again soon.
        self._timers: dict[int, list[Key]] = {}  # Instant → pages.
        self._instants: list[int] = []  # A heap of them: numbers take half the time that pairs take.
        self.dirty: set[Key] = set()
        self.counts = self._records.counts
        self.kinds = self._records.kinds
        self.aside = self._records.aside
        self.watermark = -1

    @property
    def pending(self) -> int:
        """The number of events that wait."""
        return sum(len(page.pending) for page in self._pages.values())

    def resume(self, pages: Mapping[Key, Page], watermark: int) -> None:
        """Go on with the stored pages that have waiting events."""
        self.watermark = watermark
        self._pages.update(pages)
        for key, page in pages.items():
            for draft in page.pending:
                self._set_timer(draft.at + self._bounds.reorder_ms, key)

    def take(self, raw: bytes, at: int | None) -> list[Output]:
        """Take one record. Returns the records that follow at once: of late, repeated and invalid events."""
        draft = map_event(raw, at, self._streams)
        if not isinstance(draft, Draft):
            if isinstance(draft, Heartbeat):
                self.counts[draft.stream, "canary"] += 1
                return []
            return [self._records.refused(draft, at or 0, digest_of(draft.raw))]
        key = (draft.wiki, draft.page_id)
        page = self._pages.get(key) or self._fetched(key)
        steps, timer = page.take(draft, self.watermark, self._bounds)
        self.dirty.add(key)
        if timer is not None:
            self._set_timer(timer, key)
        return self._records.of(steps, self.watermark) if steps else []

    def advance(self, watermark: int) -> list[Output]:
        """Fire the timers up to a watermark, in order. A smaller one than before has no effect."""
        found: list[Output] = []
        instants, timers, bounds = self._instants, self._timers, self._bounds
        page_of, records_of = self._pages.get, self._records.of
        while instants and instants[0] <= watermark:
            now = heapq.heappop(instants)
            keys = timers.pop(now)
            if len(keys) > 1:
                keys.sort()
            for key in keys:
                page = page_of(key)
                if page is not None and (steps := page.fire(now, bounds)):
                    self.dirty.add(key)
                    found += records_of(steps, now)
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
        """All pages are stored: of those that have nothing to wait for, keep the ones that changed last."""
        idle = self._idle
        for key in self.dirty:
            if not self._pages[key].pending:
                idle[key] = self._pages.pop(key)
        self.dirty.clear()
        while len(idle) > MOST_IDLE:
            idle.popitem(last=False)

    def _set_timer(self, at: int, key: Key) -> None:
        keys = self._timers.get(at)
        if keys is None:
            self._timers[at] = [key]
            heapq.heappush(self._instants, at)
        else:
            keys.append(key)

    def _fetched(self, key: Key) -> Page:
        page = self._idle.pop(key) if key in self._idle else self._load(key)
        page = self._pages[key] = Page() if page is None else page
        return page
