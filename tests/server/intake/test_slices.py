"""Many events are handed over in slices, with other requests in between; orders, receipts and answers stay the same."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from server.intake import receive, refusals, slices, verdict
from server.log import Limited
from server.timing import turns as server_turns
from tests.server.intake.fake_spool import FakeSpool
from tests.server.intake.test_receive import INVALID, VALID, Bench, FakeRequest, settled

STEP = 4
MANY = 5 * STEP
KEYED = VALID.replace(b'"plain"', b'"keyed"').replace(b'"test":"x"', b'"page":{"wiki":"w"},"n":%d')

Test = Callable[[Bench, FakeSpool], Awaitable[None]]
Drive = Callable[..., None]


@pytest.fixture(autouse=True)
def short_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """A turn hands over one step. All events are prepared in the turn in which they come."""
    monkeypatch.setattr(server_turns, "TURN_S", -1.0)
    monkeypatch.setattr(receive, "AT_ONCE_S", 60.0)
    monkeypatch.setattr(receive, "AT_ONCE", STEP)
    monkeypatch.setattr(slices, "STEP", STEP)


@pytest.fixture
def drive(settings_path: Path) -> Drive:
    def _drive(test: Test, *overrides: str, **delivery: Any) -> None:
        async def main() -> None:
            spool = FakeSpool()
            bench = Bench(settings_path, *overrides, spool=spool, **delivery)
            bench.sink.is_held = True
            await bench.sink.open()
            bench.delivery.open(0)
            await asyncio.wait_for(test(bench, spool), 60)
            await bench.sink.close()

        asyncio.run(main())

    return _drive


def body(count: int, event: bytes = VALID) -> bytes:
    return b"[" + b",".join([event] * count) + b"]"


def keyed(numbers: range) -> bytes:
    return b"[" + b",".join(KEYED % number for number in numbers) + b"]"


def receipt(bench: Bench, request: FakeRequest) -> tuple[int, ...]:
    """accepted, delivered, spooled, failed, pending, invalid"""
    bench.receipts._loop = asyncio.get_running_loop()
    bench.receipts._tick()
    found = bench.rings.find(request.identity(), time.time())
    assert found is not None
    return tuple(found.values())


def waiting(bench: Bench) -> list[Any]:
    """The records that the sink was given, in its order."""
    return [record for record, _ in bench.sink._waiting]


@pytest.mark.parametrize("params", [{}, {"hasty": "1"}])
def test_others_are_served_between_slices_and_numbers_follow_the_order_of_the_sink(
    drive: Drive, params: dict[str, str]
) -> None:
    async def test(bench: Bench, spool: FakeSpool) -> None:
        large = bench.post(body(MANY), **params)
        for turn in range(MANY // STEP):
            assert large.replies == []
            assert len(waiting(bench)) == turn * (STEP + 1)
            await asyncio.sleep(0)
            assert bench.post(VALID, hasty="1").status == 202
        await settled()
        numbers = [event.number for event in waiting(bench)]
        assert numbers == sorted(set(numbers))
        assert len(numbers) == MANY + MANY // STEP
        bench.sink.release()
        await large.answered()

        assert large.status == (202 if params else 201)
        assert receipt(bench, large) == (MANY, MANY, 0, 0, 0, 0)
        assert bench.tallies.accepted == bench.tallies.delivered == bench.receiver.counts.received

    drive(test)


@pytest.mark.parametrize("params", [{}, {"hasty": "1"}])
def test_acks_between_slices_answer_nothing(drive: Drive, params: dict[str, str]) -> None:
    async def test(bench: Bench, spool: FakeSpool) -> None:
        bench.sink.is_held = False
        large = bench.post(body(MANY), **params)
        for _ in range(MANY // STEP):
            assert large.replies == []
            if params and waiting(bench):
                assert receipt(bench, large)[4] == receipt(bench, large)[0], "none of them is told as delivered yet"
            await asyncio.sleep(0)
        await large.answered()

        assert large.status == (202 if params else 201)
        assert receipt(bench, large) == (MANY, MANY, 0, 0, 0, 0)

    drive(test)


def test_a_hasty_request_that_loses_its_broker_on_the_way_stays_in_order_and_its_receipt_tells_all(
    drive: Drive,
) -> None:
    async def test(bench: Bench, spool: FakeSpool) -> None:
        large = bench.post(keyed(range(MANY)), hasty="1")
        await asyncio.sleep(0)
        between = bench.post(VALID, hasty="1")
        bench.sink.failure = "broker_timeout"
        bench.sink.release()
        await large.answered()
        bench.sink.release()
        values = [json.loads(value) for _, _, value, _, _ in spool.kept]
        numbers = [number for number, *_ in spool.kept]

        assert [value["n"] for value in values if "n" in value] == list(range(MANY))
        assert numbers == sorted(numbers)
        assert receipt(bench, large) == (MANY, 0, MANY, 0, 0, 0)
        assert receipt(bench, between) == (1, 0, 1, 0, 0, 0)
        for number in numbers:
            bench.receipts.left_spool(number)
        assert receipt(bench, large) == (MANY, MANY, 0, 0, 0, 0)
        assert receipt(bench, between) == (1, 1, 0, 0, 0, 0)

    drive(test)


def test_a_guaranteed_request_that_loses_its_broker_on_the_way_is_told_so(drive: Drive) -> None:
    async def test(bench: Bench, spool: FakeSpool) -> None:
        large = bench.post(keyed(range(MANY)))
        await asyncio.sleep(0)
        bench.sink.is_unreachable = True
        bench.sink.failure = "broker_timeout"
        bench.sink.release()
        for _ in range(MANY):
            await asyncio.sleep(0)
        assert large.replies == [], "some wait for the disk"
        spool.settle()
        await large.answered()

        assert large.status == 207
        failed = {entry["index"]: entry["context"]["error_type"] for entry in large.answer["error"]}
        assert failed == dict.fromkeys(range(STEP, MANY), "queue_full"), "the first ones had been taken"
        assert bench.receiver.counts.by_type["queue_full"] == MANY - STEP

    drive(test)


def test_room_for_later_slices_is_not_given_to_others(drive: Drive) -> None:
    async def test(bench: Bench, spool: FakeSpool) -> None:
        large = bench.post(body(MANY), hasty="1")
        await asyncio.sleep(0)
        other = bench.post(body(STEP), hasty="1")
        await large.answered()

        assert (large.status, other.status) == (202, 503)
        assert len(waiting(bench)) == MANY

    drive(test, f"sink.max_outstanding={MANY + 1}")


@pytest.mark.parametrize("params", [{}, {"hasty": "1"}])
def test_what_is_half_handed_over_when_the_receiver_closes_is_handed_over_whole(
    drive: Drive, params: dict[str, str]
) -> None:
    async def test(bench: Bench, spool: FakeSpool) -> None:
        large = bench.post(body(MANY), **params)
        await asyncio.sleep(0)
        bench.receiver.close()
        assert len(waiting(bench)) == MANY
        bench.sink.release()
        await large.answered()

        assert large.status == (202 if params else 201)

    drive(test)


def test_what_is_invalid_or_fails_afterwards_has_its_place_in_the_answer_and_the_counts(drive: Drive) -> None:
    async def test(bench: Bench, spool: FakeSpool) -> None:
        large = bench.post(b"[" + b",".join([VALID, INVALID] * STEP * 2) + b"]")
        bench.sink.failure = "broker_rejected"
        for _ in range(4 * STEP):
            await asyncio.sleep(0)
        bench.sink.release()
        await large.answered()

        assert large.status == 500
        assert [entry["index"] for entry in large.answer["error"]] == list(range(0, 4 * STEP, 2))
        assert [entry["index"] for entry in large.answer["invalid"]] == list(range(1, 4 * STEP, 2))
        assert bench.receiver.counts.by_type["broker_rejected"] == 2 * STEP
        assert bench.receiver.counts.by_type["schema_violation"] == 2 * STEP

    drive(test)


@pytest.mark.parametrize("event", [VALID, INVALID])
def test_what_failed_is_written_down_in_slices_too(drive: Drive, monkeypatch: pytest.MonkeyPatch, event: bytes) -> None:
    async def test(bench: Bench, spool: FakeSpool) -> None:
        written = list[int]()
        add = verdict.Failures.add

        def noting(failures: verdict.Failures, event: Any) -> None:
            written[-1] += 1
            add(failures, event)

        monkeypatch.setattr(verdict.Failures, "add", noting)
        bench.sink.failure = "broker_rejected"
        bench.sink.is_held = False
        large = bench.post(body(MANY, event))
        while not large.replies:
            written.append(0)
            await asyncio.sleep(0)

        assert sum(written) == MANY
        assert max(written) <= STEP

    drive(test)


def test_hasty_events_that_are_refused_are_named(drive: Drive) -> None:
    async def test(bench: Bench, spool: FakeSpool) -> None:
        large = bench.post(b"[" + INVALID + b"," + body(MANY)[1:], hasty="1")
        await asyncio.sleep(0)
        bench.sink.refusal = "broker_rejected"
        await large.answered()

        assert large.status == 207
        assert [entry["index"] for entry in large.answer["error"]] == list(range(STEP, MANY + 1))
        assert [entry["index"] for entry in large.answer["invalid"]] == [0]
        assert receipt(bench, large)[0] == STEP - 1
        assert receipt(bench, large)[5] == 1

    drive(test)


def test_what_can_have_no_outcome_in_time_is_refused_and_not_sent(drive: Drive) -> None:
    async def test(bench: Bench, spool: FakeSpool) -> None:
        large = bench.post(body(MANY))
        await asyncio.sleep(0)
        (sending,) = bench.receiver._sending
        sending._until_s = 0.0
        for _ in range(MANY):
            await asyncio.sleep(0)
        bench.sink.release()
        await large.answered()

        assert large.status == 207
        assert len(bench.sink.records) == STEP
        assert len(large.answer["error"]) == MANY - STEP

    drive(test)


def test_a_bug_is_answered_and_lets_go_of_the_events(
    drive: Drive, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def test(bench: Bench, spool: FakeSpool) -> None:
        bench.sink.is_held = False
        large = bench.post(body(MANY))
        (sending,) = bench.receiver._sending
        await asyncio.sleep(0)
        with monkeypatch.context() as patched:
            patched.setattr(refusals, "_trouble", Limited(logging.getLogger("intake")))
            patched.setattr(bench.sink, "submit", None)
            await large.answered()
        second = bench.post(body(MANY))
        await second.answered()

        assert (large.status, second.status) == (500, 201)
        assert not bench.receiver._sending
        assert (sending._events, sending._pending) == ([], None)
        assert "TypeError" in caplog.text

    drive(test)


def test_a_request_that_is_answered_lets_go_of_its_events(drive: Drive) -> None:
    async def test(bench: Bench, spool: FakeSpool) -> None:
        large = bench.post(body(MANY))
        (sending,) = bench.receiver._sending
        for _ in range(MANY):
            await asyncio.sleep(0)
        pending = sending._pending
        assert pending is not None
        bench.sink.release()
        await large.answered()

        assert (sending._events, sending._pending, pending.events) == ([], None, [])

    drive(test)
