"""What becomes of events while the broker is away, full or failing: nothing accepted is lost, nothing overtakes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from server.intake.delivery.looks import LOOK_S
from tests.server.intake.fake_spool import FakeSpool
from tests.server.intake.test_receive import INVALID, VALID, Bench, settled

KEYED = VALID.replace(b'"plain"', b'"keyed"').replace(b'"test":"x"', b'"page":{"wiki":"w"},"n":1')


Test = Callable[[Bench, FakeSpool], Awaitable[None]]


@pytest.fixture
def drive(settings_path: Path) -> Callable[..., None]:
    def _drive(test: Test, *overrides: str, **delivery: Any) -> None:
        async def main() -> None:
            spool = FakeSpool()
            bench = Bench(settings_path, *overrides, spool=spool, **delivery)
            await bench.sink.open()
            bench.delivery.open(0)
            await asyncio.wait_for(test(bench, spool), 60)
            await bench.sink.close()

        asyncio.run(main())

    return _drive


@contextlib.contextmanager
def later(seconds: float) -> Iterator[None]:
    """The clock of the loop shows so much more."""
    loop = asyncio.get_running_loop()
    real_time = loop.time
    loop.time = lambda: real_time() + seconds  # type: ignore[method-assign]
    yield
    loop.time = real_time  # type: ignore[method-assign]


def books(bench: Bench) -> dict[str, tuple[int, int, int, dict[str, int]]]:
    """Return what was accepted, delivered and spooled by stream, and the rest by reason."""
    return {
        tally.stream: (
            tally.accepted,
            tally.delivered,
            tally.spooled,
            tally.dropped | ({"withdrawn": tally.withdrawn} if tally.withdrawn else {}),
        )
        for tally in bench.tallies
    }


def test_hasty_events_are_spooled_while_the_broker_is_away(drive: Callable[..., None]) -> None:
    async def test(bench: Bench, spool: FakeSpool) -> None:
        bench.sink.is_unreachable = True
        assert bench.post(b"[" + VALID + b"," + INVALID + b"," + VALID + b"]", hasty="true").status == 202
        first, second = spool.kept[:2]
        assert spool.awaited[:2] == [False, False]  # They were answered: the disk may not refuse them any more.
        assert first[0] < second[0]
        spool.settle()
        assert books(bench)["plain"] == (2, 0, 2, {})
        assert not bench.sink.records

    drive(test)


def test_guaranteed_events_are_refused_while_the_broker_is_away_unless_it_is_wished_otherwise(
    drive: Callable[..., None],
) -> None:
    async def test(bench: Bench, spool: FakeSpool) -> None:
        bench.sink.is_unreachable = True
        assert bench.post(VALID).status == 503
        assert not spool.kept
        request = bench.post(VALID.replace(b'"plain"', b'"spooled"'))
        assert not request.replies  # Not before it is on disk.
        assert spool.awaited == [True]
        spool.settle()
        assert request.status == 202
        assert request.more == b"X-Durability: spool\r\n"
        assert books(bench)["spooled"] == (1, 0, 1, {})

    drive(test, may_be_spooled=True)


def test_a_guaranteed_event_that_the_disk_does_not_take_is_refused(drive: Callable[..., None]) -> None:
    async def test(bench: Bench, spool: FakeSpool) -> None:
        bench.sink.is_unreachable = True
        request = bench.post(VALID)
        spool.settle("queue_full")
        assert request.status == 503
        assert books(bench)["plain"] == (1, 0, 0, {"withdrawn": 1})

    drive(test, may_be_spooled=True, is_spooled=True)


def test_a_stream_may_refuse_hasty_events_too(drive: Callable[..., None]) -> None:
    async def test(bench: Bench, spool: FakeSpool) -> None:
        bench.sink.is_unreachable = True
        refusing = VALID.replace(b'"plain"', b'"refusing"')
        assert bench.post(refusing, hasty="true").status == 503
        assert bench.post(b"[" + refusing + b"," + VALID + b"]", hasty="true").status == 207
        assert len(spool.kept) == 1
        assert bench.receiver.counts.refused_hasty == 2

    drive(test)


@pytest.mark.parametrize("failure", ["broker_timeout", "queue_full"])
def test_a_guaranteed_event_that_the_broker_may_have_is_spooled_and_never_told_as_failed(
    drive: Callable[..., None], failure: str
) -> None:
    async def test(bench: Bench, spool: FakeSpool) -> None:
        bench.sink.failure = failure
        spool.is_full = True
        request = bench.post(b"[" + VALID + b"," + INVALID + b"]")
        await settled()
        assert not request.replies
        assert [one[4] for one in spool.kept] == [True]
        spool.settle()
        assert request.status == 207
        assert request.more == b"X-Durability: spool\r\n"
        assert [kind for kind, found in request.answer.items() if found] == ["invalid"]

    drive(test)


def test_an_event_that_the_broker_refuses_for_good_is_dropped_or_told(drive: Callable[..., None]) -> None:
    async def test(bench: Bench, spool: FakeSpool) -> None:
        bench.sink.failure = "broker_rejected"
        guaranteed = bench.post(VALID)
        bench.post(VALID, hasty="true")
        await settled()
        assert guaranteed.status == 500
        assert not spool.kept
        assert books(bench)["plain"] == (2, 0, 0, {"broker_rejected": 1, "withdrawn": 1})
        assert bench.receiver.counts.by_type["broker_rejected"] == 2

    drive(test)


def test_a_hasty_event_that_fails_goes_to_the_spool_under_the_number_of_its_acceptance(
    drive: Callable[..., None],
) -> None:
    async def test(bench: Bench, spool: FakeSpool) -> None:
        bench.sink.is_held = True
        bench.post(VALID, hasty="true")
        bench.sink.is_unreachable = True
        bench.post(VALID, hasty="true")
        bench.sink.failure = "broker_timeout"
        bench.sink.release()
        younger, older = spool.kept
        assert older[0] < younger[0]
        spool.settle()
        assert books(bench)["plain"] == (2, 0, 2, {})

    drive(test)


def test_a_live_event_does_not_overtake_the_spooled_elders_of_its_key(drive: Callable[..., None]) -> None:
    async def test(bench: Bench, spool: FakeSpool) -> None:
        bench.sink.is_unreachable = True
        bench.post(KEYED, hasty="true")
        bench.sink.is_unreachable = False
        assert bench.post(KEYED, hasty="true").status == 202
        guaranteed = bench.post(KEYED)
        other = KEYED.replace(b'"w"', b'"v"')
        assert bench.post(other, hasty="true").status == 202
        bench.post(VALID, hasty="true")
        await settled()
        assert len(spool.kept) == 2
        assert [bool(record.key) for record in bench.sink.records] == [True, False]
        assert not guaranteed.replies  # It may not be spooled: it waits in memory.

    drive(test)


def test_nothing_is_replayed_while_the_sink_holds_older_events(drive: Callable[..., None]) -> None:
    async def test(bench: Bench, spool: FakeSpool) -> None:
        bench.sink.is_held = True
        bench.post(VALID, hasty="true")
        bench.sink.is_unreachable = True
        bench.post(VALID, hasty="true")
        assert spool.is_doubtful
        bench.sink.is_unreachable = False
        bench.delivery._look()
        assert spool.is_doubtful
        bench.sink.release()
        bench.delivery._look()
        assert spool.is_doubtful, "the younger one is not on disk yet"
        spool.settle()
        bench.delivery._look()
        assert not spool.is_doubtful

    drive(test, settle_s=60.0)


def test_refusing_costs_nothing_when_the_spool_is_full_too(drive: Callable[..., None]) -> None:
    async def test(bench: Bench, spool: FakeSpool) -> None:
        bench.sink.is_unreachable = spool.is_full = True
        assert bench.post(b"no JSON at all", hasty="true").status == 503
        assert bench.receiver.counts.refused_full == 1

    drive(test)


def test_error_events_are_spooled_too_and_stand_in_the_books(drive: Callable[..., None]) -> None:
    async def test(bench: Bench, spool: FakeSpool) -> None:
        bench.post(b"[" + VALID + b"," + INVALID + b"]")
        await settled()
        assert all(tally.in_flight() == 0 for tally in bench.tallies)
        assert bench.errors.produced + bench.errors.dropped == 1

    drive(test)


@pytest.mark.parametrize("hasty", ["true", "false"])
def test_what_comes_behind_an_event_that_found_the_queue_full_does_not_overtake_it(
    drive: Callable[..., None], hasty: str
) -> None:
    async def test(bench: Bench, spool: FakeSpool) -> None:
        takes = iter(["queue_full", "queue_full"])
        submit = bench.sink.submit
        bench.sink.submit = lambda record, on_ack: next(takes, None) or submit(record, on_ack)  # type: ignore[method-assign]
        request = bench.post(b"[" + KEYED + b"," + KEYED + b"]", hasty=hasty)
        await settled()

        assert len(spool.kept) == 2
        assert not bench.sink.records
        spool.settle()
        assert request.status == 202
        assert bench.tallies.of("keyed").spooled == 2

    drive(test, is_spooled=True)


def test_numbers_follow_those_of_spooled_events_though_the_clock_does_not(drive: Callable[..., None]) -> None:
    async def test(bench: Bench, spool: FakeSpool) -> None:
        spool.number = 1 << 61
        bench.sink.is_unreachable = True
        assert bench.post(VALID, hasty="true").status == 202
        await asyncio.sleep(2 * LOOK_S)
        assert bench.post(VALID, hasty="true").status == 202
        before, after = [number for number, *_ in spool.kept]
        assert before < spool.number < after

    drive(test)


def test_as_long_as_nobody_can_tell_whether_something_waits_keys_are_looked_up(drive: Callable[..., None]) -> None:
    """A live event would overtake an older one of its key in the spool of another worker."""

    async def test(bench: Bench, spool: FakeSpool) -> None:
        def lacking() -> bool:
            raise OSError(24, "Too many open files")

        waits, spool.waits = spool.waits, lacking  # type: ignore[method-assign]
        with pytest.raises(OSError, match="Too many"):
            bench.delivery._look()
        assert bench.delivery.is_guarded
        spool.waits = waits  # type: ignore[method-assign]
        bench.delivery._look()
        assert not bench.delivery.is_guarded

    drive(test)


def test_events_that_wait_for_their_key_go_to_the_spool_before_younger_ones_when_the_broker_leaves(
    drive: Callable[..., None],
) -> None:
    async def test(bench: Bench, spool: FakeSpool) -> None:
        bench.sink.is_unreachable = True
        bench.post(KEYED, hasty="true")
        spool.settle()
        bench.sink.is_unreachable = False
        spool.seconds_left = 0.5
        bench.post(KEYED, hasty="true")
        assert len(spool.kept) == 1, "the second waits in memory"
        assert bench.delivery.in_room() == 1
        bench.sink.is_unreachable = True
        bench.post(KEYED, hasty="true")
        numbers = [one[0] for one in spool.kept]
        assert len(numbers) == 3
        assert numbers == sorted(numbers)
        assert bench.delivery.in_room() == 0

    drive(test)
