"""The dashboard of EventStreams.

``python -m deploy.grafana.eventstreams_dashboard > deploy/grafana/eventstreams.json`` writes it.

Place: DESCRIPTION and eventstreams.metrics → HERE → eventstreams.json, which Grafana takes as it stands; a test keeps
the file equal to what is written here.
Rules: as for the intake's (deploy.grafana.dashboard).
Not here: alerts (deploy/eventstreams/alerts.yml).
"""

from __future__ import annotations

import json
import sys
from typing import Any, Final

from deploy.grafana.dashboard import Description, Panel, dashboard, now, rate
from eventstreams.metrics import TABLE


def _streams(metric: str, by: str = "", where: str = "") -> str:
    return rate(f"eventstreams_{metric}", by, where)


DESCRIPTION: Final[Description] = (
    (
        "Is all well?",
        (
            Panel("Workers ready", "none", ((now("workers", by="state"), "{{state}}"),), "stat", 4),
            Panel("Open streams", "none", ((now("eventstreams_clients"), ""),), "stat", 4),
            Panel("Gaps told", "none", ((now("eventstreams_gaps_total"), ""),), "stat", 4),
            Panel("Source failures", "none", ((now("eventstreams_source_failures_total"), ""),), "stat", 4),
            Panel("Furthest behind", "none", ((now("eventstreams_stream_lag_events", "max"), "events"),), "stat", 4),
            Panel(
                "Refused because it is full",
                "ops",
                ((_streams("refused_total", where='reason="full"'), ""),),
                "stat",
                4,
            ),
        ),
    ),
    (
        "Clients",
        (
            Panel(
                "Open streams",
                "none",
                (
                    (now("eventstreams_clients"), "all"),
                    (now("eventstreams_live_clients"), "at the newest event"),
                    (now("eventstreams_http_connections"), "connections"),
                ),
            ),
            Panel("Open streams by stream", "none", ((now("eventstreams_stream_clients", by="stream"), "{{stream}}"),)),
            Panel(
                "Behind the newest event",
                "none",
                ((now("eventstreams_stream_lag_events", "max", "stream"), "{{stream}}"),),
            ),
            Panel("Starts by place", "ops", ((_streams("starts_total", "start"), "{{start}}"),)),
            Panel("Ends by reason", "ops", ((_streams("ends_total", "reason"), "{{reason}}"),)),
            Panel("Refusals by reason", "ops", ((_streams("refused_total", "reason"), "{{reason}}"),)),
        ),
    ),
    (
        "Events",
        (
            Panel(
                "Read and delivered",
                "ops",
                (
                    (_streams("stream_events_read_total"), "read"),
                    (_streams("deliveries_total"), "delivered to clients"),
                ),
            ),
            Panel("Deliveries by stream", "ops", ((_streams("stream_deliveries_total", "stream"), "{{stream}}"),)),
            Panel(
                "Bytes",
                "Bps",
                (
                    (_streams("stream_bytes_total"), "events, before compression"),
                    (_streams("sent_bytes_total"), "sent, after compression"),
                ),
            ),
            Panel(
                "Gaps and records passed over",
                "ops",
                (
                    (_streams("gaps_total"), "gaps"),
                    (_streams("lost_offsets_total"), "offsets in gaps"),
                    (_streams("skipped_records_total"), "records that are not JSON"),
                ),
            ),
            Panel("Filters evaluated", "ops", ((_streams("filter_evaluations_total"), "evaluations"),)),
            Panel(
                "Different choices", "none", ((now("eventstreams_choices"), "of streams, filter, fields and sample"),)
            ),
        ),
    ),
    (
        "Source and readers",
        (
            Panel(
                "Readers",
                "none",
                (
                    (now("eventstreams_readers_busy"), "at work"),
                    (now("eventstreams_readers_wanted"), "clients that wait for one"),
                ),
            ),
            Panel("Readings for clients behind", "ops", ((_streams("reader_jobs_total"), "readings"),)),
            Panel("Source failures", "ops", ((_streams("source_failures_total"), "failures"),)),
        ),
    ),
    (
        "Workers",
        (
            Panel("CPU", "none", ((rate("worker_cpu_seconds"), "cores"),)),
            Panel("Memory", "bytes", ((now("worker_resident_bytes"), "resident"),)),
            Panel("Loop lag", "s", ((now("worker_loop_lag_seconds", "max"), "longest"),)),
            Panel(
                "Responses by status",
                "ops",
                ((_streams("http_responses_total", "status"), "{{status}}"),),
            ),
            Panel("Limits hit", "ops", ((_streams("http_limits_hit_total", "limit"), "{{limit}}"),)),
            Panel(
                "Internal errors, failed tasks, dropped lines of the log",
                "ops",
                (
                    (_streams("internal_errors_total"), "errors"),
                    (rate("task_failures_total"), "tasks"),
                    (rate("log_lines_dropped_total"), "lines"),
                ),
            ),
            Panel("Deaths by cause", "ops", ((rate("child_deaths_total", "cause"), "{{cause}}"),)),
            Panel("Beat age", "s", ((now("worker_beat_age_seconds", "max"), "longest"),)),
            Panel("Reloads", "none", ((now("reloads_total", by="outcome"), "{{outcome}}"),)),
        ),
    ),
)


def dashboard_of_streams() -> dict[str, Any]:
    """The JSON object that Grafana imports."""
    return dashboard(TABLE.metrics, DESCRIPTION, "penstock-eventstreams", "Penstock EventStreams")


if __name__ == "__main__":
    json.dump(dashboard_of_streams(), sys.stdout, indent=1)
    sys.stdout.write("\n")
