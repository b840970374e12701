"""Render the page of all metrics from their declarations: ``python -m server.admin.metrics_page > docs/METRICS.md``.

Place: metrics.table → HERE → docs/METRICS.md; a test keeps the two equal.
Rule: this file names no single metric.
Not here: what a metric means (the room metrics).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

from server.metrics.declare import Metric
from server.metrics.table import SECTIONS

HEAD = """\
# Metrics

<!-- Rendered from server/metrics/ by `python -m server.admin.metrics_page`; edit the declarations there instead. -->

`GET /metrics` on `admin.listen` serves them to Prometheus, as text or, when requested, as OpenMetrics. They are
read from memory that the workers write on each beat (`process.beat_s`): a scrape asks no worker, and is up to a beat
behind. Counters are sums over all workers since the master began: they outlive a worker, `kill -9` loses the counts of
at most one beat, and only a new master begins at 0.

Labels come from closed sets: routes, statuses, types, the streams that are declared, the schemas that are known. A
stream that is not declared is `other`; nothing that a client sends becomes a label. There is room for a few thousand
streams and schemas per worker: later ones are added up, streams as `other`, schemas as `(others)`.

A counter is reset by a new master alone, unless its line says otherwise: it goes on through reloads, new workers, new
producers and restarts of brokers. A gauge is a state of this moment. One that is summed over workers leaves out those
that have ended.

For each stream, `accepted = delivered + spooled + withdrawn + dropped + lost + in flight`.
`penstock_events_unaccounted` is the difference in living workers: it is always 0, and an alert watches it.

Dashboard: `deploy/grafana/penstock.json`. Alerts: `deploy/prometheus/alerts.yml`, with what to do in
[RUNBOOKS.md](RUNBOOKS.md).
"""


def render() -> str:
    """The whole page."""
    return "\n".join([HEAD, *_sections()])


def _sections() -> Iterator[str]:
    for section in SECTIONS:
        yield from (f"## {section.title}", "", "| metric | type | labels | meaning |", "|---|---|---|---|")
        yield from map(_row, section.metrics)
        yield ""


def _row(metric: Metric) -> str:
    labels = ", ".join(f"`{label}`" for label in metric.labels)
    return f"| `{metric.shown}` | {metric.kind} | {labels} | {metric.help} |"


if __name__ == "__main__":
    sys.stdout.write(render())
