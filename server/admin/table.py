"""Every metric once: name, type, unit, labels, meaning.

Place: admin.collect fills it with numbers; admin.metrics_page renders docs/METRICS.md from it.
Rules: a name begins with ``penstock_`` and ends with its unit, a counter's with ``_total`` behind that. Labels are of
closed sets: what a client sends never becomes one. A stream that is not declared is ``other``.
Not here: where the numbers come from (admin.collect).
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

Kind = Literal["counter", "gauge", "histogram", "info"]


class Metric(NamedTuple):
    """``name`` without what the format adds (``_total``, ``_bucket``, ``_info``)."""

    name: str
    kind: Kind
    says: str
    labels: tuple[str, ...] = ()

    @property
    def unit(self) -> str:
        """The end of the name where that is a unit of measurement."""
        last = self.name.rpartition("_")[2]
        return last if last in ("seconds", "bytes") else ""

    @property
    def shown(self) -> str:
        """As it is asked for."""
        return self.name + {"counter": "_total", "gauge": "", "histogram": "_bucket", "info": "_info"}[self.kind]


class MetricGroup(NamedTuple):
    """A part of the table, in the order of an event's way."""

    title: str
    metrics: tuple[Metric, ...]


def _counter(name: str, says: str, *labels: str) -> Metric:
    return Metric(f"penstock_{name}", "counter", says, labels)


def _gauge(name: str, says: str, *labels: str) -> Metric:
    return Metric(f"penstock_{name}", "gauge", says, labels)


def _histogram(name: str, says: str) -> Metric:
    return Metric(f"penstock_{name}", "histogram", says)


SECTIONS: Final = (
    MetricGroup(
        "Service",
        (
            Metric("penstock_build", "info", "Which version runs, on which Python.", ("version", "python")),
            _gauge("start_time_seconds", "When the master began, in seconds since 1970."),
            _gauge("settings_time_seconds", "When the settings in force were read, in seconds since 1970."),
            _counter(
                "reloads", "Reloads by what came of them: `done`, `adopted` (only streams), `refused`.", "outcome"
            ),
            _counter(
                "child_deaths",
                "Children that ended without being told to: `crashed` (an exit code), `killed` (a signal), `stuck` "
                "(aborted for a late beat), `not_booted`.",
                "cause",
            ),
            _counter(
                "task_failures",
                "Exceptions of ours in timers and tasks of any process; each goes on. Always 0 on a host that lacks "
                "nothing.",
            ),
            _counter("log_lines_dropped", "Lines of the log that nobody took from standard error, of any process."),
            _gauge("workers", "Workers by state: `booting`, `ready`, `draining`.", "state"),
            _gauge("worker_beat_age_seconds", "Time since the last beat of the worker's loop.", "slot"),
            _gauge(
                "worker_loop_lag_seconds",
                "The longest that a timer of the worker's loop had to wait, of the last 20 beats.",
                "slot",
            ),
            _gauge("worker_resident_bytes", "Memory of the worker, what it shares with others included.", "slot"),
            _gauge("worker_cpu_seconds", "CPU time that the worker has used.", "slot"),
            _gauge("scrape_seconds", "How long the scrape before this one took; the workers take no part in it."),
        ),
    ),
    MetricGroup(
        "HTTP",
        (
            _gauge("http_connections", "Open connections."),
            _counter("http_connections_opened", "Connections that were opened."),
            _counter("http_connections_lost", "Requests whose client went away before its answer."),
            _counter("http_accept_errors", "Connections that could not be taken for lack of descriptors or memory."),
            _counter("http_accept_waits", "Turns in which a worker left a connection to one that has fewer."),
            _counter(
                "http_responses",
                "Responses by route and status. `other`: nothing is served at the path; `unread`: what came was no "
                "request, or not all of one.",
                "route",
                "status",
            ),
            _counter("http_request_body_bytes", "Bytes of the bodies of whole requests."),
            _counter("http_parse_errors", "Connections that were closed because their bytes were not HTTP."),
            _counter("http_late_replies", "Answers whose client had gone."),
            _counter(
                "http_limits_hit",
                "Requests and connections refused or ended by a limit of `http.limits`, by limit.",
                "limit",
            ),
            _gauge("http_held_bytes", "Bytes that requests and slow responses hold; the bound is a worker's."),
            _gauge("http_max_held_bytes", "That bound, `http.limits.max_in_flight_bytes`, over all workers."),
            _counter(
                "requests_refused",
                "Requests with events that were answered 503 before any work: `full`, `draining`.",
                "reason",
            ),
            _histogram(
                "guaranteed_seconds",
                "Time of a guaranteed request from its receipt to its answer; one request in 17 is timed.",
            ),
            _histogram(
                "hasty_seconds",
                "Time of a hasty request from its receipt until its events were handed over; one in 17 is timed.",
            ),
            _counter("internal_errors", "Exceptions of ours, caught at the top of a request or of an ack."),
            _counter(
                "spans",
                "Spans of sampled requests: `exported`, `failed` (the collector did not take them), `dropped` (over "
                "`tracing.max_per_s` or `tracing.max_queued`, or left at a worker's end).",
                "outcome",
            ),
        ),
    ),
    MetricGroup(
        "Events",
        (
            _counter("events_received", "Events of well-formed requests that were looked at."),
            _counter("events_rejected", "Events that were not accepted, or failed afterwards, by type.", "error_type"),
            _counter("events_invalid", "Events that were not accepted by fault of the sender.", "stream"),
            _counter("events_failed", "Events that failed by fault of ours or of the broker's.", "stream"),
            _counter("events_observed", "Invalid events, accepted: `validation: observe`.", "stream"),
            _counter(
                "events_judged",
                "How events were judged: `one_decode`, `one_pass`, or by the `reference`, which costs ten times more.",
                "schema",
                "way",
            ),
            _counter(
                "events_accepted", "Events that we owe a delivery. Those that report errors are among them.", "stream"
            ),
            _counter("events_delivered", "Accepted events that the broker has acked.", "stream"),
            _counter(
                "events_spooled", "Accepted events that went to the disk; `spool_replayed` has left it again.", "stream"
            ),
            _counter("events_dropped", "Accepted events that will never be delivered, by reason.", "stream", "reason"),
            _counter("events_lost", "Accepted events that were in the memory of a worker that was killed.", "stream"),
            _gauge("events_in_flight", "Accepted events without an outcome yet, in living workers."),
            _gauge(
                "events_unaccounted",
                "Of these, events that neither the sink nor the spool has: the books do not add up. Always 0.",
            ),
            _counter("events_refused_hasty", "Hasty events that neither the sink nor the spool had room for."),
            _counter("error_events", "Events that report invalid ones: `produced`, `suppressed`.", "outcome"),
        ),
    ),
    MetricGroup(
        "Spool",
        (
            _gauge("spool_events", "Events that wait on this host's disk."),
            _gauge("spool_bytes", "Bytes that they take, in the databases of living workers."),
            _gauge("spool_max_bytes", "The bound, `spool.max_bytes`."),
            _gauge("spool_oldest_age_seconds", "How long the oldest of them has waited; 0 where none waits."),
            _counter("spool_replayed", "Events that left the spool for the broker."),
            _counter("spool_given_up", "Events that left the spool because they are too large for their topic."),
            _counter("spool_refused", "Events for which the spool had no room."),
            _counter("spool_failed_commits", "Transactions that the disk did not take; each is tried again."),
        ),
    ),
    MetricGroup(
        "Sink and brokers",
        (
            _gauge("sink_outstanding_events", "Events that the sink has and has not settled."),
            _gauge("sink_max_outstanding_events", "The bound, `sink.max_outstanding`, over all workers."),
            _gauge("sink_away_workers", "Workers for which no broker answers, or whose database cannot be written."),
            _gauge("sink_throttled_workers", "Workers that a broker's quota makes wait for more than a second."),
            _counter("sink_producers_replaced", "Producers that ended with a fatal error."),
            _counter("sink_failed_commits", "Transactions of the embedded sink that failed; most are tried again."),
            _counter("sink_databases_damaged", "Damaged databases of the embedded sink that were set aside."),
            _counter("sink_databases_gone", "Databases of the embedded sink that somebody deleted or replaced."),
            _counter("sink_events_recovered", "Events read out of the databases that were set aside."),
            _gauge("kafka_queue_events", "Events in the queues of librdkafka."),
            _gauge("kafka_queue_bytes", "Bytes of these."),
            _gauge("kafka_broker_workers", "Workers that have a connection to the broker.", "broker"),
            _gauge(
                "kafka_broker_rtt_seconds",
                "Mean time that the broker takes to answer, of the slowest worker.",
                "broker",
            ),
            _gauge("kafka_broker_rtt_p99_seconds", "The same for one in a hundred requests.", "broker"),
            _gauge("kafka_broker_throttle_seconds", "Mean time for which the broker makes us wait.", "broker"),
            _gauge("kafka_broker_queued_requests", "Requests that wait to be sent to the broker.", "broker"),
            _gauge("kafka_broker_waiting_requests", "Requests that wait for the broker's answer.", "broker"),
            _counter("kafka_broker_requests", "Requests that were sent to the broker.", "broker"),
            _counter("kafka_broker_sent_bytes", "Bytes that were sent to the broker.", "broker"),
            _counter("kafka_broker_errors", "Requests that could not be sent.", "broker"),
            _counter("kafka_broker_retries", "Requests that were sent again.", "broker"),
            _counter("kafka_broker_timeouts", "Requests without an answer in time.", "broker"),
            _counter("kafka_broker_disconnects", "Connections to the broker that have ended.", "broker"),
        ),
    ),
    MetricGroup(
        "Streams and schemas",
        (
            _gauge("catalog_streams", "Streams that are declared."),
            _gauge(
                "catalog_snapshots", "Different snapshots of the streams that workers serve with; 1 but for moments."
            ),
            _gauge(
                "catalog_snapshot_age_seconds", "Since when the workers have served with theirs; the latest counts."
            ),
            _gauge("catalog_source_age_seconds", "Since when a URL of streams has not answered well.", "source"),
            _gauge("catalog_source_failing_seconds", "For how long it has failed; 0 while all is well.", "source"),
            _counter("catalog_source_failures", "How often it has failed.", "source"),
        ),
    ),
)

METRICS: Final = {metric.name: metric for section in SECTIONS for metric in section.metrics}
