"""Records that are gone before they are read are told, and reading goes on at the oldest one that is left."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import OFFSET_BEGINNING, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from processors.page_change.embedded import kafka_input
from processors.page_change.embedded.kafka_input import KafkaInput
from processors.page_change.embedded.stop import Stop
from processors.page_change.oracle.kafka import Topics
from tests.harness.running import Running, eventually
from tests.processors.page_change.runs import process
from tests.processors.page_change.test_made_again import CREATE, created, pages_of


class Broker:
    """Both consumers of an input of one partition, of which the broker has the offsets from ``oldest`` to ``end``."""

    def __init__(self, oldest: int, end: int) -> None:
        self.oldest, self.end = oldest, end
        self.is_away = False
        self.messages: list[Any] = []
        self.begun: list[int] = []

    def list_topics(self, timeout: float) -> Any:
        topic = type("Topic", (), {"partitions": {0: None}})
        return type("Found", (), {"topics": {"a": topic}})

    def consume(self, records: int, wait_s: float) -> list[Any]:
        given, self.messages = self.messages, []
        return given

    def incremental_assign(self, places: list[TopicPartition]) -> None:
        self.begun += [place.offset for place in places]

    def incremental_unassign(self, places: list[TopicPartition]) -> None:
        assert len(self.begun) == 1

    def offsets_for_times(self, places: list[TopicPartition], timeout: float) -> list[Any]:
        return []

    def get_watermark_offsets(self, place: TopicPartition, timeout: float) -> tuple[int, int]:
        if self.is_away:
            raise KafkaException(KafkaError(KafkaError._TRANSPORT))
        return self.oldest, self.end


class NotThere:
    """The message by which librdkafka tells that the offset is not there."""

    def topic(self) -> str:
        return "a"

    def partition(self) -> int:
        return 0

    def error(self) -> KafkaError:
        return KafkaError(KafkaError._AUTO_OFFSET_RESET)


def reading(broker: Broker, position: int, monkeypatch: pytest.MonkeyPatch) -> KafkaInput:
    monkeypatch.setattr(kafka_input, "consumer", lambda properties: broker)
    return KafkaInput({}, frozenset({"a"}), {"a/0": position}, Stop(), has_identities=False)


@pytest.mark.parametrize(
    ("position", "goes_on_at", "said"),
    [
        (4, 10, "partition a/0: records expired before they were read: reading goes on at offset 10 instead of 4"),
        (30, 10, "partition a/0 was cut: it is read again from its oldest offset on, 10, instead of offset 30"),
        (15, 15, ""),  # The broker did not have it for a moment.
    ],
)
def test_reading_goes_on_where_there_are_records(
    position: int, goes_on_at: int, said: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    broker = Broker(10, 20)
    one = reading(broker, position, monkeypatch)
    broker.messages = [NotThere()]
    broker.is_away = True
    for _ in range(2):
        one.read(None)
    begun = list(broker.begun)
    broker.is_away = False
    for _ in range(2):
        one.read(None)

    assert begun == [position]
    assert broker.begun == [position, goes_on_at]
    assert caplog.messages == ([said] if said else [])


def test_a_partition_of_which_nothing_was_read_begins_where_its_records_do(monkeypatch: pytest.MonkeyPatch) -> None:
    broker = Broker(10, 20)
    reading(broker, 0, monkeypatch)

    assert broker.begun == [OFFSET_BEGINNING]


def expire(topics: Topics, name: str, before: int) -> None:
    admin = AdminClient({"bootstrap.servers": topics.servers})
    places = [TopicPartition(name, number, before) for number in range(2)]
    for done in admin.delete_records(places).values():
        done.result(30)


@pytest.mark.kafka
@pytest.mark.slow(reason="starts a broker")
def test_what_is_left_of_a_topic_is_read(topics: Topics, tmp_path: Path) -> None:
    (name,) = [one for one in topics.read if one.endswith(f"eqiad.{CREATE}")]
    topics.produce({"eqiad": created(*range(1, 41))})
    expire(topics, name, 2)
    config = topics.settings(tmp_path, commit_s=0.1)
    process(sys.executable, config)
    first = pages_of(topics.outputs())
    topics.produce({"eqiad": created(*range(41, 141))})
    expire(topics, name, 40)
    command = ["-m", "server", "process", "page-change", "-c", str(config), "--once"]
    with Running(command, tmp_path / "log") as one:
        one.says(r"partition \S+/0: records expired before they were read: reading goes on at offset 40 instead of \d+")
        one.says(r"partition \S+/1: records expired before they were read: reading goes on at offset 40 instead of \d+")
        ended = one.exit_code()

    assert ended == 0
    assert len(first) == 36
    assert len(pages_of(topics.outputs())) == 36 + 140 - 80
    assert eventually(lambda: 140 in pages_of(topics.outputs()))
