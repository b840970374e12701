"""Metrics tell the truth: for known traffic every count equals the sender's and the sink's, exactly."""

from __future__ import annotations

import http.client
import json
import os
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.harness.broker import MockCluster
from tests.harness.served import Served
from tests.harness.topics import read_all
from tests.process.scraped import Scrape

ORDERS, PROBE, ERRORS = "shop.order", "web.page_view", "penstock.error.validation"


@pytest.fixture
def cluster() -> Iterator[MockCluster]:
    cluster = MockCluster()
    yield cluster
    cluster.kill()


class Sender:
    """Posts, and counts what it was answered."""

    def __init__(self, service: Served) -> None:
        self._service = service
        self._next = 0
        self.answers: Counter[tuple[str, str]] = Counter()
        self.bytes = 0

    def orders(self, count: int) -> list[dict[str, Any]]:
        first, self._next = self._next, self._next + count
        meta = {"stream": ORDERS}
        return [
            {"$schema": "/shop/order/1.0.0", "meta": meta, "order_id": f"A-{number}", "total": number}
            for number in range(first, self._next)
        ]

    def post(self, path: str, content: Any) -> int:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        with closing(http.client.HTTPConnection(*self._service.address, timeout=60)) as connection:
            connection.request("POST", path, body, {"content-type": "application/json"})
            with connection.getresponse() as response:
                response.read()
        route = path.partition("?")[0]
        self.answers["other" if route == "/nowhere" else route, str(response.status)] += 1
        self.bytes += len(body)
        return response.status


def settled(service: Served, name: str, value: float, **labels: str) -> Scrape:
    """The first scrape that says so."""

    def look() -> Scrape | None:
        scrape = Scrape.of(service)
        return scrape if scrape.sum(name, **labels) == value else None

    found = service.until(look)
    assert found is not None
    return found


def test_every_count_is_the_senders_and_the_sinks(cluster: MockCluster, tmp_path: Path) -> None:
    """Good, invalid, refused, spooled, lost to a kill. The brokers hang before that, so that none of it is acked."""
    # As long as can be: what is lost to a kill below must not have been given up by then.
    kafka = {"bootstrap.servers": cluster.servers, "message.timeout.ms": 8000, "statistics.interval.ms": 200}
    with Served(tmp_path, workers=1, drain_s=8.0, sink={"kind": "kafka", "kafka": kafka}) as service:
        sender = Sender(service)
        # Good and invalid, in one batch and alone.
        bad_total = {**sender.orders(1)[0], "total": "much"}
        stranger = {**bad_total, "total": 1, "meta": {"stream": "no.such.stream"}}
        unknown = {**bad_total, "$schema": "/no/such/1.0.0"}
        assert sender.post("/v1/events", [*sender.orders(20), bad_total, bad_total, stranger, unknown, 7]) == 207
        assert sender.post("/v1/events?hasty=true", [*sender.orders(30), bad_total]) == 202
        assert sender.post("/v1/events", b"{") == 400
        assert sender.post("/v1/validate", sender.orders(3)) == 200
        assert sender.post("/nowhere", b"") == 404
        settled(service, "penstock_events_delivered_total", 50, stream=ORDERS)
        # Lost to a kill.
        cluster.hang()
        lost = sender.orders(40)
        assert sender.post("/v1/events?hasty=true", lost) == 202
        settled(service, "penstock_events_accepted_total", 90, stream=ORDERS)
        (worker,) = service.workers()
        os.kill(worker, signal.SIGKILL)
        cluster.go_on()
        settled(service, "penstock_events_lost_total", 40, stream=ORDERS)
        settled(service, "penstock_workers", 1, state="ready")
        # Spooled, and refused. One event of another stream makes the silence heard: it may arrive twice.
        cluster.hang()
        probe = {"$schema": "/web/page_view/1.1.0", "meta": {"stream": PROBE}, "page": "/"}
        assert sender.post("/v1/events?hasty=true", probe) == 202
        settled(service, "penstock_sink_away_workers", 1)
        assert sender.post("/v1/events?hasty=true", sender.orders(25)) == 202
        assert sender.post("/v1/events", sender.orders(5)) == 503
        waiting = settled(service, "penstock_events_spooled_total", 25, stream=ORDERS)
        assert waiting.value("penstock_spool_events") >= 25
        assert waiting.value("penstock_spool_bytes") > 25 * 64
        assert 0 < waiting.value("penstock_spool_oldest_age_seconds") < 60
        cluster.go_on()
        settled(service, "penstock_spool_events", 0)  # Of the map beside the spool; counts follow with the beat.
        spooled = settled(service, "penstock_events_in_flight", 0).sum("penstock_events_spooled_total")
        scrape = settled(service, "penstock_spool_replayed_total", spooled)
        service.signal(signal.SIGTERM)
        assert service.exit_code() == 0

    stored = [json.loads(kept.value)["total"] for kept in read_all(cluster.servers, ORDERS)]
    on_the_wire = {order["total"] for order in lost}  # When the worker was killed: nobody knows what became of it.
    assert len(stored) == len(set(stored))
    assert len(set(stored) - on_the_wire) == 75
    assert dict(told(scrape, "penstock_events_accepted_total", "stream")) == {
        ORDERS: 115, PROBE: 1, ERRORS: 6
    }  # fmt: skip
    assert scrape.value("penstock_events_delivered_total", stream=ORDERS) == 50
    assert scrape.value("penstock_events_spooled_total", stream=ORDERS) == 25
    assert scrape.value("penstock_events_lost_total", stream=ORDERS) == 40
    assert scrape.value("penstock_spool_replayed_total") == scrape.sum("penstock_events_spooled_total")
    assert scrape.sum("penstock_events_dropped_total") == 0
    assert scrape.value("penstock_events_unaccounted") == 0
    assert scrape.value("penstock_events_received_total") == 20 + 5 + 31 + 40 + 1 + 25
    rejected = {name: count for name, count in told(scrape, "penstock_events_rejected_total", "error_type") if count}
    assert rejected == {"schema_violation": 3, "unknown_stream": 1, "unknown_schema": 1, "not_an_object": 1}
    assert dict(told(scrape, "penstock_events_invalid_total", "stream")) == {ORDERS: 3, "other": 3}
    assert scrape.value("penstock_error_events_total", outcome="produced") == 6
    assert len(read_all(cluster.servers, ERRORS)) == 6
    responses = {
        (dict(labels)["route"], dict(labels)["status"]): count
        for (name, labels), count in scrape.samples.items()
        if name == "penstock_http_responses_total"
    }
    assert responses == sender.answers
    assert scrape.value("penstock_http_request_body_bytes_total") == sender.bytes
    assert scrape.value("penstock_http_connections_opened_total") == sender.answers.total()
    assert scrape.value("penstock_requests_refused_total", reason="full") == 1
    assert scrape.value("penstock_child_deaths_total", cause="killed") == 1
    assert scrape.value("penstock_guaranteed_seconds_count") == 1
    assert scrape.sum("penstock_events_judged_total", schema="/shop/order/1.0.0") >= 20 + 30 + 3 + 40 + 25 + 3
    assert scrape.sum("penstock_kafka_broker_requests_total") > 0


def told(scrape: Scrape, name: str, label: str) -> list[tuple[str, float]]:
    return [(dict(labels)[label], value) for (of, labels), value in scrape.samples.items() if of == name]
