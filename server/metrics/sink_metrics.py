"""Metrics of the sink and of the brokers behind it.

Place: sink counts → HERE → metrics.table. Numbers by broker come from the lines of shared.scoreboard.
Rule: a metric is defined by its declaration alone, apart from the integer that is counted.
Not here: the statistics of a broker (sink.kafka.statistics).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from server.metrics.declare import FromHost, Gauge, MetricGroup, Sums, count, counter, gauge, one
from server.sink.kafka.statistics import GAUGES, SUMS


def _of_sink(name: str) -> Sums:
    """A source of a count that only some kinds of sinks have."""
    return count(lambda worker: worker.durability.sink_counts().get(name, 0))


def _broker_sum(name: str) -> FromHost:
    at = SUMS.index(name)
    return FromHost(lambda view: [((broker,), sums[at]) for broker, sums in view.brokers.items()])


def _broker_gauge(name: str, join: Callable[[Iterable[float]], float], scale: float = 1.0) -> FromHost:
    """A source of the numbers of all workers, merged; ``scale`` is how many units of the line make one of the
    metric."""
    at = GAUGES.index(name)
    return FromHost(
        lambda view: [
            ((broker,), join(gauges[at] for gauges in every) / scale)
            for broker, every in view.shared.board.kinds.brokers.gauges().items()
        ]
    )


SINK: Final = MetricGroup(
    "Sink and brokers",
    (
        gauge(
            "sink_outstanding_events",
            "Events that the sink has taken and not yet settled.",
            Gauge(lambda worker: worker.durability.outstanding()),
        ),
        gauge(
            "sink_max_outstanding_events",
            "The limit, `sink.max_outstanding`, summed over all workers.",
            one(lambda view: view.config.sink.max_outstanding * len(view.workers)),
        ),
        gauge(
            "sink_away_workers",
            "Workers for which no broker answers, or whose database cannot be written.",
            Gauge(lambda worker: worker.durability.is_broker_away()),
        ),
        gauge(
            "sink_throttled_workers",
            "Workers that a broker's quota holds back for more than a second.",
            Gauge(lambda worker: worker.durability.is_throttled()),
        ),
        counter("sink_producers_replaced", "Producers that ended with a fatal error.", _of_sink("producers_replaced")),
        counter(
            "sink_failed_commits",
            "Transactions of the embedded sink that failed; most are tried again.",
            _of_sink("failed_commits"),
        ),
        counter(
            "sink_databases_damaged",
            "Damaged databases of the embedded sink that were set aside.",
            _of_sink("databases_damaged"),
        ),
        counter(
            "sink_databases_gone",
            "Databases of the embedded sink that were deleted or replaced while in use.",
            _of_sink("databases_gone"),
        ),
        counter(
            "sink_events_recovered",
            "Events read out of the databases that were set aside.",
            _of_sink("events_recovered"),
        ),
        gauge(
            "kafka_queue_events",
            "Events in the queues of librdkafka.",
            Gauge(lambda worker: worker.durability.queue()[0]),
        ),
        gauge(
            "kafka_queue_bytes",
            "Bytes of the events in these queues.",
            Gauge(lambda worker: worker.durability.queue()[1]),
        ),
        gauge(
            "kafka_broker_workers",
            "Workers that have a connection to the broker.",
            _broker_gauge("is_up", sum),
            "broker",
        ),
        gauge(
            "kafka_broker_rtt_seconds",
            "Mean round-trip time to the broker, of the slowest worker.",
            _broker_gauge("rtt_us", max, 1e6),
            "broker",
        ),
        gauge(
            "kafka_broker_rtt_p99_seconds",
            "99th percentile of the round-trip time to the broker, of the slowest worker.",
            _broker_gauge("rtt_p99_us", max, 1e6),
            "broker",
        ),
        gauge(
            "kafka_broker_throttle_seconds",
            "Mean time for which the broker throttles requests.",
            _broker_gauge("throttle_ms", max, 1e3),
            "broker",
        ),
        gauge(
            "kafka_broker_queued_requests",
            "Requests that wait to be sent to the broker.",
            _broker_gauge("queued", sum),
            "broker",
        ),
        gauge(
            "kafka_broker_waiting_requests",
            "Requests that wait for the broker's answer.",
            _broker_gauge("waiting", sum),
            "broker",
        ),
        counter("kafka_broker_requests", "Requests that were sent to the broker.", _broker_sum("requests"), "broker"),
        counter("kafka_broker_sent_bytes", "Bytes that were sent to the broker.", _broker_sum("bytes"), "broker"),
        counter("kafka_broker_errors", "Requests that could not be sent.", _broker_sum("errors"), "broker"),
        counter("kafka_broker_retries", "Requests that were sent again.", _broker_sum("retries"), "broker"),
        counter(
            "kafka_broker_timeouts",
            "Requests that the broker did not answer in time.",
            _broker_sum("timeouts"),
            "broker",
        ),
        counter(
            "kafka_broker_disconnects",
            "Connections to the broker that have ended.",
            _broker_sum("disconnects"),
            "broker",
        ),
    ),
)
