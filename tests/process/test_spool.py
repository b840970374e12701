"""The whole service while its brokers are dead or hung: what was answered 2xx arrives, once, in order per key."""

from __future__ import annotations

import http.client
import json
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from tests.harness.broker import MockCluster
from tests.harness.running import is_alive
from tests.harness.served import Served
from tests.harness.topics import read_all
from tests.process.scraped import Scrape

KEYS = 8
TOPIC = "shop.order"
# What was on the wire when a broker hung: five requests to each of three, of what came in within a linger. A broker
# that goes on takes them, and gets them again from the spool.
ON_THE_WIRE = 150


@pytest.fixture
def cluster() -> Iterator[MockCluster]:
    cluster = MockCluster()
    yield cluster
    cluster.kill()


class Client:
    """One connection, so that events of one key come one after the other; remembers what it was promised."""

    def __init__(self, service: Served) -> None:
        self._connection = http.client.HTTPConnection(*service.address, timeout=60)
        self.promised: list[int] = []
        self.refused: list[int] = []
        self.durability: Counter[str | None] = Counter()
        self._next = 0

    def post(self, path: str, count: int = 1) -> int:
        first, self._next = self._next, self._next + count
        events = [order(number) for number in range(first, self._next)]
        self._connection.request("POST", path, json.dumps(events), {"content-type": "application/json"})
        with self._connection.getresponse() as response:
            response.read()
            self.durability[response.headers["X-Durability"]] += 1
            (self.promised if response.status in (201, 202) else self.refused).extend(range(first, self._next))
            return response.status

    def close(self) -> None:
        self._connection.close()


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Clients that are closed in the end."""
    with ExitStack() as opened:
        yield lambda service: opened.enter_context(closing(Client(service)))


Connect = Callable[[Served], Client]


def order(number: int) -> dict[str, Any]:
    return {
        "$schema": "/shop/order/1.0.0",
        "meta": {"stream": "shop.order"},
        "order_id": f"A-{number % KEYS}",
        "total": number,
    }


def served(directory: Path, cluster: MockCluster, timeout_ms: int = 2000, **settings: Any) -> Served:
    (directory / "log").unlink(missing_ok=True)  # Of an earlier start.
    kafka = {"bootstrap.servers": cluster.servers, "message.timeout.ms": timeout_ms}
    whole: dict[str, Any] = {"workers": 1, "drain_s": 8.0, "sink": {"kind": "kafka", "kafka": kafka}, **settings}
    return Served(directory, **whole)


def numbers(cluster: MockCluster) -> list[int]:
    return [json.loads(kept.value)["total"] for kept in read_all(cluster.servers, TOPIC)]


def assert_kept(client: Client, there: list[int], *, most_twice: int = 0) -> None:
    """All that was promised, nothing that was refused, in order per key."""
    count = Counter(there)
    assert set(client.promised) - set(count) == set()
    assert set(client.refused) & set(count) == set()
    assert sum(times - 1 for times in count.values()) <= most_twice
    for key in range(KEYS):
        firsts = list(dict.fromkeys(number for number in there if number % KEYS == key))
        assert firsts == sorted(firsts)


def test_hasty_events_outlast_a_hung_broker_and_arrive_in_order(
    cluster: MockCluster, tmp_path: Path, connect: Connect
) -> None:
    with served(tmp_path, cluster) as service:
        client = connect(service)
        client.post("/v1/events")
        cluster.hang()
        until = time.monotonic() + 5
        while time.monotonic() < until:
            assert client.post("/v1/events?hasty=true", 5) == 202
            time.sleep(0.01)
        assert client.post("/v1/events") == 503
        cluster.go_on()
        service.until(lambda: client.post("/v1/events") == 201)
        service.signal(signal.SIGTERM)
        assert service.exit_code() == 0
        assert "went into the spool" in service.log()

    assert_kept(client, numbers(cluster), most_twice=ON_THE_WIRE)


def test_term_with_a_hung_broker_leaves_what_was_promised_in_the_spool(
    cluster: MockCluster, tmp_path: Path, connect: Connect
) -> None:
    with served(tmp_path, cluster, timeout_ms=8000, drain_s=3.0) as service:
        client, waiting = connect(service), connect(service)
        client.post("/v1/events")
        cluster.hang()
        waiting._next, client._next = 50, 100  # In the order in which they are sent.
        thread = threading.Thread(target=waiting.post, args=("/v1/events",))
        thread.start()
        service.until(lambda: Scrape.of(service).sum("penstock_events_in_flight") == 1)
        for _ in range(5):  # Few requests: nobody may have noticed the silence of the brokers yet.
            assert client.post("/v1/events?hasty=true", 50) == 202
        service.signal(signal.SIGTERM)
        assert service.exit_code() == 0
        thread.join()
        assert "wait in the spool for the next start" in service.log()
    cluster.go_on()
    with served(tmp_path, cluster) as service:
        again = connect(service)
        again._next = 20_000
        service.until(lambda: again.post("/v1/events") == 201)
        service.until(lambda: {*client.promised, *waiting.promised} <= set(numbers(cluster)))
        service.signal(signal.SIGTERM)
        assert service.exit_code() == 0

    assert waiting.promised == [50]
    assert waiting.durability == {"spool": 1}
    assert_kept(client, numbers(cluster), most_twice=251)  # All came within a few lingers.


def test_a_spool_outlives_kill_9_of_its_worker_and_of_everybody(
    cluster: MockCluster, tmp_path: Path, connect: Connect
) -> None:
    with served(tmp_path, cluster) as service:
        client = connect(service)
        client.post("/v1/events")
        cluster.hang()
        service.until(lambda: client.post("/v1/events") == 503)
        for _ in range(40):
            assert client.post("/v1/events?hasty=true", 5) == 202
        service.until(lambda: Scrape.of(service).sum("penstock_spool_events") >= 200)
        (worker,) = service.workers()
        os.kill(worker, signal.SIGKILL)
        service.until(lambda: service.workers() - {worker})
        service.says("events of an earlier run wait")
        everybody = service.children()
        service.signal(signal.SIGSTOP)
        for process in (*everybody, service.pid):  # A worker that is left would send what waits, before the next start.
            os.kill(process, signal.SIGKILL)
        service.process.wait(10)
        service.until(lambda: not any(map(is_alive, everybody)))
    cluster.go_on()
    with served(tmp_path, cluster) as service:
        service.says("events of an earlier run wait")
        service.until(lambda: set(client.promised) <= set(numbers(cluster)))
        service.signal(signal.SIGTERM)
        assert service.exit_code() == 0

    # The guaranteed one that showed that the broker is hung was on the wire: nobody can tell whether it arrived.
    assert_kept(client, numbers(cluster), most_twice=1)


def test_a_stream_may_have_its_guaranteed_events_spooled(
    cluster: MockCluster, tmp_path: Path, connect: Connect
) -> None:
    with served(tmp_path, cluster, spool={"on_broker_down": "spool"}) as service:
        client = connect(service)
        client.post("/v1/events")
        cluster.hang()
        for _ in range(1000):
            assert client.post("/v1/events", 3) in (201, 202)
            if client.durability["spool"] == 10:
                break
        assert client.durability["spool"] == 10
        cluster.go_on()
        service.until(lambda: client.post("/v1/events") == 201)
        service.signal(signal.SIGTERM)
        assert service.exit_code() == 0

    assert_kept(client, numbers(cluster), most_twice=15)
