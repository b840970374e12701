"""A worker whose descriptors are used up, by clients or by anything else, does what it could not do once it can."""

from __future__ import annotations

import http.client
import json
import os
import re
import resource
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.harness.broker import MockCluster
from tests.harness.served import Served
from tests.harness.topics import read_all
from tests.process.few_descriptors import FEW
from tests.process.scraped import Scrape

TOPIC = "shop.order"
IDLE = 400


class Few(Served):
    """After ``ulimit -n 256``."""

    module = "tests.process.few_descriptors"


@pytest.fixture
def cluster() -> Iterator[MockCluster]:
    cluster = MockCluster()
    yield cluster
    cluster.kill()


def kafka(cluster: MockCluster) -> dict[str, Any]:
    properties = {"bootstrap.servers": cluster.servers, "message.timeout.ms": 2000}
    return {"workers": 1, "drain_s": 8.0, "sink": {"kind": "kafka", "kafka": properties}}


def order(number: int) -> dict[str, Any]:
    return {
        "$schema": "/shop/order/1.0.0",
        "meta": {"stream": TOPIC},
        "order_id": f"A-{number % 8}",
        "total": number,
    }


def numbers(cluster: MockCluster) -> set[int]:
    return {json.loads(kept.value)["total"] for kept in read_all(cluster.servers, TOPIC)}


class Client:
    """One connection that was there before the descriptors were used up."""

    def __init__(self, service: Served) -> None:
        self._connection = http.client.HTTPConnection(*service.address, timeout=60)
        self._connection.connect()
        self.get("/healthz")  # Accepted, not only queued.

    def get(self, path: str) -> int:
        return self._status("GET", path, None)

    def post(self, *events: dict[str, Any], path: str = "/v1/events") -> int:
        return self._status("POST", path, json.dumps(events))

    def _status(self, method: str, path: str, body: str | None) -> int:
        self._connection.request(method, path, body, {"Content-Type": "application/json"} if body else {})
        with self._connection.getresponse() as answer:
            answer.read()
            return answer.status

    def close(self) -> None:
        self._connection.close()


@contextmanager
def none_left(service: Served) -> Iterator[None]:
    """While the worker cannot open anything: it may have no more than it has (prlimit(2))."""
    (pid,) = service.workers()
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (0, before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)


def idle_connections(service: Served, stack: ExitStack, count: int) -> None:
    for _ in range(count):
        stack.enter_context(socket.create_connection(service.address, timeout=60))


def test_clients_that_hold_all_connections_keep_no_event_from_the_broker(cluster: MockCluster, tmp_path: Path) -> None:
    """228 idle ones took the descriptors of spool and brokers, and 150 of 300 spooled events were stuck for good."""
    with Few(tmp_path, **kafka(cluster)) as service, ExitStack() as stack:
        said = re.findall(rf"(\d+) \(not 20000: it may open {FEW} files\) connections per worker", service.log())
        client = stack.enter_context(closing(Client(service)))
        idle_connections(service, stack, IDLE)
        (pid,) = service.workers()
        most = int(said[0]) + int(said[0]) // 8
        service.until(lambda: Scrape.of(service).value("penstock_http_connections") >= most)
        cluster.hang()
        for first in range(0, 300, 10):
            assert client.post(*map(order, range(first, first + 10)), path="/v1/events?hasty=true") == 202
        service.until(lambda: Scrape.of(service).value("penstock_spool_events") > 0)
        held = len(os.listdir(f"/proc/{pid}/fd"))
        cluster.go_on()
        service.until(lambda: numbers(cluster) >= set(range(300)))

        assert held < FEW
        assert "Too many open files" not in service.log()
        assert Scrape.of(service).value("penstock_task_failures_total") == 0
        assert client.post(order(300)) == 201


def test_replay_and_all_timers_go_on_after_a_time_without_descriptors(cluster: MockCluster, tmp_path: Path) -> None:
    with Served(tmp_path, **kafka(cluster)) as service, closing(Client(service)) as client:
        assert client.post(order(0)) == 201
        with none_left(service):
            cluster.hang()
            assert client.post(*map(order, range(1, 50)), path="/v1/events?hasty=true") == 202
            service.until(lambda: Scrape.of(service).value("penstock_spool_events") > 0)
            service.says(r"Delivery._look failed and will run again")
            service.says(r"Replay._run failed and will run again")
            service.until(lambda: Scrape.of(service).value("penstock_task_failures_total") > 1)
        cluster.go_on()
        service.until(lambda: numbers(cluster) >= set(range(50)))
        service.until(lambda: Scrape.of(service).value("penstock_spool_events") == 0)
        service.signal(signal.SIGTERM)

        assert service.exit_code() == 0


def test_a_schema_that_could_not_be_opened_is_read_for_the_next_event(tmp_path: Path) -> None:
    """Any stream is taken, so that no schema is read before its first event."""
    event = {"$schema": "/app/tick/1.0.0", "meta": {"stream": "a"}, "count": 1}
    settings: dict[str, Any] = {"workers": 1, "streams": {"sources": []}, "schemas": {"prepared_path": ""}}
    with Served(tmp_path, **settings) as service, closing(Client(service)) as client:
        with none_left(service):
            assert client.post(event) == 503
        assert client.post(event) == 201
