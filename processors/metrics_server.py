"""Serve the metrics of a processor for Prometheus.

Place: the ``metrics_listen`` of a processor's settings → HERE → prometheus_client.
Rules: a thread of its own answers scrapes; it asks the collector alone, which shows what the run has handed over.
Not here: which metrics there are (page_change.embedded.metrics, lake.metrics).
"""

from __future__ import annotations

from prometheus_client import start_http_server
from prometheus_client.registry import Collector, CollectorRegistry

from server.errors import SettingsError


def listen(collector: Collector, address: str) -> int:
    """Serve a collector at ``host:port``. Returns the port. Raises SettingsError."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(collector)
    host, _, port = address.rpartition(":")
    try:
        server, _ = start_http_server(int(port), host.strip("[]") or "0.0.0.0", registry)
    except (OSError, ValueError, OverflowError) as error:
        raise SettingsError(f"metrics_listen: {address!r} cannot be listened on: {error}") from error
    return int(server.server_port)
