"""Serve the metrics of a processor for Prometheus, and list them for its documentation.

Place: the ``metrics_listen`` of a processor's settings → HERE → prometheus_client.
Rules: a thread of its own answers scrapes; it asks the collector alone, which shows what the run has handed over.
Not here: which metrics there are (page_change.embedded.metrics, lake.metrics).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from prometheus_client import start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector, CollectorRegistry

from processors.wrong import WrongSettingError

Declared = Sequence[tuple[str, str, tuple[str, ...], str]]
"""Name without prefix, type, labels, help of each metric."""


def listen(collector: Collector, address: str) -> int:
    """Serve a collector at ``host:port``. Returns the port. Raises WrongSettingError."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(collector)
    host, _, port = address.rpartition(":")
    try:
        server, _ = start_http_server(int(port), host.strip("[]") or "0.0.0.0", registry)
    except (OSError, ValueError, OverflowError) as error:
        raise WrongSettingError("metrics_listen", f"{address!r} cannot be listened on: {error}") from error
    return int(server.server_port)


def families(
    prefix: str, declared: Declared, values: Mapping[str, Mapping[tuple[str, ...], float]]
) -> Iterator[Metric]:
    """Yield every declared metric, with its values by their labels."""
    for name, kind, labels, text in declared:
        family = CounterMetricFamily if kind == "counter" else GaugeMetricFamily
        metric = family(prefix + name, text, labels=labels)
        for label_values, value in values[name].items():
            metric.add_metric(label_values, value)
        yield metric


def table(prefix: str, declared: Declared) -> str:
    """Return the table of all metrics for the documentation."""
    lines = ["| metric | type | labels | meaning |", "|---|---|---|---|"]
    for name, kind, labels, text in declared:
        shown = prefix + name + ("_total" if kind == "counter" else "")
        lines.append(f"| `{shown}` | {kind} | {', '.join(f'`{one}`' for one in labels)} | {text} |")
    return "\n".join(lines)
