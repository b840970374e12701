"""The dashboard, on one page in the order of an event's way.

``python -m deploy.grafana.dashboard > deploy/grafana/penstock.json`` writes it.

Place: DESCRIPTION and metrics.table → HERE → penstock.json, which Grafana takes as it stands; a test keeps the file
equal to what is written here.
Rules: a panel is a title, a unit and its expressions. Rates are over Grafana's own interval; what the metrics mean is
in docs/METRICS.md. What is wrong is in the first row, so that a look is enough. A declared metric that no panel of
DESCRIPTION asks for gets a plain panel in a last row, so that no metric is left out.
Not here: what to do about it (docs/RUNBOOKS.md).
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from server.metrics.declare import Metric
from server.metrics.table import METRICS


class Panel(NamedTuple):
    """``queries`` are expressions with their legends. ``width`` of 24."""

    title: str
    unit: str
    queries: tuple[tuple[str, str], ...]
    kind: str = "timeseries"
    width: int = 8


def rate(metric: str, by: str = "", where: str = "") -> str:
    """Return the expression of a metric per second, over all instances that are chosen."""
    chosen = f'instance=~"$instance"{"," if where else ""}{where}'
    return f"sum{f' by ({by})' if by else ''} (rate(penstock_{metric}{{{chosen}}}[$__rate_interval]))"


def now(metric: str, join: str = "sum", by: str = "") -> str:
    """Return the expression of a metric as it is now."""
    return f'{join}{f" by ({by})" if by else ""} (penstock_{metric}{{instance=~"$instance"}})'


def _quantile(share: float, metric: str) -> str:
    return f"histogram_quantile({share}, {rate(metric + '_seconds_bucket', 'le')})"


REFERENCE = 'way="reference"'

Description = tuple[tuple[str, tuple[Panel, ...]], ...]
DESCRIPTION: Description = (
    (
        "Is all well?",
        (
            Panel("Workers ready", "none", ((now("workers", by="state"), "{{state}}"),), "stat", 4),
            Panel("Unaccounted events (always 0)", "none", ((now("events_unaccounted"), ""),), "stat", 4),
            Panel(
                "Lost and dropped",
                "none",
                ((now("events_lost_total"), "lost"), (now("events_dropped_total"), "dropped")),
                "stat",
                4,
            ),
            Panel("Events in the spool", "none", ((now("spool_events"), ""),), "stat", 4),
            Panel("Workers without a broker", "none", ((now("sink_away_workers"), ""),), "stat", 4),
            Panel("Version", "none", (('penstock_build_info{instance=~"$instance"}', "{{version}}"),), "stat", 4),
        ),
    ),
    (
        "Requests",
        (
            Panel("Responses by status", "reqps", ((rate("http_responses_total", "status"), "{{status}}"),)),
            Panel("Responses by route", "reqps", ((rate("http_responses_total", "route"), "{{route}}"),)),
            Panel("Bytes of bodies", "Bps", ((rate("http_request_body_bytes_total"), "in"),)),
            Panel(
                "Connections",
                "none",
                ((now("http_connections"), "open"), (rate("http_connections_opened_total"), "opened a second")),
            ),
            Panel(
                "Turned away",
                "reqps",
                (
                    (rate("requests_refused_total", "reason"), "{{reason}}"),
                    (rate("http_limits_hit_total", "limit"), "limit: {{limit}}"),
                    (rate("http_parse_errors_total"), "not HTTP"),
                    (rate("http_accept_errors_total"), "cannot accept"),
                ),
            ),
            Panel(
                "Clients that went away, errors of ours",
                "reqps",
                (
                    (rate("http_connections_lost_total"), "before their answer"),
                    (rate("http_late_replies_total"), "late answers"),
                    (rate("internal_errors_total"), "internal errors"),
                ),
            ),
            Panel(
                "Held bytes of the bound",
                "percentunit",
                ((f"{now('http_held_bytes')} / {now('http_max_held_bytes')}", "held"),),
            ),
            Panel(
                "Guaranteed: from receipt to answer",
                "s",
                tuple((_quantile(share, "guaranteed"), f"p{share * 100:g}") for share in (0.5, 0.9, 0.99)),
            ),
            Panel(
                "Hasty: from receipt to hand-over",
                "s",
                tuple((_quantile(share, "hasty"), f"p{share * 100:g}") for share in (0.5, 0.9, 0.99)),
            ),
        ),
    ),
    (
        "Events",
        (
            Panel(
                "All events",
                "eps",
                (
                    (rate("events_received_total"), "received"),
                    (rate("events_accepted_total"), "accepted"),
                    (rate("events_delivered_total"), "delivered"),
                    (rate("events_spooled_total"), "spooled"),
                ),
            ),
            Panel(
                "Accepted by stream", "eps", ((f"topk(20, {rate('events_accepted_total', 'stream')})", "{{stream}}"),)
            ),
            Panel("Invalid by stream", "eps", ((f"topk(20, {rate('events_invalid_total', 'stream')})", "{{stream}}"),)),
            Panel("Rejected by type", "eps", ((rate("events_rejected_total", "error_type"), "{{error_type}}"),)),
            Panel(
                "Failed, dropped, lost by stream",
                "eps",
                (
                    (rate("events_failed_total", "stream"), "failed: {{stream}}"),
                    (rate("events_dropped_total", "stream, reason"), "{{reason}}: {{stream}}"),
                    (rate("events_withdrawn_total", "stream"), "withdrawn: {{stream}}"),
                    (rate("events_lost_total", "stream"), "lost: {{stream}}"),
                    (rate("events_refused_hasty_total"), "hasty, no room"),
                ),
            ),
            Panel(
                "Observed, and events about errors",
                "eps",
                (
                    (rate("events_observed_total", "stream"), "observed: {{stream}}"),
                    (rate("error_events_total", "outcome"), "error events {{outcome}}"),
                ),
            ),
            Panel("Judged by way", "eps", ((rate("events_judged_total", "way"), "{{way}}"),)),
            Panel(
                "By the reference, by schema",
                "eps",
                ((f"topk(10, {rate('events_judged_total', 'schema', REFERENCE)})", "{{schema}}"),),
            ),
            Panel(
                "In flight",
                "none",
                ((now("events_in_flight"), "by the books"), (now("sink_outstanding_events"), "in the sink")),
            ),
        ),
    ),
    (
        "Spool",
        (
            Panel("Waiting", "none", ((now("spool_events"), "events"),)),
            Panel("Bytes of the bound", "percentunit", ((f"{now('spool_bytes')} / {now('spool_max_bytes')}", "used"),)),
            Panel("Age of the oldest", "s", ((now("spool_oldest_age_seconds", "max"), "oldest"),)),
            Panel("Empty again in", "s", ((now("spool_catch_up_seconds", "max"), "seconds"),)),
            Panel(
                "Not on their way",
                "none",
                (
                    (now("spool_aside_events"), "set aside for their size"),
                    (now("events_waiting_for_key"), "wait in memory for their key"),
                    (now("spool_unusable_workers"), "workers whose disk takes nothing"),
                    (now("spool_refuses_hasty"), "refuses hasty events of keys that wait"),
                ),
            ),
            Panel(
                "In and out",
                "eps",
                (
                    (rate("events_spooled_total"), "in"),
                    (rate("spool_replayed_total"), "replayed"),
                    (rate("spool_damaged_total"), "damaged"),
                    (rate("spool_files_broken_total"), "broken files"),
                    (rate("spool_files_broken_events_total"), "events in broken files"),
                    (rate("spool_refused_total"), "no room"),
                ),
            ),
            Panel("Failed commits", "ops", ((rate("spool_failed_commits_total"), "failed"),)),
        ),
    ),
    (
        "Brokers",
        (
            Panel(
                "Sink of its bound",
                "percentunit",
                ((f"{now('sink_outstanding_events')} / {now('sink_max_outstanding_events')}", "outstanding"),),
            ),
            Panel("Queue of librdkafka", "none", ((now("kafka_queue_events"), "events"),)),
            Panel("Bytes of the queue", "bytes", ((now("kafka_queue_bytes"), "bytes"),)),
            Panel("Workers connected", "none", ((now("kafka_broker_workers", by="broker"), "{{broker}}"),)),
            Panel(
                "Round trip",
                "s",
                (
                    (now("kafka_broker_rtt_seconds", "max", "broker"), "{{broker}} mean"),
                    (now("kafka_broker_rtt_p99_seconds", "max", "broker"), "{{broker}} p99"),
                ),
            ),
            Panel("Throttle", "s", ((now("kafka_broker_throttle_seconds", "max", "broker"), "{{broker}}"),)),
            Panel("Workers that a quota makes wait", "none", ((now("sink_throttled_workers"), "workers"),)),
            Panel(
                "Requests",
                "reqps",
                (
                    (rate("kafka_broker_requests_total", "broker"), "{{broker}}"),
                    (now("kafka_broker_queued_requests", by="broker"), "{{broker}} queued"),
                    (now("kafka_broker_waiting_requests", by="broker"), "{{broker}} waiting"),
                ),
            ),
            Panel("Bytes sent", "Bps", ((rate("kafka_broker_sent_bytes_total", "broker"), "{{broker}}"),)),
            Panel(
                "Trouble",
                "ops",
                (
                    (rate("kafka_broker_errors_total", "broker"), "{{broker}} errors"),
                    (rate("kafka_broker_retries_total", "broker"), "{{broker}} retries"),
                    (rate("kafka_broker_timeouts_total", "broker"), "{{broker}} time-outs"),
                    (rate("kafka_broker_disconnects_total", "broker"), "{{broker}} disconnects"),
                    (rate("sink_producers_replaced_total"), "producers replaced"),
                ),
            ),
            Panel(
                "Trouble of the embedded sink",
                "ops",
                (
                    (rate("sink_failed_commits_total"), "failed commits"),
                    (rate("sink_databases_damaged_total"), "databases damaged"),
                    (rate("sink_databases_gone_total"), "databases gone"),
                    (rate("sink_events_recovered_total"), "events recovered"),
                ),
            ),
        ),
    ),
    (
        "Processes",
        (
            Panel(
                "CPU of workers",
                "percentunit",
                (
                    (
                        'rate(penstock_worker_cpu_seconds{instance=~"$instance"}[$__rate_interval])',
                        "{{instance}} {{slot}}",
                    ),
                ),
            ),
            Panel(
                "Memory of workers",
                "bytes",
                (('penstock_worker_resident_bytes{instance=~"$instance"}', "{{instance}} {{slot}}"),),
            ),
            Panel(
                "Loop lag", "s", (('penstock_worker_loop_lag_seconds{instance=~"$instance"}', "{{instance}} {{slot}}"),)
            ),
            Panel(
                "Beat age", "s", (('penstock_worker_beat_age_seconds{instance=~"$instance"}', "{{instance}} {{slot}}"),)
            ),
            Panel(
                "Failed tasks, dropped lines of the log",
                "ops",
                ((rate("task_failures_total"), "tasks"), (rate("log_lines_dropped_total"), "lines")),
            ),
            Panel("Deaths by cause", "ops", ((rate("child_deaths_total", "cause"), "{{cause}}"),)),
            Panel(
                "Reloads, age of the settings",
                "none",
                (
                    (now("reloads_total", by="outcome"), "{{outcome}}"),
                    ('(time() - penstock_settings_time_seconds{instance=~"$instance"}) / 3600', "{{instance}}: hours"),
                    (
                        '(time() - penstock_start_time_seconds{instance=~"$instance"}) / 3600',
                        "{{instance}}: hours since the start",
                    ),
                ),
            ),
            Panel("Waits for another worker to accept", "ops", ((rate("http_accept_waits_total"), "waits"),)),
            Panel("A scrape takes", "s", ((now("scrape_seconds", "max"), "longest"),)),
            Panel("Spans by outcome", "ops", ((rate("spans_total", "outcome"), "{{outcome}}"),)),
        ),
    ),
    (
        "Streams",
        (
            Panel(
                "Declared",
                "none",
                ((now("catalog_streams", "max"), "streams"), (now("catalog_snapshots", "max"), "snapshots in use")),
            ),
            Panel("Age of the snapshot", "s", ((now("catalog_snapshot_age_seconds", "max"), "in use for"),)),
            Panel(
                "Sources at URLs",
                "s",
                (
                    (now("catalog_source_age_seconds", "max", "source"), "{{source}}: last good answer"),
                    (now("catalog_source_failing_seconds", "max", "source"), "{{source}}: failing for"),
                    (rate("catalog_source_failures_total", "source"), "{{source}}: failures a second"),
                ),
            ),
        ),
    ),
)

UNITS = {"seconds": "s", "bytes": "bytes"}


def _undescribed(described: tuple[Panel, ...], metrics: Mapping[str, Metric]) -> Iterator[Panel]:
    """A plain panel for each metric that no other one asks for."""
    asked = set(re.findall(r"penstock_(\w+)", " ".join(query for panel in described for query, _ in panel.queries)))
    for metric in metrics.values():
        name, by = metric.shown.removeprefix("penstock_"), ", ".join(metric.labels)
        legend = " ".join(f"{{{{{label}}}}}" for label in metric.labels)
        if name in asked:
            continue
        if metric.kind == "histogram":
            name = metric.name.removeprefix("penstock_").removesuffix("_seconds")
            yield Panel(name, "s", tuple((_quantile(share, name), f"{share:.0%}") for share in (0.5, 0.99)))
        elif metric.kind == "counter":
            yield Panel(name, "Bps" if metric.unit == "bytes" else "ops", ((rate(name, by), legend),))
        else:
            yield Panel(name, UNITS.get(metric.unit, "none"), ((now(name, by=by), legend),))


HEIGHT = 7
SOURCE = {"type": "prometheus", "uid": "${source}"}


def dashboard(
    metrics: Mapping[str, Metric] = METRICS,
    description: Description = DESCRIPTION,
    uid: str = "penstock",
    title: str = "Penstock",
) -> dict[str, Any]:
    """The JSON object that Grafana imports."""
    rest = tuple(_undescribed(tuple(panel for _, row in description for panel in row), metrics))
    panels: list[dict[str, Any]] = []
    top = 0
    for name, row in (*description, *((("Other metrics", rest),) if rest else ())):
        panels.append(_panel(len(panels), "row", name, {"h": 1, "w": 24, "x": 0, "y": top}))
        top, left = top + 1, 0
        for panel in row:
            if left + panel.width > 24:
                top, left = top + HEIGHT, 0
            place = {"h": HEIGHT, "w": panel.width, "x": left, "y": top}
            panels.append(_panel(len(panels), panel.kind, panel.title, place) | _content(panel))
            left += panel.width
        top += HEIGHT
    return {
        "uid": uid,
        "title": title,
        "tags": ["penstock"],
        "schemaVersion": 39,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "templating": {"list": _variables()},
        "panels": panels,
    }


def _panel(number: int, kind: str, title: str, place: dict[str, int]) -> dict[str, Any]:
    return {"id": number + 1, "type": kind, "title": title, "gridPos": place}


def _content(panel: Panel) -> dict[str, Any]:
    targets = [
        {"refId": chr(65 + at), "datasource": SOURCE, "expr": expression, "legendFormat": legend}
        for at, (expression, legend) in enumerate(panel.queries)
    ]
    return {
        "datasource": SOURCE,
        "targets": targets,
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
    }


def _variables() -> list[dict[str, Any]]:
    instance = {
        "name": "instance", "type": "query", "datasource": SOURCE,
        "includeAll": True, "multi": True, "allValue": ".*",
        "query": "label_values(penstock_build_info, instance)", "refresh": 2,
        "current": {"text": "All", "value": "$__all"},
    }  # fmt: skip
    return [{"name": "source", "type": "datasource", "query": "prometheus"}, instance]


if __name__ == "__main__":
    json.dump(dashboard(), sys.stdout, indent=1)
    sys.stdout.write("\n")
