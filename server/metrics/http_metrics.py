"""Metrics of HTTP: connections, requests, responses, limits, and durations of requests.

Place: http.server and intake.books.counts count → HERE → metrics.table.
Rule: a metric is defined by its declaration alone, apart from the integer that is counted.
Not here: metrics of events (metrics.event_metrics), those that every program has (metrics.served_metrics).
"""

from __future__ import annotations

from typing import Final

from server.intake.books.counts import GUARANTEED_BOUNDS, HASTY_BOUNDS, REPEATED
from server.metrics.declare import Gauge, MetricGroup, Sums, count, counter, gauge, histogram, one
from server.metrics.served_metrics import connections, limits_hit, responses
from server.paths import Paths

ROUTES: Final = tuple(path.value for path in Paths)  # A test says so if a route is not among them.

HTTP: Final = MetricGroup(
    "HTTP",
    (
        connections(),
        counter(
            "http_connections_opened", "Connections that were opened.", count(lambda worker: worker.server.connections)
        ),
        counter(
            "http_connections_lost",
            "Requests whose client went away before its answer.",
            count(lambda worker: worker.server.abandoned),
        ),
        counter(
            "http_accept_errors",
            "Connections that could not be taken for lack of descriptors or memory.",
            count(lambda worker: worker.server.accept_errors()),
        ),
        counter(
            "http_accept_waits",
            "Turns in which a worker left a connection to one that has fewer.",
            count(lambda worker: worker.server.accept_waits()),
        ),
        responses(ROUTES),
        counter(
            "http_request_body_bytes",
            "Bytes of the bodies of whole requests.",
            count(lambda worker: worker.server.body_bytes),
        ),
        counter(
            "http_parse_errors",
            "Connections that were closed because their bytes were not HTTP.",
            count(lambda worker: worker.server.parse_errors),
        ),
        counter(
            "http_late_replies",
            "Answers that came after their client had gone.",
            count(lambda worker: worker.server.late_replies),
        ),
        limits_hit(),
        gauge(
            "http_held_bytes",
            "Bytes held by requests and slow responses; each worker has its own limit.",
            Gauge(lambda worker: worker.server.in_flight_bytes),
        ),
        gauge(
            "http_max_held_bytes",
            "The limit, `http.limits.max_in_flight_bytes`, summed over all workers.",
            one(lambda view: view.config.http.limits.max_in_flight_bytes * len(view.workers)),
        ),
        counter(
            "requests_refused",
            "Requests with events that were answered 503 before any work: `full`, `draining`.",
            Sums(
                lambda worker: (worker.counts.refused_full, worker.counts.refused_draining), (("full",), ("draining",))
            ),
            "reason",
        ),
        counter(
            "requests_repeated",
            "Requests that clients sent again, by the attempt that their query names.",
            Sums(lambda worker: worker.counts.repeated, tuple((attempt,) for attempt in REPEATED), skips_zeros=True),
            "attempt",
        ),
        histogram(
            "guaranteed_seconds",
            "Time of a guaranteed request from its receipt to its answer; one request in 17 is timed.",
            GUARANTEED_BOUNDS,
            lambda worker: worker.counts.guaranteed,
        ),
        histogram(
            "hasty_seconds",
            "Time of a hasty request from its receipt until its events were handed over; one in 17 is timed.",
            HASTY_BOUNDS,
            lambda worker: worker.counts.hasty,
        ),
        counter(
            "internal_errors",
            "Unexpected exceptions, caught at the top of a request or of an ack.",
            count(lambda worker: worker.server.handler_errors + worker.durability.callback_failures()),
        ),
        counter(
            "spans",
            "Spans of sampled requests: `exported`, `failed` (the collector did not take them), `dropped` "
            "(over `tracing.max_per_s` or `tracing.max_queued`, or unsent when the worker ended).",
            Sums(lambda worker: worker.tracing.counts(), (("exported",), ("failed",), ("dropped",))),
            "outcome",
        ),
    ),
)
