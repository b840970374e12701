"""Brokers that close idle connections, and brokers whose quota is used up, are not brokers that do not answer."""

from __future__ import annotations

import http.client
import json
import os
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.harness.broker import Kafka
from tests.harness.served import Served
from tests.harness.topics import create, read_all
from tests.kafka.fixtures import have_kafka
from tests.process.scraped import Scrape

pytestmark = pytest.mark.kafka

STREAM = "shop.order"
IDLE_MS = 500
DISCONNECTS = "penstock_kafka_broker_disconnects_total"


@pytest.fixture
def impatient(tmp_path: Path) -> Iterator[Kafka]:
    """A node that closes what has been idle for half a second; Kafka's default is ten minutes."""
    have_kafka()
    kafka = Kafka(tmp_path / "node", **{"connections.max.idle.ms": str(IDLE_MS)})
    (tmp_path / "node").mkdir()
    kafka.start()
    yield kafka
    kafka.stop()


def post(service: Served, number: int, *, lines_count: int = 0, path: str = "/v1/events") -> tuple[int, str | None]:
    lines = [{"article": os.urandom(32).hex(), "count": 1} for _ in range(lines_count)]
    event = {
        "$schema": "/shop/order/1.0.0",
        "meta": {"stream": STREAM},
        "order_id": f"A-{number}",
        "total": number,
        "lines": lines,
    }
    with closing(http.client.HTTPConnection(*service.address, timeout=60)) as connection:
        connection.request("POST", path, json.dumps(event), {"content-type": "application/json"})
        with connection.getresponse() as response:
            response.read()
            return response.status, response.headers["X-Durability"]


def test_a_broker_that_closes_idle_connections_costs_no_answer_and_no_warning(
    impatient: Kafka, topic: str, tmp_path: Path
) -> None:
    create(impatient.servers, f"{topic}.{STREAM}")
    properties = {"bootstrap.servers": impatient.servers, "statistics.interval.ms": 50}
    sink = {"kind": "kafka", "topic_prefix": f"{topic}.", "kafka": properties}
    with Served(tmp_path, sink=sink, workers=1) as service:
        answers = []
        for number in range(12):
            closed = Scrape.of(service).sum(DISCONNECTS)
            answers.append(post(service, number))
            # Every other one comes when a connection was closed, unless librdkafka has kept it busy by itself.
            deadline = time.monotonic() + 3 * IDLE_MS / 1000 * (number % 2)
            while Scrape.of(service).sum(DISCONNECTS) == closed and time.monotonic() < deadline:
                time.sleep(0.02)
        service.until(lambda: Scrape.of(service).sum(DISCONNECTS) > 0)

        assert Counter(answers) == {(201, None): 12}
        assert "no Kafka broker answers" not in service.log()
        assert "answers again" not in service.log()
    assert len(read_all(impatient.servers, f"{topic}.{STREAM}")) == 12


def test_a_quota_that_is_used_up_is_said_to_be_one(kafka_broker: Kafka, topic: str, tmp_path: Path) -> None:
    """Guaranteed events are refused meanwhile, hasty ones spooled; all that was accepted arrives."""
    create(kafka_broker.servers, f"{topic}.{STREAM}")
    client = f"client-{topic}"
    kafka_broker.quota(client, producer_byte_rate=2000)
    properties = {"bootstrap.servers": kafka_broker.servers, "client.id": client}
    sink = {"kind": "kafka", "topic_prefix": f"{topic}.", "kafka": properties}
    with Served(tmp_path, sink=sink, workers=1) as service:
        deadline, number = time.monotonic() + 60, 0
        kept = set()
        while "limits this service by a quota" not in service.log() and time.monotonic() < deadline:
            for _ in range(5):
                kept.add(number)
                assert post(service, number, lines_count=40, path="/v1/events?hasty=true")[0] == 202
                number += 1
        service.says("limits this service by a quota and accepts nothing for")
        service.until(lambda: Scrape.of(service).sum("penstock_sink_throttled_workers") == 1)
        if post(service, number)[0] != 503:
            kept.add(number)
        kafka_broker.quota(client)
        service.until(lambda: Scrape.of(service).sum("penstock_sink_throttled_workers") == 0)
        service.until(lambda: post(service, 10_000_000) == (201, None))
        service.until(lambda: kept <= totals(kafka_broker, f"{topic}.{STREAM}"))

        assert "has not answered" not in service.log()
        assert "no Kafka broker answers" not in service.log()


def totals(kafka: Kafka, topic: str) -> set[int]:
    return {json.loads(kept.value)["total"] for kept in read_all(kafka.servers, topic)}
