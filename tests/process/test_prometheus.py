"""A real Prometheus scrapes the real service under load and faults: every expression finds its series."""

from __future__ import annotations

import http.client
import json
import re
import time
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from tests.deploy.test_monitoring import PROMETHEUS, expressions, rules
from tests.harness import site as behaviours
from tests.harness.broker import MockCluster
from tests.harness.running import eventually
from tests.harness.served import Served
from tests.harness.site import Site
from tests.process.fetched import settings
from tests.process.prometheus import Prometheus

TRAFFIC_S = 6.0  # Some scrapes: a rate needs two.
SELECTOR = re.compile(r"penstock_\w+(?:\{[^}]*\})?")
# Series of processes and settings that are not here: test_canary, test_expectations and others look for them.
OF_OTHERS = re.compile(r"penstock_(canary|expectation|plausibility|shadow)_")


@pytest.fixture
def service(tmp_path: Path) -> Iterator[tuple[Served, MockCluster]]:
    cluster = MockCluster()
    with Site() as site:
        site.says("/api", behaviours.streams(**{"app.one": {"schema_title": "app/tick"}}))
        kafka = {"bootstrap.servers": cluster.servers, "message.timeout.ms": 2000, "statistics.interval.ms": 300}
        wanted = settings(site, workers=1, sink={"kind": "kafka", "kafka": kafka})
        try:
            with Served(tmp_path, **wanted) as served:
                yield served, cluster
        finally:
            cluster.kill()


def test_every_expression_finds_its_series_under_load_and_faults(
    service: tuple[Served, MockCluster], tmp_path: Path
) -> None:
    served, cluster = service
    host, port = served.admin_address
    with Prometheus(tmp_path, f"{host}:{port}", (PROMETHEUS / "alerts.yml").read_text()) as prometheus:
        send(served, TRAFFIC_S / 2)
        cluster.hang()
        send(served, TRAFFIC_S / 2)
        cluster.go_on()
        eventually(lambda: prometheus.finds("penstock_spool_replayed_total"), or_show=prometheus.log)

        of_dashboard = [
            one.replace("$__rate_interval", "30s").replace('instance=~"$instance"', 'instance=~".*"')
            for one in expressions()
        ]
        of_alerts = [selector for rule in rules() for selector in SELECTOR.findall(rule["expr"])]
        of_all = [one for one in (*of_dashboard, *of_alerts) if not OF_OTHERS.search(one)]
        for one in of_all:  # A rate is there after two scrapes, and one may have been too slow.
            eventually(partial(prometheus.finds, one), or_show=partial(str, one))
        assert {rule["name"]: rule["health"] for rule in prometheus.rules()} == {
            rule["alert"]: "ok" for rule in rules()
        }
        eventually(lambda: health(prometheus) == ("up", ""), or_show=lambda: str(health(prometheus)))


def health(prometheus: Prometheus) -> tuple[str, str]:
    """Of the last scrape, and what was wrong with it."""
    said = prometheus.ask("targets")
    if said is None:
        return "", "no answer"
    (target,) = said["activeTargets"]
    return target["health"], target["lastError"]


def send(service: Served, seconds: float) -> None:
    """Good, invalid and malformed; guaranteed and hasty."""
    good = {"$schema": "/app/tick/1.0.0", "meta": {"stream": "app.one"}, "count": 1}
    bodies = [json.dumps(one).encode() for one in (good, [good, {**good, "count": "x"}, {}])] + [b"{"]
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        with closing(http.client.HTTPConnection(*service.address, timeout=60)) as connection:
            for body in bodies:
                for path in ("/v1/events?hasty=true", "/v1/events", "/v1/events?attempt=2"):
                    connection.request("POST", path, body, {"content-type": "application/json"})
                    connection.getresponse().read()
        time.sleep(0.02)
