"""From what the shared memory says to metrics with numbers.

Place: admin.view → HERE, by admin.table → prometheus_client, which writes them down.
Rules: one reader for each metric of the table. Numbers of streams that are not declared are added up as ``other``. A
sum never goes down while the master lives: those of workers that are gone are in it.
Not here: what is counted where (server.worker.measures), what a metric means (admin.table).
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from server.admin.sheet import Gauge
from server.admin.table import METRICS
from server.admin.table import Metric as Row
from server.admin.view import HostView, Shared, process_of
from server.shared.ledger import COUNTS, REASONS
from server.shared.row import Count
from server.sink.kafka.statistics import GAUGES, SUMS
from server.version import VERSION

Sample = tuple[tuple[str, ...], float]
Reader = Callable[[HostView], Iterable[Sample]]


class Collected(Collector):
    """What prometheus_client asks, once a scrape. ``scrape_s``: how long the last one took."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self.scrape_s = 0.0

    def collect(self) -> Iterator[Metric]:
        """Every metric of the table."""
        view = self._shared.look()
        for name, row in METRICS.items():
            if name == "penstock_scrape_seconds":
                yield _family(row, [((), self.scrape_s)])
            elif row.kind == "histogram":
                yield _histogram(row, view)
            else:
                yield _family(row, READERS[name](view))


def _family(row: Row, samples: Iterable[Sample]) -> Metric:
    if row.kind == "counter":
        counter = CounterMetricFamily(row.name, row.says, labels=row.labels, unit=row.unit)
        for labels, value in samples:
            counter.add_metric(labels, value)
        return counter
    name = row.shown if row.kind == "info" else row.name
    gauge = GaugeMetricFamily(name, row.says, labels=row.labels, unit=row.unit)
    for labels, value in samples:
        gauge.add_metric(labels, value)
    return gauge


def _histogram(row: Row, view: HostView) -> HistogramMetricFamily:
    cells = view.family(row.name.removeprefix("penstock_").removesuffix("_seconds"))
    counts = accumulate(count for _, count in cells[:-1])
    buckets = [(labels[0], count) for (labels, _), count in zip(cells[:-1], counts, strict=True)]
    family = HistogramMetricFamily(row.name, row.says, unit=row.unit)
    family.add_metric((), buckets, sum_value=cells[-1][1] / 1e6)
    return family


# Readers. Each gives the labels, in the order of the table, and the number.


def _one(value: Callable[[HostView], float]) -> Reader:
    return lambda view: [((), value(view))]


def _of(counter: Count) -> Reader:
    return lambda view: [((), view.counters[counter])]


def _cells(family: str) -> Reader:
    return lambda view: view.family(family)


def _gauge(gauge: Gauge) -> Reader:
    return lambda view: [((), view.gauge(gauge))]


def _named(numbers: Callable[[HostView], dict[str, int]]) -> Reader:
    return lambda view: [((name,), number) for name, number in numbers(view).items()]


def _by_slot(number: Callable[[HostView, int], float]) -> Reader:
    """Of a slot with two workers, one of which drains, the worse."""

    def read(view: HostView) -> list[Sample]:
        found: dict[int, float] = {}
        for at, row in enumerate(view.workers):
            found[row.slot] = max(found.get(row.slot, 0.0), number(view, at))
        return [((str(slot),), value) for slot, value in sorted(found.items())]

    return read


def _responses(view: HostView) -> list[Sample]:
    return [(labels, count) for labels, count in view.family("responses") if count]


def _by_stream(lines: Iterable[tuple[str, float]], view: HostView) -> list[Sample]:
    sums: dict[str, float] = {}
    for name, number in lines:
        label = view.stream_label(name)
        sums[label] = sums.get(label, 0) + number
    return [((label,), number) for label, number in sums.items()]


def _booked(count: str) -> Reader:
    return lambda view: _by_stream(((name, numbers[count]) for name, numbers in view.ledger.items()), view)


def _dropped(view: HostView) -> Iterator[Sample]:
    for reason in REASONS:
        lines = ((name, numbers[reason]) for name, numbers in view.ledger.items())
        yield from (((label, reason), number) for (label,), number in _by_stream(lines, view))


def _lost(view: HostView) -> list[Sample]:
    """What the workers that are gone had accepted and that has no outcome."""
    settled = len(COUNTS) + len(REASONS)
    gone = ((name, max(0, cells[0] - sum(cells[1:settled]))) for name, cells in view.retired.items())
    return _by_stream([*gone, *((name, 0) for name in view.ledger)], view)


def _noted(place: int) -> Reader:
    return lambda view: _by_stream(((name, cells[place]) for name, cells in view.streams.items()), view)


def _judged(view: HostView) -> Iterator[Sample]:
    for schema, counts in view.schemas.items():
        for way, count in zip(("one_decode", "one_pass", "reference"), counts, strict=True):
            yield (schema, way), count


def _broker_sum(name: str) -> Reader:
    at = SUMS.index(name)
    return lambda view: [((broker,), sums[at]) for broker, sums in view.brokers.items()]


def _broker_gauge(name: str, join: Callable[[Iterable[float]], float], scale: float = 1.0) -> Reader:
    at = GAUGES.index(name)
    return lambda view: [
        ((broker,), join(gauges[at] for gauges in every) / scale)
        for broker, every in view.shared.board.kinds.brokers.gauges().items()
    ]


def _sources(number: Callable[[float, float, int], float]) -> Reader:
    """URLs are told apart by their place in the settings: they may hold what is nobody's business."""
    return lambda view: [
        ((str(place),), number(url.good_age_s, url.failing_s, url.failures))
        for place, url in enumerate(view.shared.link.health.all())
    ]


def _snapshot_age_s(view: HostView) -> float:
    since = [row.streams[1] / 1000 for row in view.workers if row.streams[1]]
    return max(0.0, view.now_s - max(since)) if since else 0.0


READERS: Final[dict[str, Reader]] = {
    "penstock_build": lambda _: [((VERSION, platform.python_version()), 1)],
    "penstock_start_time_seconds": _one(lambda view: view.shared.board.notices.started_s),
    "penstock_settings_time_seconds": _one(lambda view: view.shared.board.notices.reloaded_s),
    "penstock_reloads": _named(lambda view: view.shared.board.notices.reloads()),
    "penstock_child_deaths": _named(lambda view: view.shared.board.notices.deaths()),
    "penstock_task_failures": _one(
        lambda view: view.counters[Count.TASK_FAILURES] + view.shared.board.notices.task_failures
    ),
    "penstock_log_lines_dropped": _one(
        lambda view: view.counters[Count.LOG_LINES_DROPPED] + view.shared.board.notices.log_lines_dropped
    ),
    "penstock_workers": _named(HostView.states),
    "penstock_worker_beat_age_seconds": _by_slot(lambda view, at: view.beat_age_s(view.workers[at])),
    "penstock_worker_loop_lag_seconds": _by_slot(lambda view, at: view.gauges[at][Gauge.LOOP_LAG_US] / 1e6),
    "penstock_worker_resident_bytes": _by_slot(lambda view, at: process_of(view.workers[at].pid).resident_bytes),
    "penstock_worker_cpu_seconds": _by_slot(lambda view, at: process_of(view.workers[at].pid).cpu_s),
    "penstock_http_connections": _one(lambda view: sum(row.connections for row in view.workers)),
    "penstock_http_connections_opened": _cells("connections"),
    "penstock_http_connections_lost": _of(Count.CONNECTIONS_LOST),
    "penstock_http_accept_errors": _of(Count.ACCEPT_ERRORS),
    "penstock_http_accept_waits": _of(Count.ACCEPT_WAITS),
    "penstock_http_responses": _responses,
    "penstock_http_request_body_bytes": _of(Count.BODY_BYTES),
    "penstock_http_parse_errors": _cells("parse_errors"),
    "penstock_http_late_replies": _cells("late_replies"),
    "penstock_http_limits_hit": _cells("limits"),
    "penstock_http_held_bytes": _gauge(Gauge.HELD_BYTES),
    "penstock_http_max_held_bytes": _one(lambda view: view.config.http.limits.max_in_flight_bytes * len(view.workers)),
    "penstock_requests_refused": _cells("refused"),
    "penstock_internal_errors": _cells("callback_failures"),
    "penstock_spans": _cells("spans"),
    "penstock_events_received": _of(Count.EVENTS_RECEIVED),
    "penstock_events_rejected": _cells("rejected"),
    "penstock_events_invalid": _noted(0),
    "penstock_events_failed": _noted(1),
    "penstock_events_observed": _noted(2),
    "penstock_events_judged": _judged,
    "penstock_events_accepted": _booked("accepted"),
    "penstock_events_delivered": _booked("delivered"),
    "penstock_events_spooled": _booked("spooled"),
    "penstock_events_dropped": _dropped,
    "penstock_events_lost": _lost,
    "penstock_events_in_flight": _gauge(Gauge.IN_FLIGHT),
    "penstock_events_unaccounted": _gauge(Gauge.UNACCOUNTED),
    "penstock_events_refused_hasty": _of(Count.EVENTS_REFUSED_HASTY),
    "penstock_error_events": _named(
        lambda view: {
            "produced": view.counters[Count.ERROR_EVENTS],
            "suppressed": view.counters[Count.ERROR_EVENTS_SUPPRESSED],
        }
    ),
    "penstock_spool_events": _one(lambda view: view.spool()[0]),
    "penstock_spool_bytes": _gauge(Gauge.SPOOL_BYTES),
    "penstock_spool_max_bytes": _one(lambda view: view.config.spool.max_bytes),
    "penstock_spool_oldest_age_seconds": _one(lambda view: view.spool()[1]),
    "penstock_spool_replayed": _of(Count.EVENTS_REPLAYED),
    "penstock_spool_given_up": _of(Count.EVENTS_GIVEN_UP),
    "penstock_spool_refused": _of(Count.EVENTS_NOT_SPOOLED),
    "penstock_spool_failed_commits": _of(Count.SPOOL_FAILURES),
    "penstock_sink_outstanding_events": _gauge(Gauge.OUTSTANDING),
    "penstock_sink_max_outstanding_events": _one(lambda view: view.config.sink.max_outstanding * len(view.workers)),
    "penstock_sink_away_workers": _gauge(Gauge.IS_BROKER_AWAY),
    "penstock_sink_throttled_workers": _gauge(Gauge.IS_THROTTLED),
    "penstock_sink_producers_replaced": _of(Count.PRODUCERS_REPLACED),
    "penstock_sink_failed_commits": _of(Count.SINK_FAILURES),
    "penstock_sink_databases_damaged": _of(Count.SINK_DAMAGED),
    "penstock_sink_databases_gone": _of(Count.SINK_GONE),
    "penstock_sink_events_recovered": _of(Count.SINK_RECOVERED),
    "penstock_kafka_queue_events": _gauge(Gauge.QUEUE_EVENTS),
    "penstock_kafka_queue_bytes": _gauge(Gauge.QUEUE_BYTES),
    "penstock_kafka_broker_workers": _broker_gauge("is_up", sum),
    "penstock_kafka_broker_rtt_seconds": _broker_gauge("rtt_us", max, 1e6),
    "penstock_kafka_broker_rtt_p99_seconds": _broker_gauge("rtt_p99_us", max, 1e6),
    "penstock_kafka_broker_throttle_seconds": _broker_gauge("throttle_ms", max, 1e3),
    "penstock_kafka_broker_queued_requests": _broker_gauge("queued", sum),
    "penstock_kafka_broker_waiting_requests": _broker_gauge("waiting", sum),
    "penstock_kafka_broker_requests": _broker_sum("requests"),
    "penstock_kafka_broker_sent_bytes": _broker_sum("bytes"),
    "penstock_kafka_broker_errors": _broker_sum("errors"),
    "penstock_kafka_broker_retries": _broker_sum("retries"),
    "penstock_kafka_broker_timeouts": _broker_sum("timeouts"),
    "penstock_kafka_broker_disconnects": _broker_sum("disconnects"),
    "penstock_catalog_streams": _one(lambda view: len(view.shared.snapshot.names())),
    "penstock_catalog_snapshots": _one(lambda view: len({row.streams[0] for row in view.workers if row.streams[1]})),
    "penstock_catalog_snapshot_age_seconds": _one(_snapshot_age_s),
    "penstock_catalog_source_age_seconds": _sources(lambda good_age_s, _failing_s, _failures: good_age_s),
    "penstock_catalog_source_failing_seconds": _sources(lambda _good_age_s, failing_s, _failures: failing_s),
    "penstock_catalog_source_failures": _sources(lambda _good_age_s, _failing_s, failures: failures),
}
