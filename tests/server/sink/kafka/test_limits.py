"""Asking for the limits of topics leaves nothing behind, whether they are told or not."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest
from confluent_kafka import KafkaError

from server.sink.kafka.limits import limits, small_topics
from soak.brokers import Mock
from tests.harness.running import eventually, open_things


@pytest.fixture
def brokers() -> Iterator[Mock]:
    """Their kind does not know the question, and says so."""
    mock = Mock()
    mock.create(["t"])
    yield mock
    mock.stop()


@pytest.mark.parametrize("is_there", [True, False], ids=["answers", "away"])
def test_no_descriptor_and_no_thread_is_left_without_the_collector(brokers: Mock, is_there: bool) -> None:
    properties = {
        "bootstrap.servers": brokers.servers if is_there else "127.0.0.1:9",
        "message.max.bytes": "1000000",
    }
    gc.collect()
    gc.disable()
    try:
        before = open_things()
        for _ in range(3):
            assert small_topics(["t"], properties) == set()
        eventually(lambda: open_things() <= before)
    finally:
        gc.enable()


def test_a_limit_that_no_broker_tells_has_a_reason() -> None:
    found = limits(["t"], {"bootstrap.servers": "127.0.0.1:9"}, 0.5)["t"]

    assert isinstance(found, KafkaError)
    assert found.code() == KafkaError._TIMED_OUT
