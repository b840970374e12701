"""A topic of a real Apache Kafka with three partitions, and a lake that reads it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from tests.harness.broker import Kafka
from tests.processors.lake.world import NOON, STREAM, World

PARTITIONS = 3
WAIT_S = 30.0


class Log:
    """The topic of the plain stream, with a prefix of its own."""

    def __init__(self, kafka: Kafka, prefix: str) -> None:
        self.servers = kafka.servers
        self.prefix = f"{prefix}."
        self.topic = self.prefix + STREAM
        admin = AdminClient({"bootstrap.servers": self.servers})
        (made,) = admin.create_topics([NewTopic(self.topic, PARTITIONS)]).values()
        made.result(WAIT_S)

    def world(self, root: Path, **settings: Any) -> World:
        """Return a world whose intake writes to this topic."""
        world = World(root, **settings)
        world.write(
            "intake.yaml",
            {
                "schemas": {"base_uris": ["schemas/"], "prepared_path": ""},
                "streams": {"sources": ["streams.yaml"]},
                "sink": {
                    "kind": "kafka",
                    "kafka": {"bootstrap.servers": self.servers},
                    "topic_prefix": self.prefix,
                },
                "log": {"level": "info"},
            },
        )
        return world

    def put(self, *events: object, partition: int = 0, at: int = NOON) -> None:
        """Produce events, or raw texts, and wait for their acks."""
        producer = Producer({"bootstrap.servers": self.servers, "enable.idempotence": True, "linger.ms": 1})
        for one in events:
            value = one if isinstance(one, str) else json.dumps(one)
            producer.produce(self.topic, value, partition=partition, timestamp=at)
        assert producer.flush(WAIT_S) == 0

    def ends(self) -> dict[str, int]:
        """Return the offset of the next event of each partition, by its name."""
        consumer = Consumer({"bootstrap.servers": self.servers, "group.id": "ends"})
        try:
            places = {f"{self.topic}/{one}": TopicPartition(self.topic, one) for one in range(PARTITIONS)}
            return {name: consumer.get_watermark_offsets(one, timeout=WAIT_S)[1] for name, one in places.items()}
        finally:
            consumer.close()

    def committed(self) -> list[int]:
        """Return the offsets that the consumer group has in Kafka: negative if it has none."""
        consumer = Consumer({"bootstrap.servers": self.servers, "group.id": "penstock-lake"})
        try:
            places = [TopicPartition(self.topic, number) for number in range(PARTITIONS)]
            return [place.offset for place in consumer.committed(places, timeout=WAIT_S)]
        finally:
            consumer.close()
