"""server.sink.kafka.partitions says of each key what librdkafka does with it."""

from __future__ import annotations

import random

import pytest
from confluent_kafka import Message, Producer

from server.sink.kafka.partitions import UNKNOWN, partitioner_of
from tests.harness.broker import MockCluster

KEYS = 250


def made(seed: int) -> list[bytes]:
    """Keys of all lengths from 1, with each rest of a division by 4."""
    chance = random.Random(seed)
    return [chance.randbytes(1 + number % 40) for number in range(KEYS)]


@pytest.mark.parametrize(
    "name", ["consistent", "consistent_random", "murmur2", "murmur2_random", "fnv1a", "fnv1a_random", None]
)
def test_keys_go_to_the_partitions_that_librdkafka_chooses(
    mock_cluster: MockCluster, topic: str, name: str | None
) -> None:
    properties = {} if name is None else {"partitioner": name}
    producer = Producer({"bootstrap.servers": mock_cluster.servers, **properties})
    count = len(producer.list_topics(topic, timeout=60).topics[topic].partitions)
    keys, found = made(len(topic)), dict[bytes, int | None]()

    def on_ack(_error: object, message: Message) -> None:
        key = message.key()
        assert isinstance(key, bytes)
        found[key] = message.partition()

    for key in keys:
        producer.produce(topic, b"", key, on_delivery=on_ack)
    assert producer.flush(60) == 0
    partition_of = partitioner_of(dict(properties))

    assert count > 1
    assert found == {key: partition_of(key, count) for key in keys}
    assert len(set(found.values())) == count


@pytest.mark.parametrize("name", ["consistent_random", "murmur2_random", "fnv1a_random"])
def test_where_an_empty_key_goes_is_not_known(name: str) -> None:
    assert partitioner_of({"partitioner": name})(b"", 5) == UNKNOWN
    assert partitioner_of({"partitioner": name.removesuffix("_random")})(b"", 5) >= 0
