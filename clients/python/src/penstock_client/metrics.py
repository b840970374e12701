"""Numbers about a client, and adapters that hand them to Prometheus or OpenTelemetry without depending on either."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from penstock_client.books import BOUNDS_S

if TYPE_CHECKING:
    from penstock_client.client import Client
    from penstock_client.core import Core

HELP = {
    "submitted": "Events submitted, by this process.",
    "sent": "Events that the intake accepted.",
    "rejected": "Events that the intake refused, by reason.",
    "dropped": "Events that this client gave up, by reason.",
    "not_sampled": "Events outside a sample or a curation rule.",
    "requests": "Requests with events.",
    "retries": "Of these, repetitions.",
    "receipts": "Questions for what became of a request.",
    "queued_events": "Events that wait.",
    "queued_bytes": "Bytes of these in memory.",
    "oldest_seconds": "Age of the oldest of these.",
}
GAUGES = frozenset({"queued_events", "queued_bytes", "oldest_seconds"})


def read(core: Core, now_s: float) -> dict[str, Any]:
    """Return all numbers: by reason where there are several."""
    books, health = core.books, core.health(now_s)
    return {
        "submitted": books.submitted,
        "sent": books.sent,
        "rejected": dict(books.rejected),
        "dropped": dict(books.dropped),
        "not_sampled": dict(books.not_sampled),
        "requests": books.requests,
        "retries": books.retries,
        "receipts": books.receipts,
        "queued_events": health.queued_events,
        "queued_bytes": health.queued_bytes,
        "oldest_seconds": health.oldest_s,
        "request_seconds": {"bounds": list(BOUNDS_S), "counts": list(books.latencies), "sum": books.latency_sum_s},
    }


class PrometheusCollector:
    """``prometheus_client.REGISTRY.register(PrometheusCollector(intake))``."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def collect(self) -> Iterator[Any]:
        """Yield the metrics, as prometheus_client asks for them."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

        numbers = self._client.metrics()
        for name, text in HELP.items():
            kind = GaugeMetricFamily if name in GAUGES else CounterMetricFamily
            value = numbers[name]
            if isinstance(value, dict):
                family = kind(f"penstock_client_{name}", text, labels=["reason"])
                for reason, count in value.items():
                    family.add_metric([reason], count)
            else:
                family = kind(f"penstock_client_{name}", text, value=value)
            yield family
        times = numbers["request_seconds"]
        total, buckets = 0, []
        for bound, count in zip([*map(str, times["bounds"]), "+Inf"], times["counts"], strict=True):
            total += count
            buckets.append((bound, total))
        text = "Times of requests with events."
        yield HistogramMetricFamily("penstock_client_request_seconds", text, buckets=buckets, sum_value=times["sum"])


def observe_with_opentelemetry(client: Client, meter: Any) -> None:
    """Register the numbers as observable instruments of an OpenTelemetry meter."""
    from opentelemetry.metrics import Observation

    for name, text in HELP.items():

        def look(_: Any, name: str = name) -> list[Any]:
            value = client.metrics()[name]
            if isinstance(value, dict):
                return [Observation(count, {"reason": reason}) for reason, count in value.items()]
            return [Observation(value)]

        make = meter.create_observable_gauge if name in GAUGES else meter.create_observable_counter
        make(f"penstock_client.{name}", callbacks=[look], description=text)
