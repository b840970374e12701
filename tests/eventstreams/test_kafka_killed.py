"""A broker is killed and started again while clients stream: they go on without loss, in order, each event once."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from tests.eventstreams.kafka_topic import PATH, Topic, ids, of_test, on_topic
from tests.harness.broker import Kafka
from tests.harness.running import eventually
from tests.harness.streaming import Streams
from tests.kafka.fixtures import kafka_broker, kafka_node, topic

__all__ = ["kafka_broker", "kafka_node", "of_test", "topic"]

OLD, NEW = 1_000, 30
PARTITIONS = 2


def send(of_test: Topic, first: int, count: int) -> None:
    for partition in range(PARTITIONS):
        names = (f"{partition}/{number}" for number in range(first, first + count))
        of_test.send(*names, partition=partition)


def check(events: list[dict[str, Any]], first: int, end: int) -> None:
    """All events of both partitions came once, in order."""
    assert {event["kind"] for event in events} == {"message"}
    for partition in range(PARTITIONS):
        mine = ids([event for event in events if event["meta"]["partition"] == partition])
        assert mine == [f"{partition}/{number}" for number in range(first, end)]


class Returning(threading.Thread):
    """A client that asks again and again for all that is there, from where it was."""

    def __init__(self, streams: Streams) -> None:
        super().__init__(daemon=True)
        self.got: list[dict[str, Any]] = []
        self.statuses: list[int] = []
        self.is_over = threading.Event()
        self._streams = streams

    def run(self) -> None:
        last_id = ""
        while not self.is_over.wait(0.05):
            headers = {"Last_Event_ID": last_id} if last_id else {}
            with self._streams.open(f"{PATH}?since=earliest&poll=1", **headers) as stream:
                if stream.response.status == 200:
                    self.got += stream.events()
                    last_id = stream.last_id or last_id
                self.statuses.append(stream.response.status)


@pytest.mark.slow("a broker is killed and started again")
def test_clients_go_on_when_their_broker_was_killed(of_test: Topic, kafka_broker: Kafka, tmp_path: Path) -> None:
    of_test.create(PARTITIONS)
    of_test.padding = "x" * 10_000  # So that a client that does not read is far behind.
    send(of_test, 0, OLD)
    limits = {"write_stall_s": 600.0, "ring_events": 10}
    settings = on_topic(tmp_path, kafka_broker, of_test.name, limits=limits, peer_timeout_s=600.0)
    with Streams(tmp_path, **settings) as streams:
        returning = Returning(streams)
        returning.start()
        try:
            with streams.open(PATH).opened() as live, streams.open(f"{PATH}?since=earliest").opened() as behind:
                old = behind.take(10)
                eventually(lambda: len(returning.got) == PARTITIONS * OLD)
                kafka_broker.kill()
                try:
                    eventually(lambda: returning.statuses[-1] == 503)
                finally:
                    kafka_broker.start()
                send(of_test, OLD, NEW)
                check(live.take(PARTITIONS * NEW), OLD, OLD + NEW)
                check(old + behind.take(PARTITIONS * (OLD + NEW) - len(old)), 0, OLD + NEW)
                eventually(lambda: len(returning.got) >= PARTITIONS * (OLD + NEW))
        finally:
            returning.is_over.set()
            returning.join(60)

    check(returning.got, 0, OLD + NEW)
    assert set(returning.statuses) == {200, 503}
