"""Read a topic from its beginning to its present end."""

from __future__ import annotations

import time
from typing import Any, Final, NamedTuple

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

READ_S: Final = 15.0


class Stored(NamedTuple):
    """What a sink keeps of a record."""

    key: bytes | None
    value: bytes
    timestamp_ms: int
    headers: list[tuple[str, bytes]]


def create(servers: str, topic: str, **config: str) -> None:
    """Make a topic of three partitions."""
    admin = AdminClient({"bootstrap.servers": servers, "log_level": 7,"debug":"fetch,cgrp,topic,broker"})
    for made in admin.create_topics([NewTopic(topic, 3, 1, config=config)]).values():
        made.result(READ_S)


def read_all(servers: str, topic: str) -> list[Stored]:
    """Every record of the topic, partition by partition in the order of the log. None there: an empty list."""
    # No group is used, but the consumer wants the name of one; without commits it never looks for its coordinator.
    settings = {"group.id": "reader", "enable.auto.commit": False, "check.crcs": True, "log_level": 7,"debug":"fetch,cgrp,topic,broker"}
    consumer = Consumer({"bootstrap.servers": servers, **settings})
    try:
        return _read(consumer, topic)
    finally:
        consumer.close()


def _read(consumer: Consumer, topic: str) -> list[Stored]:
    ends: dict[int, int] = {}
    for number in _partitions(consumer, topic):
        end = _end(consumer, TopicPartition(topic, number))
        if end > 0:
            ends[number] = end
    consumer.assign([TopicPartition(topic, number, 0) for number in ends])
    found: dict[int, list[Stored]] = {number: [] for number in ends}
    deadline = time.monotonic() + READ_S
    while ends:
        assert time.monotonic() < deadline, f"{topic}: partitions {sorted(ends)} were not read to their end"
        for message in consumer.consume(500, timeout=0.2):
            assert message.error() is None, message.error()
            number, offset = _place(message)
            found[number].append(_stored(message))
            if offset + 1 >= ends.get(number, 0):
                ends.pop(number, None)
    return [record for number in sorted(found) for record in found[number]]


def _end(consumer: Consumer, partition: TopicPartition) -> int:
    """The offset after the last record. A broker that was just started, or hung, is not its leader for a moment."""
    deadline = time.monotonic() + READ_S
    while True:
        try:
            _, high = consumer.get_watermark_offsets(partition, timeout=2)
            return int(high)
        except KafkaException:
            if time.monotonic() > deadline:
                raise


def _partitions(consumer: Consumer, topic: str) -> list[int]:
    metadata = consumer.list_topics(topic, timeout=READ_S).topics[topic]
    if metadata.error is not None:
        if metadata.error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
            return []
        raise KafkaException(metadata.error)
    return sorted(metadata.partitions)


def _place(message: Message) -> tuple[int, int]:
    number, offset = message.partition(), message.offset()
    assert number is not None
    assert offset is not None
    return number, offset


def _stored(message: Message) -> Stored:
    value, key = message.value(), message.key()
    assert isinstance(value, bytes)
    assert key is None or isinstance(key, bytes)
    headers: Any = message.headers() or []
    return Stored(key, value, message.timestamp()[1], headers)
