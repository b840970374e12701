"""The Kafka sink on a real Apache Kafka: what is acked is there, once; what is not acked was said in time."""

from __future__ import annotations

import asyncio
import json
import os
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from server.config.kafka.rules import DEADLINE_S, Value
from server.sink.base import Sink
from server.sink.kafka.producer import KafkaSink
from tests.contract.sinks import HEADERS, PATIENT, TIMESTAMP_MS, drive, record, settle
from tests.fakes import Message
from tests.harness.broker import Kafka
from tests.harness.topics import create, read_all

BUSY_S = 10.0  # What a busy machine may add.

pytestmark = pytest.mark.kafka


def make(kafka: Kafka, properties: dict[str, Value] | None = None) -> KafkaSink:
    return KafkaSink(
        {"bootstrap.servers": kafka.servers, **(properties or {})},
        max_outstanding=50_000,
        max_outstanding_bytes=1 << 26,
    )


class Outcomes:
    """What became of each record, by its number: the ``error_type``, or None when it was acked."""

    def __init__(self, sink: KafkaSink, topic: str) -> None:
        self._sink = sink
        self._topic = topic
        self.by_number: dict[int, str | None] = {}
        self.slowest_s = 0.0

    def submit(self, number: int, value: bytes | None = None) -> None:
        one = record(self._topic, number, key=number % 7)
        one.value = value or one.value
        refusal = self._sink.submit(one, self._on_ack(number))
        if refusal is not None:
            self._settle(number, refusal)

    def acked(self) -> set[bytes]:
        return {b'{"n":%d}' % number for number, outcome in self.by_number.items() if outcome is None}

    def kinds(self) -> Counter[str | None]:
        return Counter(self.by_number.values())

    def _on_ack(self, number: int) -> Callable[[Any, Any], None]:
        loop = asyncio.get_running_loop()
        submitted = loop.time()

        def on_ack(error: Any, message: Any) -> None:
            self.slowest_s = max(self.slowest_s, loop.time() - submitted)
            self._settle(number, None if error is None else self._sink.classify(error))

        return on_ack

    def _settle(self, number: int, outcome: str | None) -> None:
        assert number not in self.by_number, "a record was acked twice"
        self.by_number[number] = outcome


def values(kafka: Kafka, topic: str) -> Counter[bytes]:
    return Counter(kept.value for kept in read_all(kafka.servers, topic))


def test_every_record_is_there_once_with_its_parts_and_in_order_per_key(kafka_broker: Kafka, topic: str) -> None:
    sink = make(kafka_broker, PATIENT)
    outcomes = Outcomes(sink, topic)

    async def test(_: Sink) -> None:
        for number in range(5000):
            outcomes.submit(number)
        assert await settle(sink) == 0

    drive(test, sink)

    assert outcomes.kinds() == {None: 5000}
    stored = read_all(kafka_broker.servers, topic)
    assert len(stored) == 5000
    for key in range(7):
        numbers = range(key, 5000, 7)
        of_key = [kept for kept in stored if kept.key == b'{"k":%d}' % key]
        assert [kept.value for kept in of_key] == [b'{"n":%d}' % number for number in numbers]
        assert [kept.timestamp_ms for kept in of_key] == [TIMESTAMP_MS + number for number in numbers]
        assert all(kept.headers == HEADERS for kept in of_key)


def test_the_first_event_after_the_start_does_not_wait_for_a_producer_id(kafka_broker: Kafka, topic: str) -> None:
    """Without the wait in `open` it would take 0.5 s and more, each time; with it 0.03, unless the machine is busy."""
    create(kafka_broker.servers, topic)

    def first_s() -> float:
        sink = make(kafka_broker, PATIENT)
        outcomes = Outcomes(sink, topic)

        async def test(_: Sink) -> None:
            outcomes.submit(1)
            assert await settle(sink) == 0

        drive(test, sink)
        assert outcomes.kinds() == {None: 1}
        return outcomes.slowest_s

    assert any(first_s() < 0.4 for _ in range(20))


@pytest.mark.parametrize("end", [Kafka.stop, Kafka.kill], ids=["stopped", "killed"])
def test_nothing_acked_is_missing_and_nothing_is_there_twice_when_the_broker_is_started_again(
    kafka_broker: Kafka, topic: str, end: Callable[[Kafka], None]
) -> None:
    """Unless events timed out: then librdkafka sends those that were on the wire again, under new numbers."""
    create(kafka_broker.servers, topic)
    sink = make(kafka_broker)
    outcomes = Outcomes(sink, topic)

    def restart() -> None:
        end(kafka_broker)
        kafka_broker.start()

    async def test(_: Sink) -> None:
        for number in range(200):
            outcomes.submit(number)
        number = 199
        restarting = asyncio.create_task(asyncio.to_thread(restart))
        while not restarting.done():
            number += 1
            outcomes.submit(number)
            await asyncio.sleep(0.002)
        await restarting
        while outcomes.by_number.get(number, "out") is not None:  # The producer has yet to find the broker again.
            number += 1
            outcomes.submit(number)
            assert await settle(sink) == 0
        for late in range(number + 1, number + 101):
            outcomes.submit(late)
        assert await settle(sink) == 0
        assert [outcomes.by_number[late] for late in range(number + 1, number + 101)] == [None] * 100

    drive(test, sink)

    there = values(kafka_broker, topic)
    assert outcomes.acked() - set(there) == set()
    assert set(outcomes.kinds()) <= {None, "broker_timeout"}
    if "broker_timeout" not in outcomes.kinds():
        assert [value for value, count in there.items() if count > 1] == []


def test_what_a_hung_broker_did_not_take_is_said_in_time_and_not_delivered_afterwards(
    kafka_broker: Kafka, topic: str
) -> None:
    """The exception is what was on the wire when it hung: nobody can take that back. It is at most five requests, the
    producer's `max.in.flight`; here the first records, of which some are sent after the other until there are five."""
    create(kafka_broker.servers, topic)
    sink = make(kafka_broker, {"statistics.interval.ms": 20})
    outcomes = Outcomes(sink, topic)
    requests = under_way(sink)
    on_the_wire = 0

    async def test(_: Sink) -> None:
        nonlocal on_the_wire
        outcomes.submit(0)
        assert await settle(sink) == 0
        kafka_broker.hang()
        try:
            while requests() < 5:
                for _record in range(25):
                    on_the_wire += 1
                    outcomes.submit(on_the_wire)
                await asyncio.sleep(0.1)  # Long past the linger: a request for each partition leaves.
            for number in range(on_the_wire + 1, on_the_wire + 2001):
                outcomes.submit(number)
            assert await settle(sink) == 0
            assert outcomes.kinds() == {None: 1, "broker_timeout": on_the_wire + 2000}
        finally:
            kafka_broker.go_on()
        while outcomes.by_number[max(outcomes.by_number)] is not None:
            outcomes.submit(len(outcomes.by_number))
            assert await settle(sink) == 0

    drive(test, sink)

    assert outcomes.slowest_s < DEADLINE_S + BUSY_S
    there = values(kafka_broker, topic)
    assert max(there.values()) == 1
    assert outcomes.acked() - set(there) == set()
    ghosts = {int(value[5:-1]) for value in set(there) - outcomes.acked()}
    assert ghosts <= set(range(1, on_the_wire + 1))


def under_way(sink: KafkaSink) -> Callable[[], int]:
    """How many requests a broker has not answered yet, as librdkafka said last."""
    newest = [0]
    statistics = sink._statistics[0]
    take = statistics.take

    def taking(text: str) -> None:
        take(text)
        newest[0] = max(broker["waitresp_cnt"] for broker in json.loads(text)["brokers"].values())

    statistics.take = taking  # type: ignore[method-assign]
    return lambda: newest[0]


def test_a_topic_that_does_not_exist_and_is_not_made_is_broker_rejected(kafka_broker: Kafka, topic: str) -> None:
    sink = make(kafka_broker, {"allow.auto.create.topics": False})
    outcomes = Outcomes(sink, topic)

    async def test(_: Sink) -> None:
        outcomes.submit(1)
        assert await settle(sink) == 0

    drive(test, sink)

    assert outcomes.kinds() == {"broker_rejected": 1}
    assert outcomes.slowest_s < DEADLINE_S + BUSY_S


def test_what_the_broker_finds_too_large_by_itself_is_event_too_large_and_others_go_on(
    kafka_broker: Kafka, topic: str
) -> None:
    create(kafka_broker.servers, topic, **{"max.message.bytes": "2000"})
    sink = make(kafka_broker, PATIENT)
    outcomes = Outcomes(sink, topic)

    async def test(_: Sink) -> None:
        outcomes.submit(1, large())
        assert await settle(sink) == 0
        outcomes.submit(2)
        assert await settle(sink) == 0
        assert sink.separate(topic, is_keyed=True)
        outcomes.submit(3, large())
        outcomes.submit(4)
        assert await settle(sink) == 0

    drive(test, sink)

    assert outcomes.by_number == {1: "batch_too_large", 2: None, 3: "event_too_large", 4: None}
    assert sink.replaced == 0


def test_a_fatal_error_fails_what_is_out_and_a_new_producer_takes_over(kafka_broker: Kafka, topic: str) -> None:
    """`enable.gapless.guarantee` makes any refusal fatal; the settings refuse it, so only a test can have it."""
    create(kafka_broker.servers, topic, **{"max.message.bytes": "2000"})
    sink = make(kafka_broker, {"enable.gapless.guarantee": True})
    outcomes = Outcomes(sink, topic)

    async def test(_: Sink) -> None:
        outcomes.submit(1, large())
        assert await settle(sink) == 0
        number = 1
        while not sink.replaced or outcomes.by_number[number] is not None:
            number += 1
            outcomes.submit(number)
            await asyncio.sleep(0.02)
            assert await settle(sink) == 0

    drive(test, sink)

    assert outcomes.by_number[1] is not None
    assert sink.replaced == 1
    there = values(kafka_broker, topic)
    assert outcomes.acked() - set(there) == set()
    assert max(there.values()) == 1


def large() -> bytes:
    """5000 bytes that no codec makes fit into 2000."""
    return b'"%s"' % os.urandom(2500).hex().encode()


def test_a_record_without_key_and_headers_is_kept_as_it_is(kafka_broker: Kafka, topic: str) -> None:
    sink = make(kafka_broker, PATIENT)
    errors: list[Any] = []

    async def test(_: Sink) -> None:
        bare = Message(topic, b"{}", None, TIMESTAMP_MS, [])
        assert sink.submit(bare, lambda error, message: errors.append(error)) is None
        assert await settle(sink) == 0

    drive(test, sink)

    assert errors == [None]
    assert read_all(kafka_broker.servers, topic) == [(None, b"{}", TIMESTAMP_MS, [])]
