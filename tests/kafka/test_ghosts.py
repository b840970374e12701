"""No ghosts: what was answered as failed is never delivered, whatever a real Kafka does; what was accepted is."""

from __future__ import annotations

import http.client
import json
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.harness.broker import Kafka
from tests.harness.served import Served
from tests.harness.topics import create, read_all

pytestmark = pytest.mark.kafka

CLIENTS = 12
BATCH = 3


class Sender(threading.Thread):
    """Sends guaranteed batches, one after the other, until told to stop; writes down each answer."""

    def __init__(self, service: Served, first: int) -> None:
        super().__init__()
        self._address = service.address
        self._next = first
        self.answers: dict[int, tuple[int, str | None]] = {}
        self.is_stopping = False

    def run(self) -> None:
        with closing(http.client.HTTPConnection(*self._address, timeout=60)) as connection:
            while not self.is_stopping:
                self._post(connection)
                time.sleep(0.02)

    def _post(self, connection: http.client.HTTPConnection) -> None:
        numbers = range(self._next, self._next + BATCH)
        self._next += BATCH
        events = [
            {"$schema": "/shop/order/1.0.0", "meta": {"stream": "shop.order"}, "order_id": f"A-{n}", "total": n}
            for n in numbers
        ]
        connection.request("POST", "/v1/events", json.dumps(events), {"content-type": "application/json"})
        with connection.getresponse() as response:
            response.read()
            for number in numbers:
                self.answers[number] = (response.status, response.headers["X-Durability"])


def hang(kafka: Kafka) -> None:
    kafka.hang()
    time.sleep(12)
    kafka.go_on()


def kill(kafka: Kafka) -> None:
    kafka.kill()
    time.sleep(2)
    kafka.start()


@pytest.mark.parametrize("trouble", [hang, kill])
def test_what_was_answered_as_failed_is_never_delivered_and_what_was_accepted_always_is(
    kafka_broker: Kafka, topic: str, tmp_path: Path, trouble: Callable[[Kafka], None]
) -> None:
    create(kafka_broker.servers, f"{topic}.shop.order")
    sink = {"kind": "kafka", "topic_prefix": f"{topic}.", "kafka": {"bootstrap.servers": kafka_broker.servers}}
    with Served(tmp_path, sink=sink, drain_s=15.0) as service:
        senders = [Sender(service, first * 1_000_000) for first in range(CLIENTS)]
        for sender in senders:
            sender.start()
        service.until(lambda: all(len(sender.answers) > 10 * BATCH for sender in senders))
        trouble(kafka_broker)
        service.says("answers again|new producer")
        time.sleep(2)
        for sender in senders:
            sender.is_stopping = True
        for sender in senders:
            sender.join()
        service.signal(signal.SIGTERM)
        assert service.exit_code() == 0
        assert "do not add up" not in service.log()

    answers = {number: answer for sender in senders for number, answer in sender.answers.items()}
    accepted = {number for number, (status, _) in answers.items() if status in (201, 202)}
    there = Counter(json.loads(kept.value)["total"] for kept in read_all(kafka_broker.servers, f"{topic}.shop.order"))
    statuses = Counter(answers.values())
    assert set(statuses) <= {(201, None), (202, "spool"), (503, None)}
    assert statuses[201, None] > 100
    assert statuses[503, None] > 100
    assert accepted - set(there) == set()
    assert set(there) - accepted == set()
    # Twice only what was on the wire, which was told to its sender as spooled.
    assert {number for number, times in there.items() if times > 1} <= {
        number for number, answer in answers.items() if answer == (202, "spool")
    }
