"""A body of many events is prepared over several turns of the loop, and taken whole or not at all all the same."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Callable
from typing import Any

import pytest

from server.intake import batch, receive
from server.intake.sending import Sender
from server.intake.verdict import MAX_BODY_BYTES
from server.record import Record
from server.sink.base import OnAck
from server.timing import turns as server_turns
from tests.server.intake.test_awaited import Drive as DriveFar
from tests.server.intake.test_awaited import Noting, far, is_answered_at_once
from tests.server.intake.test_awaited import drive as drive_far
from tests.server.intake.test_receive import INVALID, VALID, Bench, Drive, FakeRequest, drive, settled

__all__ = ["drive", "drive_far"]

MANY = 5 * batch.STEP + 3


@pytest.fixture(autouse=True)
def short_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each turn is over after one look at the clock."""
    monkeypatch.setattr(server_turns, "TURN_S", -1.0)
    monkeypatch.setattr(receive, "AT_ONCE_S", -1.0)


def body(count: int, event: bytes = VALID) -> bytes:
    return b"[" + b",".join([event] * count) + b"]"


def test_a_few_events_are_never_cut(drive: Drive) -> None:
    async def test(bench: Bench) -> None:
        assert bench.post(body(batch.STEP), hasty="true").status == 202

    drive(test)


@pytest.mark.parametrize("params", [{}, {"hasty": "true"}])
def test_others_are_served_between_its_pieces(drive: Drive, params: dict[str, str]) -> None:
    async def test(bench: Bench) -> None:
        large = bench.post(body(MANY), **params)
        for turn in range(1, MANY // batch.STEP + 1):
            assert (large.replies, len(bench.sink.records)) == ([], turn - 1), "nothing of it may be sent yet"
            assert bench.post(VALID, hasty="true").status == 202
            await asyncio.sleep(0)
        await large.answered()

        assert large.status == (202 if params else 201)
        assert len(bench.sink.records) == MANY + MANY // batch.STEP
        assert bench.receiver.counts.received == len(bench.sink.records)

    drive(test)


def test_two_bodies_take_turns(drive: Drive) -> None:
    async def test(bench: Bench) -> None:
        long, short = bench.post(body(3 * MANY)), bench.post(body(MANY))
        await short.answered()
        assert not long.replies
        await long.answered()

        assert (long.status, short.status) == (201, 201)

    drive(test)


@pytest.mark.interpreted(reason="a method of a compiled class is replaced")
def test_who_comes_while_another_waits_has_no_turn_of_its_own(drive: Drive, monkeypatch: pytest.MonkeyPatch) -> None:
    turns: list[batch.Batch] = []
    prepare = batch.Batch.prepare

    def noting(self: batch.Batch, time_s: float, *more: Any) -> bool:
        turns.append(self)
        return prepare(self, time_s, *more)

    async def test(bench: Bench) -> None:
        monkeypatch.setattr(batch.Batch, "prepare", noting)
        first, second = bench.post(body(MANY)), bench.post(body(MANY))
        assert len(turns) == 1
        assert bench.post(body(batch.STEP), hasty="1").status == 202, "a short one goes before"
        await first.answered()
        await second.answered()

        assert (first.status, second.status) == (201, 201)

    drive(test)


def test_verdicts_keep_their_places(drive: Drive) -> None:
    async def test(bench: Bench) -> None:
        wrong = {0, batch.STEP, 2 * batch.STEP + 1, MANY - 1}
        events = [INVALID if index in wrong else VALID for index in range(MANY)]
        request = bench.post(b"[" + b",".join(events) + b"]")
        await request.answered()

        assert request.status == 207
        assert {each["index"] for each in request.answer["invalid"]} == wrong
        assert len(bench.sink.records) == MANY - len(wrong) + bench.errors.produced

    drive(test)


def test_the_same_is_true_where_nothing_is_sent(drive: Drive) -> None:
    async def test(bench: Bench) -> None:
        request = FakeRequest(body(MANY))
        bench.receiver.handle_validate(request)
        assert not request.replies
        await request.answered()

        assert [each["status"] for each in request.answer["events"]] == ["valid"] * MANY

    drive(test)


def test_an_answer_is_bounded_however_much_is_wrong(drive: Drive) -> None:
    async def test(bench: Bench) -> None:
        long = VALID.replace(b'"x"', b'["%s"]' % (b"x" * 2000))
        request = bench.post(b"[" + b",".join([long] * 4000) + b"]")
        await request.answered()

        entries = request.answer["invalid"]
        assert len(entries) == 4000
        assert len(request.replies[0][2]) < MAX_BODY_BYTES + 1_000_000
        assert "event" in entries[0] and "event" not in entries[-1]
        assert entries[-1]["context"]["error_type"] == "schema_violation"

    drive(test)


@pytest.mark.interpreted(reason="a method of a compiled class is replaced")
def test_events_and_who_waits_for_them_let_go_of_each_other(drive: Drive, monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(bench: Bench) -> None:
        waiting: list[Any] = []
        monkeypatch.setattr(bench.sender, "answer", waiting.append)
        bench.post(b"[" + VALID + b"," + VALID + b"]")
        await settled()

        (pending,) = waiting
        Sender.answer(bench.sender, pending)
        assert pending.events == []

    drive(test)


def test_what_is_half_prepared_when_the_receiver_closes_is_refused_whole(drive: Drive) -> None:
    async def test(bench: Bench) -> None:
        request = bench.post(body(MANY))
        bench.receiver.close()
        await request.answered()

        assert request.status == 503
        assert not bench.sink.records

    drive(test)


def test_what_finds_no_room_in_the_end_is_refused_whole(drive: Callable[..., None]) -> None:
    async def test(bench: Bench) -> None:
        bench.sink.is_held = True
        large = bench.post(body(MANY))
        small = [bench.post(VALID, hasty="1") for _ in range(8)]
        await large.answered()

        assert [request.status for request in small] == [202] * 8
        assert large.status == 503
        assert bench.sink.outstanding() == 8

    drive(test, f"sink.max_outstanding={MANY + 7}")


def test_a_bug_costs_one_body_and_not_those_behind_it(
    drive: Drive, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def test(bench: Bench) -> None:
        submit, is_broken = bench.sink.submit, iter([True])

        def broken_once(record: Record, on_ack: OnAck) -> str | None:
            if next(is_broken, False):
                raise ZeroDivisionError
            return submit(record, on_ack)

        first, second = bench.post(body(MANY), hasty="1"), bench.post(body(MANY))
        monkeypatch.setattr(bench.sink, "submit", broken_once)
        await second.answered()

        assert (first.status, second.status) == (500, 201)
        assert "ZeroDivisionError" in caplog.text

    drive(test)


def test_what_is_overdue_is_not_sent_any_more(drive: Drive) -> None:
    async def test(bench: Bench) -> None:
        first, second = bench.post(body(MANY)), bench.post(body(MANY))
        first.is_overdue = True
        await second.answered()

        assert first.replies == []
        assert len(bench.sink.records) == MANY

    drive(test)


@pytest.mark.parametrize(("params", "status"), [({}, 503), ({"hasty": "1"}, 202)])
def test_what_was_prepared_too_late_for_an_outcome_is_not_sent(
    drive: Drive, params: dict[str, str], status: int
) -> None:
    async def test(bench: Bench) -> None:
        bench.receiver._patience_s = 0.0
        request = bench.post(body(MANY), **params)
        await request.answered()

        assert request.status == status
        assert len(bench.sink.records) == (MANY if params else 0)

    drive(test)


def test_a_few_bodies_take_turns_and_the_others_come_after(drive: Drive) -> None:
    async def test(bench: Bench) -> None:
        bodies = [bench.post(body(MANY), hasty="1") for _ in range(server_turns.MAX_BEGUN + 2)]
        while not bodies[0].replies:
            await asyncio.sleep(0)
        assert [len(one.batch.events) for one in bench.receiver._waiting][-2:] == [0, 0]
        for request in bodies:
            await request.answered()

        assert {request.status for request in bodies} == {202}

    drive(test)


def test_no_body_meets_two_snapshots_of_the_streams(drive: Drive) -> None:
    async def test(bench: Bench) -> None:
        large = bench.post(body(MANY))
        bench.pipeline.use(lambda _: None)
        bench.receiver.begin_again()
        await large.answered()

        assert large.status == 400
        assert {each["context"]["error_type"] for each in large.answer["invalid"]} == {"unknown_stream"}
        assert len(large.answer["invalid"]) == MANY

    drive(test)


def test_large_events_are_looked_at_one_by_one(drive: Drive) -> None:
    async def test(bench: Bench) -> None:
        large = VALID.replace(b'"x"', b'"%b"' % (b"x" * batch.STEP_BYTES))
        request = bench.post(body(3, large))
        for _ in range(2):
            assert request.replies == []
            await asyncio.sleep(0)
        await request.answered()

        assert request.status == 201

    drive(test)


def test_what_it_finds_wanting_makes_nobody_wait_who_comes_between(drive_far: DriveFar) -> None:
    async def scene(bench: Bench, asking: Noting) -> None:
        large = bench.post(b"[" + b",".join([VALID, far("one")] * MANY) + b"]")
        assert not asking.asked
        assert await is_answered_at_once(bench)
        while not asking.asked:
            assert await is_answered_at_once(bench)
        assert asking.asked == [("/far/one/1.0.0", "192.0.2.1")]
        asking.tell("/far/one/1.0.0", "unknown_schema")
        await large.answered()

        assert large.status == 207
        assert len(large.answer["invalid"]) == MANY
        assert [uri for uri, client in asking.asked if client] == ["/far/one/1.0.0"]

    drive_far(scene, "sink.max_outstanding=1000")


@pytest.mark.parametrize("count", [MANY, 20_000], ids=["taken apart at once", "taken apart in turns"])
def test_what_would_hold_more_than_its_client_may_is_refused_before_it_is_prepared(
    drive: Callable[..., None], count: int
) -> None:
    async def test(bench: Bench) -> None:
        asked: list[int] = []

        def has_room(_request: Any, more_bytes: int) -> bool:
            asked.append(more_bytes)
            return False

        bench.receiver._has_memory = has_room
        request = bench.post(body(count))
        await request.answered()

        assert request.status == 503
        assert asked == [2 * len(body(count)) + batch.EVENT_BYTES * count]
        assert not bench.sink.records

    drive(test, "http.limits.max_events=30000", "sink.max_outstanding=100000")


def test_a_body_that_has_waited_too_long_is_refused_and_not_prepared(drive: Drive) -> None:
    async def test(bench: Bench) -> None:
        bench.receiver._long_s = bench.receiver._patience_s = -1.0
        requests = [bench.post(body(MANY)), bench.post(body(MANY), hasty="1")]
        for request in requests:
            await request.answered()

        assert [request.status for request in requests] == [503, 503]
        assert bench.receiver.counts.refused_full == 2
        assert not bench.sink.records

    drive(test)


def test_clients_take_turns_and_not_their_bodies(drive: Drive) -> None:
    async def test(bench: Bench) -> None:
        whose: dict[int, str] = {}
        bench.receiver._client_of = lambda request: whose.get(id(request), "greedy")
        greedy = [bench.post(body(4 * MANY)) for _ in range(10)]
        polite = FakeRequest(body(MANY))
        whose[id(polite)] = "polite"
        bench.receiver.handle_events(polite)
        await polite.answered()

        assert polite.status == 201
        assert not any(request.replies for request in greedy)
        for request in greedy:
            await request.answered()

    drive(test)


@pytest.mark.parametrize("content_type", [b"application/json", b"application/x-ndjson"])
@pytest.mark.parametrize("turns", [0, 1])
def test_a_body_that_is_let_go_of_does_not_wait_for_the_garbage_collector(
    drive: Drive, content_type: bytes, turns: int
) -> None:
    """What finds its events knew itself by its generator: 67 of 184 MB of a worker that had refused large bodies."""

    async def test(bench: Bench) -> None:
        content = body(20_000) if b"x" not in content_type else b"\n".join([VALID] * 20_000)
        request = FakeRequest(content)
        request.headers = {b"content-type": content_type}
        before = sys.getrefcount(content)
        bench.receiver.handle_events(request)
        for _ in range(turns):
            await asyncio.sleep(0)
        assert sys.getrefcount(content) > before
        request.is_overdue = True
        await asyncio.sleep(0)

        assert not request.replies
        assert sys.getrefcount(content) == before

    gc.disable()
    try:
        drive(test)
    finally:
        gc.enable()
