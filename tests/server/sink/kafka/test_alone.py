"""A second producer for topics that take less than a batch: who goes there, who comes back, and its end."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import pytest

from server.sink.base import Sink
from server.sink.kafka.producer import KafkaSink
from soak.brokers import MESSAGE_TOO_LARGE, Mock
from tests.contract.sinks import Acks, drive, record, settle, until
from tests.server.sink.kafka.test_producer import kinds, make


@pytest.fixture
def brokers() -> Iterator[Mock]:
    mock = Mock()
    for topic in ("small", "other"):
        mock.create([topic])
    yield mock
    mock.stop()


async def refused_once(sink: Sink, brokers: Mock) -> None:
    """The first batch is too large, whatever is in it."""
    acks = Acks()
    brokers.refuse(MESSAGE_TOO_LARGE, 1)
    assert sink.submit(record("small", 0), acks) is None
    assert await settle(sink) == 0
    assert [sink.classify(error) for error in acks.errors] == ["batch_too_large"]


def test_records_of_the_topic_go_by_themselves_and_others_as_before(brokers: Mock) -> None:
    acks = Acks()

    async def test(sink: Sink) -> None:
        assert isinstance(sink, KafkaSink)
        await refused_once(sink, brokers)
        assert sink.separate("small", is_keyed=False)
        for number in range(10):
            assert sink.submit(record("small", number), acks) is None
        assert sink._alone is not None
        assert len(sink._alone) == sink.outstanding() == 10
        assert sink.submit(record("other", 1), acks) is None
        assert len(sink._alone) <= 10 < sink.outstanding()
        assert await settle(sink) == 0

    drive(test, make(brokers.servers))

    assert acks.errors == [None] * 11


def test_what_is_refused_there_is_too_large_by_itself(brokers: Mock) -> None:
    acks = Acks()
    sink = make(brokers.servers)

    async def test(_: Sink) -> None:
        await refused_once(sink, brokers)
        sink.separate("small", is_keyed=False)
        brokers.refuse(MESSAGE_TOO_LARGE, 1)
        sink.submit(record("small", 1), acks)
        assert await settle(sink) == 0

    drive(test, sink)

    assert kinds(sink, acks) == {"event_too_large"}


def test_one_producer_serves_all_topics_that_are_separated_while_it_is_idle(brokers: Mock) -> None:
    async def test(sink: Sink) -> None:
        assert isinstance(sink, KafkaSink)
        await refused_once(sink, brokers)
        sink.separate("small", is_keyed=False)
        first = sink._alone
        assert first is not None
        assert len(first) == 0, "nothing is out there"
        sink.separate("small", is_keyed=False)
        sink.separate("other", is_keyed=False)
        assert sink._alone is first
        assert first.topics == {"small", "other"}

    drive(test, make(brokers.servers))


def test_batches_are_tried_again_once_nothing_is_out_there(brokers: Mock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.sink.kafka.alone.KEPT_S", 0.0)
    acks = Acks()

    async def test(sink: Sink) -> None:
        assert isinstance(sink, KafkaSink)
        await refused_once(sink, brokers)
        sink.separate("small", is_keyed=False)
        brokers.hang()
        sink.submit(record("small", 1), acks)
        sink._tick()
        assert sink._alone is not None, "a record is out"
        brokers.go_on()
        await until(lambda: sink._alone is None)
        assert acks.errors == [None]
        sink.submit(record("small", 2), acks)
        assert await settle(sink) == 0

    drive(test, make(brokers.servers))

    assert acks.errors == [None, None]


def test_a_topic_stays_while_a_broker_says_that_it_takes_less_than_a_batch(
    brokers: Mock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.sink.kafka.alone.KEPT_S", 0.0)
    small, asked = {"small"}, list[list[str]]()

    def small_topics(topics: Collection[str], _properties: object) -> set[str]:
        asked.append(list(topics))
        return small.intersection(topics)

    monkeypatch.setattr("server.sink.kafka.producer.small_topics", small_topics)

    async def test(sink: Sink) -> None:
        assert isinstance(sink, KafkaSink)
        for topic in ("small", "other"):
            assert sink.separate(topic, is_keyed=False)
        alone = sink._alone
        assert alone is not None
        await until(lambda: len(asked) > 3)
        assert sink._alone is alone
        assert alone.topics == {"small"}
        assert asked[:2] == [["other", "small"], ["small"]]
        small.clear()
        await until(lambda: sink._alone is None)

    drive(test, make(brokers.servers))


def test_closing_accounts_for_what_is_out_there_too(brokers: Mock) -> None:
    acks = Acks()
    sink = make(brokers.servers)

    async def test(_: Sink) -> None:
        await refused_once(sink, brokers)
        sink.separate("small", is_keyed=False)
        brokers.hang()
        for number in range(20):
            sink.submit(record("small", number), acks)

    drive(test, sink)

    assert len(acks.errors) == 20
    assert kinds(sink, acks) == {"broker_timeout"}
