"""A real Prometheus scrapes the real service under load and faults: every expression finds its series."""

from __future__ import annotations

import http.client
import json
import re
import shutil
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.test_monitoring import PROMETHEUS, expressions, rules
from tests.kafka.broker import MockCluster, free_ports
from tests.process.fetched import settings
from tests.process.running import eventually
from tests.process.served import Served
from tests.server.fetch import site as behaviours
from tests.server.fetch.site import Site

TRAFFIC_S = 6.0  # Some scrapes: a rate needs two.
SELECTOR = re.compile(r"penstock_\w+(?:\{[^}]*\})?")


class Prometheus:
    """One that looks at a service every half second, in a directory of its own."""

    def __init__(self, directory: Path, target: str) -> None:
        program = shutil.which("prometheus")
        if program is None:
            pytest.skip("prometheus is missing (Debian: prometheus)")
        self._port = free_ports(1)[0]
        config = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())
        config["global"] = {"scrape_interval": "500ms", "scrape_timeout": "500ms", "evaluation_interval": "500ms"}
        config["rule_files"] = [str(PROMETHEUS / "alerts.yml")]
        config["scrape_configs"][0]["static_configs"] = [{"targets": [target]}]
        (directory / "prometheus.yml").write_text(yaml.safe_dump(config))
        arguments = [
            f"--config.file={directory / 'prometheus.yml'}",
            f"--storage.tsdb.path={directory / 'tsdb'}",
            f"--web.listen-address=127.0.0.1:{self._port}",
        ]
        self._log = directory / "prometheus.log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen([program, *arguments], cwd=directory, stdout=log, stderr=log)

    def ask(self, path: str, **query: str) -> Any:
        url = f"http://127.0.0.1:{self._port}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        try:
            with urllib.request.urlopen(url, timeout=60) as answer:
                return json.load(answer)["data"]
        except OSError:
            return None

    def finds(self, expression: str) -> list[Any]:
        said = self.ask("query", query=expression)
        return list(said["result"]) if said else []

    def health(self) -> tuple[str, str]:
        """Of the last scrape, and what was wrong with it."""
        said = self.ask("targets")
        if said is None:
            return "", "no answer"
        (target,) = said["activeTargets"]
        return target["health"], target["lastError"]

    def end(self) -> None:
        self._process.terminate()
        self._process.wait(60)

    def log(self) -> str:
        return self._log.read_text(errors="replace")


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
    prometheus = Prometheus(tmp_path, f"{host}:{port}")
    try:
        eventually(lambda: prometheus.finds("penstock_build_info"), or_show=prometheus.log)
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
        for one in (*of_dashboard, *of_alerts):  # A rate is there after two scrapes, and one may have been too slow.
            eventually(partial(prometheus.finds, one), or_show=partial(str, one))
        loaded = [rule for group in prometheus.ask("rules")["groups"] for rule in group["rules"]]
        assert {rule["name"]: rule["health"] for rule in loaded} == {rule["alert"]: "ok" for rule in rules()}
        eventually(lambda: prometheus.health() == ("up", ""), or_show=lambda: str(prometheus.health()))
    finally:
        prometheus.end()


def send(service: Served, seconds: float) -> None:
    """Good, invalid and malformed; guaranteed and hasty."""
    good = {"$schema": "/app/tick/1.0.0", "meta": {"stream": "app.one"}, "count": 1}
    bodies = [json.dumps(one).encode() for one in (good, [good, {**good, "count": "x"}, {}])] + [b"{"]
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        with closing(http.client.HTTPConnection(*service.address, timeout=60)) as connection:
            for body in bodies:
                for path in ("/v1/events?hasty=true", "/v1/events"):
                    connection.request("POST", path, body, {"content-type": "application/json"})
                    connection.getresponse().read()
        time.sleep(0.02)
