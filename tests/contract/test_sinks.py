"""What every sink promises (server.sink.base), held by each of them."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from server.sink.base import Sink, SinkCounts
from server.sink.kafka.statistics import GAUGES, SUMS
from tests.contract.sinks import HEADERS, TIMESTAMP_MS, Acks, Case, drive, record, settle, until


def test_every_record_is_acked_once_and_kept_with_all_its_parts(case: Case, topic: str) -> None:
    acks = Acks()

    async def test(sink: Sink) -> None:
        assert sink.submit(record(topic, 1, key=7), acks) is None
        assert sink.submit(record(topic, 2), acks) is None
        assert await settle(sink) == 0

    drive(test, case.make())

    assert acks.errors == [None, None]
    stored = sorted(case.stored(topic), key=lambda kept: kept.value)
    assert [kept.key for kept in stored] == [b'{"k":7}', None]
    assert [kept.value for kept in stored] == [b'{"n":1}', b'{"n":2}']
    assert [kept.timestamp_ms for kept in stored] == [TIMESTAMP_MS + 1, TIMESTAMP_MS + 2]
    assert [kept.headers for kept in stored] == [HEADERS, HEADERS]


def test_a_record_without_headers_is_stored_without(case: Case, topic: str) -> None:
    acks = Acks()

    async def test(sink: Sink) -> None:
        plain = record(topic, 1)
        plain.headers = []
        assert sink.submit(plain, acks) is None
        assert await settle(sink) == 0

    drive(test, case.make())

    assert acks.errors == [None]
    assert [kept.headers for kept in case.stored(topic)] == [[]]


def test_submit_does_not_call_back_before_it_returns(case: Case, topic: str) -> None:
    acks = Acks()

    async def test(sink: Sink) -> None:
        for number in range(100):
            sink.submit(record(topic, number), acks)
            assert acks.errors == []
        assert sink.outstanding() >= 100
        await settle(sink)

    drive(test, case.make())

    assert acks.errors == [None] * 100


def test_acks_come_on_the_thread_of_the_loop(case: Case, topic: str) -> None:
    threads: set[int] = set()

    async def test(sink: Sink) -> None:
        sink.submit(record(topic, 1), lambda error, message: threads.add(threading.get_ident()))
        await settle(sink)

    drive(test, case.make())

    assert threads == {threading.get_ident()}


def test_records_of_one_key_are_kept_in_the_order_in_which_they_were_submitted(case: Case, topic: str) -> None:
    acks = Acks()

    async def test(sink: Sink) -> None:
        for number in range(700):
            assert sink.submit(record(topic, number, key=number % 7), acks) is None
            if number % 50 == 0:
                await asyncio.sleep(0)
        assert await settle(sink) == 0

    drive(test, case.make())

    assert acks.errors == [None] * 700
    stored = case.stored(topic)
    for key in range(7):
        values = [kept.value for kept in stored if kept.key == b'{"k":%d}' % key]
        assert values == [b'{"n":%d}' % number for number in range(key, 700, 7)]


def test_a_callback_that_raises_stops_nothing_and_is_counted(
    case: Case, topic: str, caplog: pytest.LogCaptureFixture
) -> None:
    acks = Acks()

    def fail(error: Any, message: Any) -> None:
        acks(error, message)
        raise RuntimeError("the transport is closed")

    async def test(sink: Sink) -> None:
        for number in range(20):
            sink.submit(record(topic, number), fail if number % 2 else acks)
        assert await settle(sink) == 0
        sink.submit(record(topic, 20), acks)
        assert await settle(sink) == 0

    sink = case.make()
    drive(test, sink)

    assert acks.errors == [None] * 21
    assert sink.callback_failures == 10


def test_a_callback_may_submit(case: Case, topic: str) -> None:
    acks = Acks()

    async def test(sink: Sink) -> None:
        def submit_another(error: Any, message: Any) -> None:
            assert sink.submit(record(topic, 2), acks) is None

        sink.submit(record(topic, 1), submit_another)
        while not acks.errors:
            await settle(sink)

    drive(test, case.make())

    assert acks.errors == [None]
    assert sorted(kept.value for kept in case.stored(topic)) == [b'{"n":1}', b'{"n":2}']


def test_what_is_outstanding_is_bounded_and_room_comes_back(case: Case, topic: str) -> None:
    acks, refused = Acks(), Acks()

    async def test(sink: Sink) -> None:
        await until(lambda: not sink.is_full())  # Brokers of a busy machine may be met a moment later.
        for number in range(10):
            assert sink.submit(record(topic, number), acks) is None
        assert sink.is_full()
        assert sink.submit(record(topic, 10), refused) == "queue_full"

        assert await settle(sink) == 0
        await until(lambda: not sink.is_full())
        assert sink.submit(record(topic, 11), acks) is None
        assert await settle(sink) == 0

    drive(test, case.make(max_outstanding=10))

    assert refused.errors == []
    assert acks.errors == [None] * 11
    assert len(case.stored(topic)) == 11


def test_close_accounts_for_every_record_that_was_not_drained(case: Case, topic: str) -> None:
    acks = Acks()

    async def test(sink: Sink) -> None:
        for number in range(50):
            assert sink.submit(record(topic, number), acks) is None

    drive(test, case.make())

    assert len(acks.errors) == 50
    assert len(case.stored(topic)) >= sum(error is None for error in acks.errors)


def test_drain_ends_at_its_deadline(case: Case, topic: str) -> None:
    async def test(sink: Sink) -> None:
        sink.submit(record(topic, 1), Acks())
        assert await sink.drain(asyncio.get_running_loop().time() - 1) >= 1, "nobody has waited for the ack"

    drive(test, case.make())


def test_an_error_that_no_sink_knows_is_internal(case: Case) -> None:
    async def test(sink: Sink) -> None:
        assert sink.classify(object()) == "internal"

    drive(test, case.make())


@pytest.mark.parametrize("flaw", ["a lone surrogate in the topic", "a timestamp beyond 64 bits"])
def test_a_record_that_cannot_be_written_has_an_outcome_and_the_next_one_is_kept(
    case: Case, topic: str, flaw: str
) -> None:
    """Nothing that makes records makes such ones; if one comes all the same, nobody may wait for ever."""
    flawed = record("\ud800", 1) if "topic" in flaw else record(topic, 1)
    if "timestamp" in flaw:
        flawed.timestamp_ms = 1 << 63
    outcomes, acks = Acks(), Acks()

    async def test(sink: Sink) -> None:
        refused = sink.submit(flawed, outcomes)
        assert await settle(sink) == 0
        found = [error and sink.classify(error) for error in outcomes.errors] + ([refused] if refused else [])
        assert len(found) == 1
        assert found[0] in (None, "internal")
        assert sink.submit(record(topic, 2), acks) is None
        assert await settle(sink) == 0

    drive(test, case.make())

    assert acks.errors == [None]


def test_a_sink_that_was_never_opened_can_be_closed(case: Case) -> None:
    sink = case.make()

    asyncio.run(sink.close())


def test_what_is_asked_for_metrics_has_an_answer_at_any_time(case: Case, topic: str) -> None:
    def ask(sink: Sink) -> None:
        assert sink.is_away() in (True, False)
        assert sink.is_throttled() is False
        assert sink.counts() == SinkCounts()
        assert sink.callback_failures == 0
        assert all(len(numbers) == len(SUMS) + len(GAUGES) for _, numbers in sink.brokers())

    async def test(sink: Sink) -> None:
        ask(sink)
        assert sink.submit(record(topic, 1), Acks()) is None
        ask(sink)
        assert min(sink.queue()) >= 0
        assert await settle(sink) == 0

    sink = case.make()
    ask(sink)
    drive(test, sink)
    ask(sink)


def test_a_sink_that_knows_its_oldest_record_says_up_to_when_all_have_an_outcome(case: Case, topic: str) -> None:
    async def test(sink: Sink) -> None:
        if not sink.knows_oldest:
            return
        now = asyncio.get_running_loop().time
        began = now()
        assert sink.submit(record(topic, 1), Acks()) is None
        assert sink.oldest() <= now()
        assert await settle(sink) == 0
        assert sink.oldest() >= began

    drive(test, case.make())
