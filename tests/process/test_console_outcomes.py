"""The console of a real service shows what became of events, also when that was known only after the answer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.harness.broker import MockCluster
from tests.harness.consoled import CONSOLE, GOOD, client_of, expected, send
from tests.harness.running import eventually
from tests.harness.served import Served


@pytest.fixture
def cluster() -> Iterator[MockCluster]:
    cluster = MockCluster()
    yield cluster
    cluster.kill()


def served(directory: Path, cluster: MockCluster, **settings: Any) -> Served:
    kafka = {"bootstrap.servers": cluster.servers, "message.timeout.ms": 6000}
    return Served(
        directory, **{"workers": 1, "sink": {"kind": "kafka", "kafka": kafka}, "console": CONSOLE, **settings}
    )


def details(service: Served, where: str, at_least: int = 1) -> list[dict[str, Any]]:
    answer = expected(service, where=where, at_least=at_least, within_ms=60_000)
    client = client_of(service)
    return [client.ask("GET", f"/events/{one['facts']['seq']}") for one in answer["events"]]


@pytest.mark.parametrize("path", ["/v1/events", "/v1/events?hasty=true"])
def test_a_delivered_event_has_partition_offset_latency_topic_key_and_receipt(
    cluster: MockCluster, tmp_path: Path, path: str
) -> None:
    order = {"$schema": "/shop/order/1.0.0", "meta": {"stream": "shop.order"}, "order_id": "A-1", "total": 5}
    with served(tmp_path, cluster) as service:
        for _ in range(2):
            send(service.address, order, path, headers={"X-Penstock-Test": "k4"})

        def delivered() -> list[dict[str, Any]]:
            found = details(service, "test:k4 stream:shop.order", at_least=2)
            return found if all("offset" in one["outcome"] for one in found) else []

        found = eventually(delivered)
        receipt = send(service.address, None, f"/v1/receipts/{found[0]['summary']['request']}", "GET")

    assert [one["outcome"]["offset"] for one in found] == [0, 1]
    assert len({one["outcome"]["partition"] for one in found}) == 1
    assert all(one["outcome"]["ack_ms"] > 0 for one in found)
    assert {(one["topic"], one["key"]) for one in found} == {("shop.order", '{"order_id":"A-1"}')}
    assert json.loads(receipt[1])["delivered"] == 1


def test_a_hasty_event_that_is_spooled_later_is_shown_under_its_session(cluster: MockCluster, tmp_path: Path) -> None:
    """The broker hangs: events wait in the sink until they time out."""
    with served(tmp_path, cluster, spool={"path": str(tmp_path / "spool")}) as service:
        assert send(service.address, GOOD)[0] == 201
        cluster.hang()
        assert send(service.address, [GOOD] * 3, "/v1/events?hasty=true&test=late")[0] == 202
        spooled = details(service, "test:late verdict:spooled", at_least=3)
        cluster.go_on()

    assert {one["summary"]["status"] for one in spooled} == {202}
    assert all(one["outcome"]["ack_ms"] > 0 for one in spooled)


def test_a_guaranteed_event_that_is_spooled_says_so(cluster: MockCluster, tmp_path: Path) -> None:
    spool = {"path": str(tmp_path / "spool"), "on_broker_down": "spool"}
    with served(tmp_path, cluster, spool=spool) as service:
        assert send(service.address, GOOD)[0] == 201
        cluster.hang()
        status, _, headers = send(service.address, GOOD, headers={"X-Penstock-Test": "disk"})
        (shown,) = details(service, "test:disk verdict:spooled")
        cluster.go_on()

    assert (status, headers["X-Durability"]) == (202, "spool")
    assert shown["outcome"]["ack_ms"] > 0
