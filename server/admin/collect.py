"""Make prometheus_client's metrics from the declarations and the numbers in shared memory.

Place: admin.view → HERE, by metrics.table → prometheus_client, which renders them.
Rules: this file names no single metric. A sum never goes down while the master lives: it includes workers that are
gone.
Not here: names, labels and sources of metrics (the room metrics), the copy on the beat (worker.measures).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import accumulate

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.core import Metric as MetricFamily
from prometheus_client.registry import Collector

from server.admin.view import HostView, Shared
from server.metrics.declare import Gauge, Metric, Sample, Sums


class Collected(Collector):
    """The collector that prometheus_client asks once for each scrape."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared

    def collect(self) -> Iterator[MetricFamily]:
        """Yield every metric of the table."""
        view = self._shared.look()
        for metric in view.table.metrics.values():
            yield _histogram(metric, view) if metric.kind == "histogram" else _family(metric, _samples(metric, view))


def _samples(metric: Metric, view: HostView) -> Iterable[Sample]:
    source = metric.source
    if isinstance(source, Sums):
        cells = view.cells(metric.name)
        return [cell for cell in cells if cell[1]] if source.skips_zeros else cells
    if isinstance(source, Gauge):
        if source.is_by_slot:
            return view.by_slot(lambda at: view.gauge_of(at, metric.name) / source.scale)
        return [((), view.gauge(metric.name) / source.scale)]
    return source.read(view)


def _family(metric: Metric, samples: Iterable[Sample]) -> MetricFamily:
    if metric.kind == "counter":
        counter = CounterMetricFamily(metric.name, metric.help, labels=metric.labels, unit=metric.unit)
        for labels, value in samples:
            counter.add_metric(labels, value)
        return counter
    name = metric.shown if metric.kind == "info" else metric.name
    gauge = GaugeMetricFamily(name, metric.help, labels=metric.labels, unit=metric.unit)
    for labels, value in samples:
        gauge.add_metric(labels, value)
    return gauge


def _histogram(metric: Metric, view: HostView) -> HistogramMetricFamily:
    cells = view.cells(metric.name)
    counts = accumulate(count for _, count in cells[:-1])
    buckets = [(labels[0], count) for (labels, _), count in zip(cells[:-1], counts, strict=True)]
    family = HistogramMetricFamily(metric.name, metric.help, unit=metric.unit)
    family.add_metric((), buckets, sum_value=cells[-1][1] / 1e6)
    return family
