"""The metrics of the embedded runner, for Prometheus.

Place: embedded.run → HERE → the address of ``metrics_listen``; docs/PAGE_CHANGE.md lists them.
Rules: the runner hands over its counts with each commit, or when there is nothing to commit, and a scrape shows those:
it asks the runner nothing. Label values are streams, kinds and verdicts, never anything of an event. The size of the
state is read by the scrape itself, at most once a minute.
Not here: counting (consolidator, run), the metrics of the intake (server.metrics).
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final
from urllib.parse import quote

from msgspec import Struct
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from processors.metrics_server import families, listen
from processors.page_change.consolidator import FACTS

PREFIX: Final = "penstock_page_change_"
SIZES_EVERY_S: Final = 60.0
# Name without prefix, type, labels, help. The table of docs/PAGE_CHANGE.md is made from it.
DECLARED: Final = (
    ("events_in", "counter", ("stream",), "Source events that have a verdict, by input stream; canaries too."),
    ("events_out", "counter", ("kind",), "Changes in the output, by `page_change_kind`."),
    ("side_events", "counter", ("stream",), "Events of the late, the inconsistent and the error stream."),
    (
        "verdicts",
        "counter",
        ("stream", "verdict"),
        "Source events by verdict, such as `duplicate`, `superseded`, `late`.",
    ),
    ("facts", "counter", ("stream", "fact"), "Further findings: `unmerged`, `refused`, `too_large` and others."),
    ("commits", "counter", (), "Commits."),
    ("last_commit_time_seconds", "gauge", (), "When the last one was, in seconds since 1970."),
    ("watermark_lag_seconds", "gauge", (), "Time by which the watermark is behind the clock; none before the first."),
    ("partition_lag_seconds", "gauge", ("partition",), "Time by which the newest record of a partition is behind it."),
    ("waiting_events", "gauge", (), "Events that wait for the watermark."),
    ("state_pages", "gauge", (), "Pages with a stored state."),
    ("state_bytes", "gauge", (), "Bytes of these states, with the events that wait."),
)


class Told(Struct, frozen=True):
    """The counts at one commit. ``by_verdict`` has (stream, verdict or fact), ``newest`` the time that each partition
    has reached, in milliseconds."""

    by_verdict: dict[tuple[str, str], int]
    by_kind: dict[str, int]
    aside: dict[str, int]
    newest: dict[str, int]
    commits: int
    committed_at: float
    watermark: int
    waiting: int


class Metrics(Collector):
    """The values that a scrape shows. ``database`` is that of the store."""

    def __init__(self, database: Path) -> None:
        self._database = database
        self._told: Told | None = None
        self._sizes = (0, 0)
        self._sized_at = -SIZES_EVERY_S

    def tell(self, told: Told) -> None:
        """Take the counts of a commit, or of a moment with nothing to commit."""
        self._told = told

    def listen(self, address: str) -> int:
        """Serve them at ``host:port``, in a thread. Returns the port. Raises SettingsError."""
        return listen(self, address)

    def collect(self) -> Iterator[Metric]:
        """Yield every metric."""
        told = self._told
        if told is not None:
            yield from families(PREFIX, DECLARED, self._values(told))

    def _values(self, told: Told) -> dict[str, dict[tuple[str, ...], float]]:
        """Return the value of each metric by its labels."""
        now = time.time()
        verdicts = {key: count for key, count in told.by_verdict.items() if key[1] not in FACTS}
        read: dict[tuple[str, ...], float] = {}
        for (stream, _), count in verdicts.items():
            read[stream,] = read.get((stream,), 0) + count
        pages, size = self._state_sizes()
        return {
            "events_in": read,
            "events_out": {(kind,): count for kind, count in told.by_kind.items()},
            "side_events": {(stream,): count for stream, count in told.aside.items()},
            "verdicts": {key: float(count) for key, count in verdicts.items()},
            "facts": {key: float(count) for key, count in told.by_verdict.items() if key[1] in FACTS},
            "commits": {(): told.commits},
            "last_commit_time_seconds": {(): told.committed_at},
            "watermark_lag_seconds": {(): now - told.watermark / 1000} if told.watermark >= 0 else {},
            "partition_lag_seconds": {(name,): now - newest / 1000 for name, newest in told.newest.items()},
            "waiting_events": {(): told.waiting},
            "state_pages": {(): pages},
            "state_bytes": {(): size},
        }

    def _state_sizes(self) -> tuple[int, int]:
        if time.monotonic() - self._sized_at >= SIZES_EVERY_S:
            uri = f"file:{quote(str(self._database))}?mode=ro"
            with closing(sqlite3.connect(uri, uri=True)) as database:
                found = database.execute("SELECT count(*), coalesce(sum(length(page)), 0) FROM page").fetchone()
            self._sizes, self._sized_at = (found[0], found[1]), time.monotonic()
        return self._sizes
