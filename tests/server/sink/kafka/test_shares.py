"""server.sink.kafka.shares: which producer sends a topic, and a sink with several of them."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from confluent_kafka import KafkaError

from server.errors import BootError
from server.log import Limited
from server.sink.base import Sink
from server.sink.kafka import shares
from server.sink.kafka.producer import KafkaSink
from server.sink.kafka.shares import Shares
from server.sink.kafka.statistics import GAUGES, SUMS
from soak.brokers import Mock
from tests.contract.sinks import Acks, drive, record, settle, until
from tests.server.sink.kafka.test_producer import make

TOPICS = [f"t{number}" for number in range(10)]


class Fake:
    """Stands for a producer; what sends a topic says which one it is."""

    def __init__(self, number: int) -> None:
        self.number = number

    def topic(self, _name: str) -> Any:
        return lambda: self.number


class Maker:
    """Makes ``Fake`` producers, until it ``fails``."""

    def __init__(self) -> None:
        self.made = 0
        self.fails = False

    def __call__(self) -> Any:
        if self.fails:
            raise BootError("no thread is left")
        self.made += 1
        return Fake(self.made)


def table(maker: Maker, most: int) -> Shares:
    first: Any = Fake(0)
    return Shares(first, maker, most)


def senders(found: dict[str, Any], topics: list[str]) -> list[object]:
    return [found[topic]() for topic in topics]


@pytest.fixture(autouse=True)
def small_shares(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shares, "TOPICS_EACH", 4)
    monkeypatch.setattr(shares, "_limited", Limited(logging.getLogger("sink.kafka")))  # Each test may hear it.


def test_each_producer_gets_a_share_and_topics_stay_where_they_are() -> None:
    maker = Maker()
    found = table(maker, 3)

    assert senders(found, TOPICS[:3]) == [0, 0, 0]
    assert maker.made == 0
    assert senders(found, TOPICS[3:4]) == [0]
    assert maker.made == 1, "made ahead of the first topic that it sends"
    assert senders(found, TOPICS[4:]) == [1, 1, 1, 1, 2, 2]
    assert senders(found, TOPICS) == [0, 0, 0, 0, 1, 1, 1, 1, 2, 2]


def test_beyond_the_limit_topics_are_spread() -> None:
    maker = Maker()
    found = table(maker, 2)
    senders(found, TOPICS[:8])

    assert senders(found, [f"more{number}" for number in range(4)]) == [0, 1, 0, 1]
    assert maker.made == 1


def test_one_producer_sends_all_where_no_more_are_allowed() -> None:
    assert set(senders(table(Maker(), 1), TOPICS)) == {0}


def test_a_producer_that_cannot_be_made_is_tried_again_and_meanwhile_the_others_send(
    caplog: pytest.LogCaptureFixture,
) -> None:
    maker = Maker()
    maker.fails = True
    found = table(maker, 3)

    assert senders(found, TOPICS[:6]) == [0] * 6
    assert "cannot make a producer for more topics: no thread is left" in caplog.text
    maker.fails = False
    assert senders(found, TOPICS[6:7]) == [1]
    assert senders(found, TOPICS[:6]) == [0] * 6


def test_a_topic_that_was_set_elsewhere_comes_back_to_its_producer() -> None:
    found = table(Maker(), 3)
    senders(found, TOPICS)
    elsewhere: Any = Fake(99)
    found["t5"] = elsewhere.topic("t5")
    assert senders(found, ["t5"]) == [99]
    del found["t5"]

    assert senders(found, ["t5"]) == [1]


def test_names_beyond_a_number_are_not_remembered_and_stay_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shares, "MOST_REMEMBERED", 8)
    found = table(Maker(), 2)
    senders(found, TOPICS[:8])
    named = [f"by-a-client-{number}" for number in range(50)]
    first = senders(found, named)

    assert set(first) == {0, 1}
    assert senders(found, named) == first
    assert len(found) == 8


@pytest.fixture
def brokers() -> Iterator[Mock]:
    mock = Mock()
    mock.create(TOPICS)
    yield mock
    mock.stop()


def several(brokers: Mock) -> KafkaSink:
    return make(brokers.servers, {"statistics.interval.ms": 10}, most_producers=3)


def producers(sink: KafkaSink) -> int:
    return len(sink._shares.producers)


def total(sink: KafkaSink, name: str) -> int:
    at = (SUMS + GAUGES).index(name)
    return sum(numbers[at] for _, numbers in sink.brokers())


def submit(sink: Sink, acks: Acks, number: int) -> None:
    for topic in TOPICS:
        assert sink.submit(record(topic, number), acks) is None


def test_records_of_all_shares_are_acked_and_counted(brokers: Mock) -> None:
    acks = Acks()

    async def test(sink: Sink) -> None:
        assert isinstance(sink, KafkaSink)
        for number in range(5):
            submit(sink, acks, number)
        assert producers(sink) == 3
        assert sink.outstanding() >= 50
        assert await settle(sink) == 0
        assert acks.errors == [None] * 50
        await until(lambda: total(sink, "is_up"))
        # At least one request a topic. Those of one producer alone were four.
        await until(lambda: total(sink, "requests") >= len(TOPICS))

    drive(test, several(brokers))


def test_a_producer_for_which_there_are_no_descriptors_is_not_made(
    brokers: Mock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("server.host.descriptors.limit", lambda: 200)
    acks = Acks()

    async def test(sink: Sink) -> None:
        assert isinstance(sink, KafkaSink)
        monkeypatch.setattr("server.sink.kafka.producer.merged", lambda _: [("1", [])] * 12)
        submit(sink, acks, 0)
        assert await settle(sink) == 0
        assert producers(sink) == 1

    drive(test, several(brokers))

    assert acks.errors == [None] * len(TOPICS)
    assert "2 of them and 12 brokers need more open files: raise LimitNOFILE" in caplog.text


def test_a_recall_and_the_end_reach_all_producers(brokers: Mock) -> None:
    recalled, late = Acks(), Acks()
    recalls: list[int] = []
    sink = several(brokers)
    sink.tell_of_recalls(lambda: recalls.append(1))

    async def test(_: Sink) -> None:
        submit(sink, Acks(), 0)
        assert await settle(sink) == 0
        brokers.hang()
        submit(sink, recalled, 1)
        await until(lambda: sink.outstanding() >= len(TOPICS))
        sink.recall()
        submit(sink, late, 2)
        await until(lambda: recalls == [1])

    drive(test, sink)  # It closes the sink.

    assert len(recalled.errors) == len(late.errors) == len(TOPICS)
    assert {sink.classify(error) for error in recalled.errors + late.errors} == {"broker_timeout"}


def test_all_producers_are_replaced_after_a_fatal_error_of_one(brokers: Mock) -> None:
    acks = Acks()
    sink = several(brokers)

    async def test(_: Sink) -> None:
        submit(sink, acks, 0)
        assert await settle(sink) == 0
        old = list(sink._shares.producers)
        sink._on_error(KafkaError(KafkaError._FATAL, "imitated", True))
        await until(lambda: sink.replaced)
        submit(sink, acks, 1)
        assert await settle(sink) == 0
        assert producers(sink) == 3
        assert not set(map(id, old)) & set(map(id, sink._shares.producers))

    drive(test, sink)

    assert acks.errors == [None] * 2 * len(TOPICS)
