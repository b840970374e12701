"""A topic of one test on a real Kafka, and the settings of a stream on it.

Not here: the broker (tests.kafka.fixtures), the running programs (tests.harness.streaming).
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any, Final

import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewPartitions, NewTopic

from tests.harness.broker import Kafka
from tests.harness.streaming import OWN

PATH: Final = "/v2/stream/kafka.test"


class Topic:
    """A topic of one test, as producers see it. ``padding`` is a text that all events carry."""

    def __init__(self, kafka: Kafka, name: str) -> None:
        self.name = name
        self.padding = ""
        self._admin = AdminClient({"bootstrap.servers": kafka.servers, "log_level": 0})
        self._servers = kafka.servers
        self._producer = self._make_producer()

    def _make_producer(self) -> Producer:
        # Idempotent: else a batch that is refused, because the topic is new, is stored after those that follow it.
        properties = {"bootstrap.servers": self._servers, "linger.ms": 0, "log_level": 0}
        return Producer(properties | {"enable.idempotence": True})

    def create(self, partitions: int) -> None:
        for done in self._admin.create_topics([NewTopic(self.name, partitions, 1)]).values():
            done.result(60)

    def delete(self) -> None:
        for done in self._admin.delete_topics([self.name]).values():
            done.result(60)

    def grow(self, partitions: int) -> None:
        for done in self._admin.create_partitions([NewPartitions(self.name, partitions)]).values():
            done.result(60)
        self._producer = self._make_producer()  # It knows the new ones.

    def retain(self, partition: int, offset: int) -> None:
        for done in self._admin.delete_records([TopicPartition(self.name, partition, offset)]).values():
            done.result(60)

    def event(self, name: str) -> bytes:
        return json.dumps({"meta": {"stream": "kafka.test", "id": name}, "padding": self.padding}).encode()

    def send(self, *names: str, partition: int = 0, ms: int = 0) -> None:
        for name in names:
            self._producer.produce(
                self.name, self.event(name), partition=partition, timestamp=ms or int(time.time() * 1000)
            )
        assert self._producer.flush(60) == 0

    def transact(self, *names: str, is_committed: bool) -> None:
        producer = Producer({"bootstrap.servers": self._servers, "transactional.id": self.name})
        producer.init_transactions(60)
        producer.begin_transaction()
        for name in names:
            producer.produce(self.name, self.event(name), partition=0)
        producer.flush(60)
        if is_committed:
            producer.commit_transaction(60)
        else:
            producer.abort_transaction(60)


@pytest.fixture
def of_test(kafka_broker: Kafka, topic: str) -> Topic:
    return Topic(kafka_broker, topic)


def on_topic(directory: Path, kafka: Kafka, topic: str, **own: Any) -> dict[str, Any]:
    """Return the settings of the stream kafka.test on a topic. ``own`` are settings of EventStreams."""
    (directory / "own.yaml").write_text(
        f"streams: {{kafka.test: {{schema_title: web/page_view, topics: [{topic}],"
        " consumers: {eventstreams: {enabled: true}}}}"
    )
    return {
        "streams": {"sources": [str(directory / "own.yaml")]},
        "sink": {"kind": "kafka", "kafka": {"bootstrap.servers": kafka.servers}},
        "eventstreams": OWN | own,
    }


def ids(events: list[dict[str, Any]]) -> list[str]:
    return [str(event["meta"]["id"]) for event in events]
