"""The whole service on a real Apache Kafka: what was answered 2xx is in the topic, once, as it was meant."""

from __future__ import annotations

import http.client
import json
import signal
import time
from collections import Counter
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Self

import pytest
from confluent_kafka.admin import AdminClient

from tests.harness.broker import Kafka, dead_servers
from tests.harness.served import Served
from tests.harness.topics import Stored, create, read_all

ORDERS = 8
BATCH = 5
FIRST_MS = time.time_ns() // 1_000_000


def order(number: int) -> dict[str, Any]:
    dt = datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=FIRST_MS + number)
    return {
        "$schema": "/shop/order/1.0.0",
        "meta": {"stream": "shop.order", "dt": dt.isoformat(timespec="milliseconds").replace("+00:00", "Z")},
        "order_id": f"A-{number // BATCH % ORDERS}",
        "total": number,
    }


class Clients:
    """One kept-alive connection for each order, so that its events are sent one after the other."""

    def __init__(self, service: Served) -> None:
        self._connections = [http.client.HTTPConnection(*service.address, timeout=60) for _ in range(ORDERS)]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for connection in self._connections:
            connection.close()

    def post(self, path: str, first: int) -> int:
        body = json.dumps([order(number) for number in range(first, first + BATCH)])
        connection = self._connections[first // BATCH % ORDERS]
        connection.request("POST", path, body, {"content-type": "application/json"})
        with connection.getresponse() as response:
            response.read()
            return response.status


def ask(service: Served, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
    """One request on a connection of its own."""
    with closing(http.client.HTTPConnection(*service.address, timeout=60)) as connection:
        connection.request(method, path, body, {"content-type": "application/json"})
        with connection.getresponse() as response:
            return response.status, response.read()


def kafka_sink(kafka: Kafka, topic_prefix: str) -> dict[str, Any]:
    return {"kind": "kafka", "topic_prefix": topic_prefix, "kafka": {"bootstrap.servers": kafka.servers}}


@pytest.mark.kafka
def test_every_event_is_there_once_with_key_headers_and_timestamp_in_order_per_key(
    kafka_broker: Kafka, topic: str, tmp_path: Path
) -> None:
    create(kafka_broker.servers, f"{topic}.shop.order")
    with Served(tmp_path, sink=kafka_sink(kafka_broker, f"{topic}.")) as service, Clients(service) as clients:
        guaranteed = [clients.post("/v1/events", first) for first in range(0, 500, BATCH)]
        hasty = [clients.post("/v1/events?hasty=true", first) for first in range(500, 1000, BATCH)]
        service.signal(signal.SIGTERM)
        assert service.exit_code() == 0

    assert Counter(guaranteed) == {201: 100}
    assert Counter(hasty) == {202: 100}
    stored = read_all(kafka_broker.servers, f"{topic}.shop.order")
    assert sorted(number_of(kept) for kept in stored) == list(range(1000))
    for kept in stored:
        number = number_of(kept)
        assert kept.key == b'{"order_id":"%s"}' % order(number)["order_id"].encode()
        assert kept.timestamp_ms == FIRST_MS + number
        assert kept.headers == [("content-type", b"application/json"), ("schema-uri", b"/shop/order/1.0.0")]
    for one in {kept.key for kept in stored}:
        numbers = [number_of(kept) for kept in stored if kept.key == one]
        assert numbers == sorted(numbers)


def number_of(kept: Stored) -> int:
    return int(json.loads(kept.value)["total"])


@pytest.mark.kafka
def test_nothing_answered_201_is_missing_when_the_broker_is_stopped_and_started_again(
    kafka_broker: Kafka, topic: str, tmp_path: Path
) -> None:
    create(kafka_broker.servers, f"{topic}.shop.order")
    with Served(tmp_path, sink=kafka_sink(kafka_broker, f"{topic}.")) as service, Clients(service) as clients:
        before = {first: clients.post("/v1/events", first) for first in range(0, 100, BATCH)}
        kafka_broker.stop()
        down: dict[int, int] = {}
        # What comes before it is known that no broker answers is spooled; then all is refused.
        for first in range(100, 200, BATCH):
            down[first] = clients.post("/v1/events", first)
            if down[first] == 503:
                break
        kafka_broker.start()
        # A worker that has not found the broker again refuses; what was answered 503 may be sent again.
        for first in range(200, 300, BATCH):
            service.until(partial(lambda first: clients.post("/v1/events", first) == 201, first))
        service.signal(signal.SIGTERM)
        assert service.exit_code() == 0

    assert set(before.values()) == {201}
    assert set(down.values()) - {202} == {503}
    spooled = [first for first, status in down.items() if status == 202]
    promised = {first + offset for first in (*before, *spooled, *range(200, 300, BATCH)) for offset in range(BATCH)}
    there = Counter(number_of(kept) for kept in read_all(kafka_broker.servers, f"{topic}.shop.order"))
    assert there == Counter(promised)


@pytest.mark.kafka
def test_every_event_of_the_corpus_is_accepted_and_there_once(
    kafka_broker: Kafka, topic: str, tmp_path: Path, corpus: Path
) -> None:
    events = [line for path in sorted(corpus.glob("*.ndjson")) for line in path.read_bytes().splitlines()]
    create(kafka_broker.servers, *{f"{topic}.{json.loads(event)['meta']['stream']}" for event in events})
    settings: dict[str, Any] = {
        "service_name": None,
        "schemas": {"base_uris": [str(corpus / "jsonschema")]},
        "streams": {"sources": []},  # Some of its events name streams that are declared no more.
        "sink": kafka_sink(kafka_broker, f"{topic}."),
        "workers": 1,
    }
    with Served(tmp_path, **settings) as service:
        answer = ask(service, "POST", "/v1/events", b"[" + b",".join(events) + b"]")

    assert answer == (201, b"")
    topics = AdminClient({"bootstrap.servers": kafka_broker.servers}).list_topics(timeout=60).topics
    stored = read_all(kafka_broker.servers, *(name for name in topics if name.startswith(f"{topic}.")))
    assert len(stored) == len(events)
    uris = Counter(json.loads(kept.value)["$schema"].encode() for kept in stored)
    assert uris == Counter(json.loads(event)["$schema"].encode() for event in events)
    assert uris == Counter(dict(kept.headers)["schema-uri"] for kept in stored)


def test_a_service_whose_broker_is_away_gets_ready_and_names_the_broker(tmp_path: Path) -> None:
    with dead_servers() as servers:
        settings: dict[str, Any] = {"kind": "kafka", "kafka": {"bootstrap.servers": servers}}

        with Served(tmp_path, sink=settings, workers=1) as service:
            service.says(f"no Kafka broker answers at {servers}")
            assert ask(service, "GET", "/readyz")[0] == 200
