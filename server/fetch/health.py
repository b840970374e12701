"""Share the health of each URL of streams between processes, for pages and metrics.

Place: fetch.fetched_streams writes → HERE → the pages of a worker, metrics.
Rules: it is made before the fork, with one row per URL in the order of the settings. A cell is one aligned 64-bit
integer with one writer. Times are milliseconds since 1970; 0 means never.
Not here: why something failed (the log).
"""

from __future__ import annotations

import mmap
import time
from collections.abc import Sequence
from typing import NamedTuple

_GOOD_MS, _FAILING_MS, _FAILURES = range(3)
_ROW_CELLS = 4


class UrlHealth(NamedTuple):
    """The health of one URL. ``good_age_s``: how long ago its answer was last right. ``failing_s``: for how long it has
    failed."""

    url: str
    good_age_s: float
    failing_s: float
    failures: int


class Health:
    """The health of all URLs. ``fetched_at`` has, for the answer of each URL that this generation began with, the time
    at which it was last found to be current, in seconds since 1970."""

    def __init__(self, urls: Sequence[str], fetched_at: Sequence[float]) -> None:
        self._urls = list(urls)
        self._cells = memoryview(mmap.mmap(-1, max(1, len(urls)) * _ROW_CELLS * 8)).cast("q")
        for row, at in enumerate(fetched_at):
            self._cells[row * _ROW_CELLS + _GOOD_MS] = int(at * 1000)

    def note_good(self, url: str) -> None:
        row = self._urls.index(url) * _ROW_CELLS
        self._cells[row + _GOOD_MS] = _now_ms()
        self._cells[row + _FAILING_MS] = 0

    def note_failure(self, url: str) -> None:
        row = self._urls.index(url) * _ROW_CELLS
        self._cells[row + _FAILURES] += 1
        if not self._cells[row + _FAILING_MS]:
            self._cells[row + _FAILING_MS] = _now_ms()

    def all(self) -> list[UrlHealth]:
        now_ms = _now_ms()
        found = []
        for index, url in enumerate(self._urls):
            good_ms, failing_ms, failures = self._cells[index * _ROW_CELLS : index * _ROW_CELLS + 3].tolist()
            failing_s = (now_ms - failing_ms) / 1000 if failing_ms else 0.0
            found.append(UrlHealth(url, (now_ms - good_ms) / 1000, failing_s, failures))
        return found


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
