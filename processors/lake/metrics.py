"""The metrics of the lake, for Prometheus.

Place: run → HERE → the address of ``metrics_listen``; docs/LAKE.md lists them.
Rules: the run hands over its totals with each commit, so a scrape never shows an event that a kill could take back;
only the times of the partitions are newer. A scrape asks the run nothing. Label values are streams, partitions and
four verdicts, never anything of an event.
Not here: counting (landing), serving (processors.metrics_server).
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Final

from msgspec import Struct
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from processors.lake.head import Head
from processors.metrics_server import families

PREFIX: Final = "penstock_lake_"
# Name without prefix, type, labels, help. The table of docs/LAKE.md is made from it.
DECLARED: Final = (
    (
        "events",
        "counter",
        ("stream", "verdict"),
        "Events since the tables were made: `row`, `canary`, `duplicate` or `rejected`.",
    ),
    ("commits", "counter", (), "Commits of streams since the start."),
    ("last_commit_time_seconds", "gauge", (), "When the last look for something to commit was, in seconds since 1970."),
    ("closed_through_seconds", "gauge", ("stream",), "All hours before this time, in seconds since 1970, are closed."),
    ("partition_lag_seconds", "gauge", ("partition",), "Time by which the newest record read is behind the clock."),
)


class Totals(Struct, frozen=True):
    """The counts at one commit. ``closed_through`` is in milliseconds."""

    verdicts: dict[str, dict[str, int]]
    closed_through: dict[str, int]
    commits: int
    committed_at: float


class Metrics(Collector):
    """The values that a scrape shows."""

    def __init__(self) -> None:
        self._totals: Totals | None = None
        self._times: Mapping[str, int] = {}

    def tell(self, totals: Totals) -> None:
        """Take the counts of a commit."""
        self._totals = totals

    def tell_times(self, times: Mapping[str, int]) -> None:
        """Take the time that each partition has reached, in milliseconds. The mapping must not change any more."""
        self._times = times

    def collect(self) -> Iterator[Metric]:
        """Yield every metric."""
        yield from families(PREFIX, DECLARED, self._values())

    def _values(self) -> dict[str, dict[tuple[str, ...], float]]:
        """Return the value of each metric by its labels."""
        now, totals = time.time(), self._totals
        found: dict[str, dict[tuple[str, ...], float]] = {name: {} for name, *_ in DECLARED}
        found["partition_lag_seconds"] = {(name,): now - at / 1000 for name, at in self._times.items()}
        if totals is None:
            return found
        for stream, counts in totals.verdicts.items():
            found["events"] |= {(stream, verdict): count for verdict, count in counts.items()}
        found["commits"][()] = totals.commits
        found["last_commit_time_seconds"][()] = totals.committed_at
        found["closed_through_seconds"] = {(name,): at / 1000 for name, at in totals.closed_through.items() if at}
        return found


def verdicts_of(head: Head) -> dict[str, int]:
    """Return how many events had each verdict."""
    return {"row": head.rows, "canary": head.canaries, "duplicate": head.duplicates, "rejected": head.rejected}
