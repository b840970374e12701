"""The newest events of topics are read once each, also of busy ones, and brokers that do not answer are an error."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from server.sink.kafka.tail import KafkaTail
from server.sink.watch import WatchError
from tests.harness.broker import Kafka, MockCluster, dead_servers
from tests.harness.topics import create
from tests.kafka.test_canary import NEVER_S, PATIENCE_S, produce


@pytest.fixture
def tail(mock_cluster: MockCluster) -> Iterator[KafkaTail]:
    one = KafkaTail({"bootstrap.servers": mock_cluster.servers})
    yield one
    one.close()


def values(tail: KafkaTail, topic: str, most: int) -> list[bytes]:
    found = tail.take([topic, f"{topic}.gone"], most, PATIENCE_S)
    assert set(found) <= {topic}
    return sorted(one.value for one in found.get(topic, ()))


def read_in(servers: str, topic: str, tail: KafkaTail) -> None:
    produce(servers, topic, *(b"%03d" % at for at in range(100)))
    some = values(tail, topic, 40)
    assert 0 < len(some) <= 40
    assert values(tail, topic, 40) == []
    produce(servers, topic, b"new")
    assert values(tail, topic, 40) == [b"new"]
    assert values(tail, topic, 1000) == []


def test_each_event_is_read_once(mock_cluster: MockCluster, topic: str, tail: KafkaTail) -> None:
    read_in(mock_cluster.servers, topic, tail)


def make_again(servers: str, topic: str) -> None:
    """Delete a topic, and make it again as soon as the broker has forgotten it."""
    admin, until_s = AdminClient({"bootstrap.servers": servers, "log_level": 0}), time.monotonic() + PATIENCE_S
    admin.delete_topics([topic])[topic].result(PATIENCE_S)
    while True:
        try:
            return create(servers, topic)
        except KafkaException as failed:
            if failed.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS or time.monotonic() > until_s:
                raise


@pytest.mark.kafka
def test_the_same_in_a_real_kafka_and_a_topic_that_was_made_again_is_read(kafka_broker: Kafka, topic: str) -> None:
    create(kafka_broker.servers, topic)
    tail = KafkaTail({"bootstrap.servers": kafka_broker.servers})
    try:
        read_in(kafka_broker.servers, topic, tail)
        make_again(kafka_broker.servers, topic)
        produce(kafka_broker.servers, topic, b"again")
        first = values(tail, topic, 100)  # It finds out that the topic is another one.
        produce(kafka_broker.servers, topic, b"later")
        assert sorted({*first, *values(tail, topic, 100)}) == [b"again", b"later"]
    finally:
        tail.close()


def test_brokers_that_do_not_answer_are_an_error_within_the_time_given() -> None:
    with dead_servers() as servers:
        tail = KafkaTail({"bootstrap.servers": servers})
        with pytest.raises(WatchError):
            tail.take(["a"], 10, NEVER_S)
        tail.close()


def test_properties_that_no_consumer_takes_are_an_error() -> None:
    with pytest.raises(WatchError, match="a consumer cannot be made"):
        KafkaTail({"bootstrap.servers": "a:9092", "security.protocol": "none"})
