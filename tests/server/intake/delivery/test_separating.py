"""Topics that take less than a batch: no event is lost or refused for what it was sent together with."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.server.intake.delivery.test_delivery import KEYED, books, drive
from tests.server.intake.fake_spool import FakeSpool
from tests.server.intake.test_receive import VALID, Bench, settled

__all__ = ["drive"]

TWO = b"[" + KEYED + b"," + KEYED + b"]"


@pytest.mark.parametrize(("hasty", "status"), [("true", 202), ("false", 201)])
@pytest.mark.parametrize("one", [VALID, KEYED])
def test_events_of_a_batch_that_is_too_large_are_sent_again_and_accepted(
    drive: Callable[..., None], one: bytes, hasty: str, status: int
) -> None:
    async def test(bench: Bench, spool: FakeSpool) -> None:
        bench.sink.failure = "batch_too_large"
        request = bench.post(b"[" + one + b"," + one + b"]", hasty=hasty)
        await settled()
        await settled()
        assert request.status == status
        assert (len(bench.sink.records), spool.kept) == (2, [])
        assert [accepted for accepted, delivered, *_ in books(bench).values() if accepted != delivered] == []

    drive(test)


def test_what_is_too_large_by_itself_is_the_clients(drive: Callable[..., None]) -> None:
    async def test(bench: Bench, spool: FakeSpool) -> None:
        bench.sink.failure = "batch_too_large"
        bench.sink.is_held = True
        request = bench.post(TWO)
        bench.sink.release()
        assert not request.replies
        bench.sink.failure = "event_too_large"
        bench.sink.release()
        assert request.status == 400
        assert {entry["context"]["error_type"] for entry in request.answer["invalid"]} == {"event_too_large"}

    drive(test)


def test_where_the_topic_cannot_be_separated_the_events_wait_in_the_spool(drive: Callable[..., None]) -> None:
    async def test(bench: Bench, spool: FakeSpool) -> None:
        bench.sink.failure, bench.sink.can_separate = "batch_too_large", False
        request = bench.post(VALID)
        await settled()
        spool.settle()
        assert (request.status, request.more) == (202, b"X-Durability: spool\r\n")

    drive(test)


def test_where_the_spool_has_no_room_either_the_sender_may_send_it_again(drive: Callable[..., None]) -> None:
    async def test(bench: Bench, spool: FakeSpool) -> None:
        bench.sink.failure, bench.sink.can_separate = "batch_too_large", False
        spool.put = lambda *_, **__: False  # type: ignore[method-assign]
        request = bench.post(VALID)
        await settled()
        assert request.status == 503
        assert request.answer["error"][0]["context"]["error_type"] == "broker_timeout"

    drive(test)


def test_younger_events_with_a_key_do_not_overtake_those_that_are_sent_again(drive: Callable[..., None]) -> None:
    async def test(bench: Bench, spool: FakeSpool) -> None:
        bench.sink.failure = "batch_too_large"
        bench.sink.is_held = True
        first = bench.post(KEYED)
        bench.sink.release()  # It is out once more, and younger ones may still be in a queue.
        bench.sink.failure = None
        assert bench.post(KEYED).status == 503
        assert bench.post(KEYED, hasty="true").status == 202
        assert len(spool.kept) == 1
        assert not bench.post(VALID).replies  # Without a key there is no order to keep.
        bench.sink.release()
        assert first.status == 201
        assert len(bench.sink.records) == 2

    drive(test)


def test_once_the_elders_have_an_outcome_the_topic_is_as_any_other(drive: Callable[..., None]) -> None:
    async def test(bench: Bench, spool: FakeSpool) -> None:
        bench.sink.failure = "batch_too_large"
        first, second = bench.post(KEYED), None
        await settled()
        await settled()
        second = bench.post(KEYED)
        await settled()
        assert (first.status, second.status) == (201, 201)

    drive(test)


def test_events_whose_elders_wait_in_the_spool_go_behind_them(drive: Callable[..., None]) -> None:
    async def test(bench: Bench, spool: FakeSpool) -> None:
        bench.sink.failure = "batch_too_large"
        bench.sink.is_held = True
        request = bench.post(KEYED)
        topic_and_key = {(record.topic, record.key) for record, _ in bench.sink._waiting}
        spool.keys |= topic_and_key  # type: ignore[arg-type]
        bench.sink.release()
        spool.settle()
        assert (request.status, len(spool.kept)) == (202, 1)

    drive(test)
