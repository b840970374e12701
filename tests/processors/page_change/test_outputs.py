"""The outputs in Kafka: what is said of a producer that takes nothing more."""

from __future__ import annotations

from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from processors.page_change.embedded import outputs
from processors.page_change.embedded.outputs import IntoKafka
from processors.page_change.embedded.stop import Stop
from processors.page_change.records import Output
from server.errors import PenstockError
from tests.processors.page_change.events import NAMES, T

TOO_LARGE = "records of a topic: Broker: Message size too large"


class Fatal:
    """A producer after a fatal error, which it tells of when it is polled often enough: librdkafka refuses records
    from the moment of the error, and hands the error over afterwards."""

    def __init__(self, polls: int) -> None:
        self._polls = polls

    def produce(self, *_arguments: object, **_named: object) -> None:
        raise KafkaException(KafkaError(KafkaError._FATAL))

    def poll(self, _seconds: float) -> int:
        self._polls -= 1
        if not self._polls:
            raise KafkaException(KafkaError(KafkaError._FATAL, TOO_LARGE, True))
        return 0

    def purge(self) -> None:
        pass


class Refusing(Fatal):
    """A producer that refuses a record when it is given it, or when it is sent."""

    def __init__(self, *, at_once: bool) -> None:
        super().__init__(0)
        self._at_once = at_once

    def produce(self, *_arguments: object, **named: Any) -> None:
        error = KafkaError(KafkaError._UNKNOWN_PARTITION)
        if self._at_once:
            raise KafkaException(error)
        named["on_delivery"](error, self)

    def topic(self) -> str:
        return "some.topic"

    def flush(self, _seconds: float) -> int:
        return 0


@pytest.mark.parametrize(("polls", "said"), [(1, TOO_LARGE), (2, TOO_LARGE), (0, "Local: Fatal error")])
def test_the_error_behind_a_fatal_one_is_named(monkeypatch: pytest.MonkeyPatch, polls: int, said: str) -> None:
    monkeypatch.setattr(outputs, "FATAL_S", 0.3)
    monkeypatch.setattr(outputs, "producer", lambda _properties: Fatal(polls))
    sink = IntoKafka({}, {NAMES.output: 1_000_000})

    with pytest.raises(PenstockError, match=f"the output cannot be written: {said}; nothing of it is committed"):
        sink.write([("topic", Output(NAMES.output, b"key", T, b"value"))], Stop())


@pytest.mark.parametrize("at_once", [True, False])
def test_the_topic_that_takes_nothing_is_named(monkeypatch: pytest.MonkeyPatch, at_once: bool) -> None:
    monkeypatch.setattr(outputs, "producer", lambda _properties: Refusing(at_once=at_once))
    sink = IntoKafka({}, {NAMES.output: 1_000_000})

    with pytest.raises(PenstockError, match=r"the output cannot be written to topic some.topic: Local: Unknown part"):
        sink.write([("some.topic", Output(NAMES.output, b"key", T, b"value"))], Stop())
