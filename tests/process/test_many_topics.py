"""A served worker with many topics has several producers, and what it says of them is true."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.harness.broker import MockCluster
from tests.harness.served import Served
from tests.harness.topics import read_all
from tests.process.scraped import Scrape

STREAMS = [f"app.tick.{number}" for number in range(300)]


def producers_of(pid: int) -> int:
    """How many librdkafka producers a process has: each has one main thread."""
    names = [path.read_text().strip() for path in Path(f"/proc/{pid}/task").glob("*/comm")]
    return names.count("rdk:main")


def post(service: Served, streams: list[str]) -> int:
    events = [{"$schema": "/app/tick/1.0.0", "meta": {"stream": name}, "count": 1} for name in streams]
    with closing(http.client.HTTPConnection(*service.address, timeout=60)) as connection:
        connection.request("POST", "/v1/events", json.dumps(events), {"content-type": "application/json"})
        return connection.getresponse().status


@pytest.fixture
def cluster() -> Iterator[MockCluster]:
    cluster = MockCluster()
    yield cluster
    cluster.kill()


def test_events_of_300_topics_are_kept_by_three_producers(cluster: MockCluster, tmp_path: Path) -> None:
    sink = {"kind": "kafka", "kafka": {"bootstrap.servers": cluster.servers}, "max_producers": 5}
    with Served(tmp_path, workers=1, sink=sink) as service:
        (worker,) = service.workers()
        assert post(service, STREAMS[:3]) == 201
        # The one that asked for limits of topics ends by itself.
        service.until(lambda: producers_of(worker) == 1)
        assert post(service, STREAMS) == 201
        service.until(lambda: producers_of(worker) == 3)
        service.until(lambda: Scrape.of(service).sum("penstock_events_delivered_total") == 303)

    for name in (STREAMS[0], STREAMS[150], STREAMS[299]):
        assert read_all(cluster.servers, name)
