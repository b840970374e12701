"""What a receipt says, at every stage of a request's life, on any worker."""

from __future__ import annotations

import asyncio
import time
from array import array
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from server.shared.rings import KEPT_S, MOST, MOST_INVALID, Rings, counts_of
from tests.server.intake.fake_spool import FakeSpool
from tests.server.intake.test_receive import INVALID, VALID, Bench, FakeRequest, settled

Test = Callable[[Bench, FakeSpool], Awaitable[None]]


@pytest.fixture
def drive(settings_path: Path) -> Callable[..., None]:
    def _drive(test: Test, **delivery: Any) -> None:
        async def main() -> None:
            spool = FakeSpool()
            bench = Bench(settings_path, spool=spool, **delivery)
            await bench.sink.open()
            bench.delivery.open(0)
            bench.receipts.start()
            await asyncio.wait_for(test(bench, spool), 60)
            await bench.sink.close()

        asyncio.run(main())

    return _drive


def receipt(bench: Bench, request: FakeRequest) -> tuple[int, ...] | None:
    """accepted, delivered, spooled, failed, pending; without ``invalid``, which has a test of its own."""
    bench.receipts._tick()
    found = bench.rings.find(request.identity(), time.time())
    return None if found is None else tuple(found.values())[:5]


def test_a_guaranteed_request_is_delivered_when_it_is_answered(drive: Callable[..., None]) -> None:
    async def test(bench: Bench, spool: FakeSpool) -> None:
        request = bench.post(b"[" + VALID + b"," + VALID + b"]")
        assert receipt(bench, request) is None
        await settled()
        assert receipt(bench, request) == (2, 2, 0, 0, 0)

    drive(test)


def test_a_hasty_request_is_pending_until_the_sink_has_settled(drive: Callable[..., None]) -> None:
    async def test(bench: Bench, spool: FakeSpool) -> None:
        bench.sink.is_held = True
        request = bench.post(b"[" + VALID + b"," + INVALID + b"," + VALID + b"]", hasty="true")
        assert receipt(bench, request) == (2, 0, 0, 0, 2)
        bench.sink.release()
        assert receipt(bench, request) == (2, 2, 0, 0, 0)

    drive(test)


def test_what_goes_through_the_spool_is_told_from_beginning_to_end(drive: Callable[..., None]) -> None:
    async def test(bench: Bench, spool: FakeSpool) -> None:
        bench.sink.is_held = True
        before = bench.post(VALID, hasty="true")
        bench.sink.is_unreachable = True
        during = bench.post(b"[" + VALID + b"," + VALID + b"]", hasty="true")
        assert receipt(bench, during) == (2, 0, 2, 0, 0)
        bench.sink.failure = "broker_timeout"
        bench.sink.release()
        assert receipt(bench, before) == (1, 0, 1, 0, 0)
        numbers = [one[0] for one in spool.kept]
        assert len(numbers) == 3
        bench.receipts.left_spool(numbers[0])
        bench.receipts.left_spool(numbers[1])
        bench.receipts.left_spool(numbers[2])
        assert receipt(bench, during) == (2, 2, 0, 0, 0)
        assert receipt(bench, before) == (1, 1, 0, 0, 0)

    drive(test)


def test_what_was_lost_is_told_as_failed(drive: Callable[..., None]) -> None:
    async def test(bench: Bench, spool: FakeSpool) -> None:
        bench.sink.failure = "broker_rejected"
        hasty = bench.post(b"[" + VALID + b"," + VALID + b"]", hasty="true")
        guaranteed = bench.post(b"[" + VALID + b"," + INVALID + b"]")
        await settled()
        assert receipt(bench, hasty) == (2, 0, 0, 2, 0)
        assert receipt(bench, guaranteed) == (1, 0, 0, 1, 0)

    drive(test)


def test_guaranteed_events_in_the_spool(drive: Callable[..., None]) -> None:
    async def test(bench: Bench, spool: FakeSpool) -> None:
        bench.sink.failure = "broker_timeout"
        request = bench.post(b"[" + VALID + b"," + VALID + b"]")
        await settled()
        spool.settle()
        assert receipt(bench, request) == (2, 0, 2, 0, 0)
        bench.receipts.left_spool(spool.kept[0][0])
        assert receipt(bench, request) == (2, 1, 1, 0, 0)

    drive(test)


@pytest.mark.parametrize("hasty", ["true", "false"])
@pytest.mark.parametrize("is_away", [False, True])
@pytest.mark.parametrize(("valid", "invalid"), [(0, 1), (0, 3), (2, 1), (2, 0)])
def test_a_receipt_counts_what_was_invalid(
    drive: Callable[..., None], valid: int, invalid: int, hasty: str, is_away: bool
) -> None:
    """A hasty request whose events are all invalid has one too: its 202 says nothing of them."""

    async def test(bench: Bench, spool: FakeSpool) -> None:
        bench.sink.is_unreachable = is_away and hasty == "true"
        request = bench.post(b"[" + b",".join([VALID] * valid + [INVALID] * invalid) + b"]", hasty=hasty)
        await settled()
        bench.receipts._tick()
        found = bench.rings.find(request.identity(), time.time())

        assert found is not None
        assert (found["accepted"], found["invalid"]) == (valid, invalid)

    drive(test)


def test_a_receipt_tells_of_more_invalid_events_than_it_can_count_as_that_many() -> None:
    rings = Rings(1, 10)
    rings.ring(0).write(array("q", [hash(b"a"), 1000, 1, counts_of(1 << 20, 1 << 20)]))
    found = rings.find(b"a", 1000.0)

    assert found == {
        "accepted": MOST, "delivered": 0, "spooled": 0, "failed": 0, "pending": MOST, "invalid": MOST_INVALID
    }  # fmt: skip


def test_many_requests_are_told_apart_and_the_oldest_make_room() -> None:
    rings = Rings(3, 100)
    for index in range(3):
        cells = [cell for n in range(130) for cell in (hash(b"%d/%d" % (index, n)), 1000, n, n)]
        rings.ring(index).write(array("q", cells))
    now = 1000.0

    assert all(rings.find(b"%d/%d" % (index, n), now) is None for index in range(3) for n in range(30))
    assert all(rings.find(b"%d/%d" % (index, n), now) for index in range(3) for n in range(30, 130))
    assert rings.oldest_s() == 1000


def test_what_is_older_than_an_hour_is_gone() -> None:
    rings = Rings(1, 10)
    rings.ring(0).write(array("q", [hash(b"a"), 1000, 1, 1]))

    assert rings.find(b"a", 1000.0 + KEPT_S - 1) is not None
    assert rings.find(b"a", 1000.0 + KEPT_S) is None


def test_more_workers_than_rings_only_cannot_read_one_another() -> None:
    rings = Rings(1, 10)
    rings.ring(7).write(array("q", [hash(b"a"), 1000, 1, 1]))

    assert rings.find(b"a", 1000.0) is None


def rests(bench: Bench) -> bool:
    """Whether no tick is due."""
    return bench.receipts._is_resting


def test_ticks_rest_until_a_request_is_noted(drive: Callable[..., None]) -> None:
    """A receipt is written by a tick of its own, and the ticks rest once all of its events have an outcome."""

    async def test(bench: Bench, spool: FakeSpool) -> None:
        for hasty in ("true", "false", "true"):
            assert rests(bench)
            bench.sink.is_held = hasty == "true"
            request = bench.post(b"[" + VALID + b"," + VALID + b"]", hasty=hasty)
            while not (found := bench.rings.find(request.identity(), time.time())):
                await asyncio.sleep(0.001)
            assert found["accepted"] == 2
            assert rests(bench) == (hasty == "false"), "what is pending is looked at"
            bench.sink.release()
            while not rests(bench):
                await asyncio.sleep(0.001)
            found = bench.rings.find(request.identity(), time.time())
            assert found is not None
            assert found["delivered"] == 2

    drive(test)


def test_a_receipt_that_is_open_for_another_reason_ends_the_rest_too(drive: Callable[..., None]) -> None:
    async def test(bench: Bench, spool: FakeSpool) -> None:
        entry = bench.receipts.begin(b"in slices")
        bench.receipts.add(entry, 1, [], 7)
        assert not rests(bench)
        while not rests(bench):
            await asyncio.sleep(0.001)
        bench.receipts.note_odd(b"odd", [], 8, is_final=False)
        assert not rests(bench)

    drive(test)
