"""Read a topic from its beginning to its present end."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

READ_S: Final = 60.0


class Stored(NamedTuple):
    """The stored parts of a record."""

    key: bytes | None
    value: bytes
    timestamp_ms: int
    headers: list[tuple[str, bytes]]


def create(servers: str, *topics: str, **config: str) -> None:
    """Make topics of three partitions. A busy broker may take longer to make them on first use than an event waits."""
    admin = AdminClient({"bootstrap.servers": servers, "log_level": 0})
    wanted = [NewTopic(topic, 3, 1, config=config) for topic in topics]
    for made in admin.create_topics(wanted, operation_timeout=READ_S, request_timeout=READ_S).values():
        made.result(READ_S)


def read_all(servers: str, *topics: str) -> list[Stored]:
    """Return every record of the topics, by partition, in the order of the log; none of a topic that does not exist."""
    # No group is used, but the consumer needs the name of one; without commits it never looks for its coordinator.
    settings = {"group.id": "reader", "enable.auto.commit": False, "check.crcs": True, "log_level": 0}
    consumer = Consumer({"bootstrap.servers": servers, **settings})
    try:
        return _read(consumer, topics)
    finally:
        consumer.close()


def _read(consumer: Consumer, topics: Sequence[str]) -> list[Stored]:
    partitions = [TopicPartition(topic, number, 0) for topic in topics for number in _partitions(consumer, topic)]
    ends = {(partition.topic, partition.partition): _end(consumer, partition) for partition in partitions}
    left = {place for place, end in ends.items() if end > 0}
    consumer.assign([partition for partition in partitions if (partition.topic, partition.partition) in left])
    found: dict[tuple[str, int], list[Stored]] = {place: [] for place in ends}
    deadline = time.monotonic() + READ_S
    while left:
        counts = {place: f"{len(found[place])} of {ends[place]}" for place in left}
        assert time.monotonic() < deadline, f"not read to the end: {counts}"
        for message in consumer.consume(500, timeout=0.1):
            assert message.error() is None, message.error()
            place, offset = _place(message)
            found[place].append(_stored(message))
            if offset + 1 >= ends[place]:
                left.discard(place)
    return [record for records in found.values() for record in records]


def _end(consumer: Consumer, partition: TopicPartition) -> int:
    """Return the offset after the last record. A broker that has just started or hung is not the leader for a
    moment."""
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


def _place(message: Message) -> tuple[tuple[str, int], int]:
    topic, number, offset = message.topic(), message.partition(), message.offset()
    assert topic is not None
    assert number is not None
    assert offset is not None
    return (topic, number), offset


def _stored(message: Message) -> Stored:
    value, key = message.value(), message.key()
    assert isinstance(value, bytes)
    assert key is None or isinstance(key, bytes)
    headers: Any = message.headers() or []
    return Stored(key, value, message.timestamp()[1], headers)
