"""Metrics of the declared streams, and of the URLs that declare them.

Place: snapshot, rows of workers, fetch.link → HERE → metrics.table.
Rule: a metric is defined by its declaration alone, apart from the integer that is counted.
Not here: events by stream (metrics.event_metrics).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from server.metrics.declare import FromHost, MetricGroup, counter, gauge, one

if TYPE_CHECKING:
    from server.admin.view import HostView


def _sources(number: Callable[[float, float, int], float]) -> FromHost:
    """Label each URL by its position in the settings, because a URL may hold a secret."""
    return FromHost(
        lambda view: [
            ((str(place),), number(url.good_age_s, url.failing_s, url.failures))
            for place, url in enumerate(view.shared.link.health.all())
        ]
    )


def _snapshot_age_s(view: HostView) -> float:
    since = [row.streams[1] / 1000 for row in view.workers if row.streams[1]]
    return max(0.0, view.now_s - max(since)) if since else 0.0


CATALOG: Final = MetricGroup(
    "Streams and schemas",
    (
        gauge("catalog_streams", "Streams that are declared.", one(lambda view: len(view.shared.snapshot.names()))),
        gauge(
            "catalog_snapshots",
            "Number of different stream snapshots that workers serve with; above 1 only for moments.",
            one(lambda view: len({row.streams[0] for row in view.workers if row.streams[1]})),
        ),
        gauge(
            "catalog_snapshot_age_seconds",
            "Time since the last worker took up its snapshot of the streams.",
            one(_snapshot_age_s),
        ),
        gauge(
            "catalog_source_age_seconds",
            "Time since a URL of streams last gave a good answer.",
            _sources(lambda good_age_s, _failing_s, _failures: good_age_s),
            "source",
        ),
        gauge(
            "catalog_source_failing_seconds",
            "Time for which a URL of streams has been failing; 0 when it answers.",
            _sources(lambda _good_age_s, failing_s, _failures: failing_s),
            "source",
        ),
        counter(
            "catalog_source_failures",
            "Failed fetches of a URL of streams; a reload that changes anything but streams begins at 0 again.",
            _sources(lambda _good_age_s, _failing_s, failures: failures),
            "source",
        ),
    ),
)
