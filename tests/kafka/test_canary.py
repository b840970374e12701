"""Canaries are found again in Kafka by their own identity, and what is wrong with the brokers is named."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from confluent_kafka import Producer

from server.sink.kafka.watch import KafkaWatch
from server.sink.watch import WatchError
from tests.harness.broker import Kafka, MockCluster, dead_servers
from tests.harness.topics import create

NEVER_S = 0.3  # For what will not come.
PATIENCE_S = 60.0


@pytest.fixture
def watch(mock_cluster: MockCluster) -> Iterator[KafkaWatch]:
    one = KafkaWatch({"bootstrap.servers": mock_cluster.servers, "linger.ms": 5})
    yield one
    one.close()


def produce(servers: str, topic: str, *values: bytes) -> None:
    producer = Producer({"bootstrap.servers": servers, "log_level": 0})
    for at, value in enumerate(values):
        producer.produce(topic, value, key=b"%d" % at)
    assert producer.flush(PATIENCE_S) == 0


def find_in(servers: str, topic: str, watch: KafkaWatch) -> None:
    produce(servers, topic, b'{"id":"id-2"}', b"before")
    mark = watch.mark(topic, PATIENCE_S)
    assert mark.exists and sum(mark.ends.values()) == 2
    began_ms = time.time_ns() // 1_000_000 - 1
    produce(servers, topic, b'{"id":"id-1"}', b'{"id":"other"}', b"")

    found = watch.find(mark, b"id-1", PATIENCE_S).found
    missing = watch.find(mark, b"id-2", PATIENCE_S / 20)

    assert found is not None and found.timestamp_ms >= began_ms
    assert found.offset >= mark.ends[found.partition]
    assert (missing.found, missing.exists) == (None, True)  # It was there before the mark.


def test_an_event_is_found_behind_the_mark_alone(mock_cluster: MockCluster, topic: str, watch: KafkaWatch) -> None:
    find_in(mock_cluster.servers, topic, watch)


@pytest.mark.kafka
def test_the_same_in_a_real_kafka_and_a_topic_that_is_gone_is_named(kafka_broker: Kafka, topic: str) -> None:
    create(kafka_broker.servers, topic)
    watch = KafkaWatch({"bootstrap.servers": kafka_broker.servers})
    try:
        find_in(kafka_broker.servers, topic, watch)
        gone = watch.mark(f"{topic}.gone", PATIENCE_S)
        assert not gone.exists
        assert not watch.find(gone, b"id", NEVER_S).exists
    finally:
        watch.close()


def test_brokers_that_do_not_answer_are_an_error_within_the_time_given() -> None:
    with dead_servers() as servers:
        watch = KafkaWatch({"bootstrap.servers": servers})
        try:
            with pytest.raises(WatchError):
                watch.mark("a", NEVER_S)
        finally:
            watch.close()


def test_brokers_that_hang_while_an_event_is_looked_for_are_an_error_or_a_lag(topic: str) -> None:
    cluster = MockCluster()
    try:
        watch = KafkaWatch({"bootstrap.servers": cluster.servers})
        produce(cluster.servers, topic, b"one")
        mark = watch.mark(topic, PATIENCE_S)
        cluster.hang()
        with pytest.raises(WatchError):
            watch.find(mark, b"id-1", NEVER_S)
        cluster.go_on()
        watch.close()
    finally:
        cluster.kill()


def test_properties_that_no_consumer_takes_are_an_error() -> None:
    with pytest.raises(WatchError, match="a consumer cannot be made"):
        KafkaWatch({"bootstrap.servers": "a:1", "security.protocol": "nonsense"})
