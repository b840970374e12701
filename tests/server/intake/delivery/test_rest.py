"""A worker to which no events come looks at the spools of its host less often, and still sends no event too early."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from server.intake.delivery import looks
from server.intake.delivery.looks import LOOK_S, REST_AFTER, REST_S
from server.timing import timers
from tests.server.intake.delivery.test_delivery import KEYED
from tests.server.intake.fake_spool import FakeSpool
from tests.server.intake.test_receive import VALID, Bench, settled

Test = Callable[[Bench, FakeSpool], Awaitable[None]]


@pytest.fixture
def at_rest(settings_path: Path) -> Callable[[Test], None]:
    """Run a test with a delivery that rests."""

    def _drive(test: Test) -> None:
        async def main() -> None:
            spool = FakeSpool()
            bench = Bench(settings_path, spool=spool, is_spooled=True)
            await bench.sink.open()
            bench.delivery.open(0)
            for _ in range(REST_AFTER):
                bench.delivery._look()
            await asyncio.wait_for(test(bench, spool), 60)
            await bench.sink.close()

        asyncio.run(main())

    return _drive


def pace(bench: Bench) -> float | None:
    timer = bench.delivery._looks._timer
    assert timer is not None
    return timer._every_s


def test_the_first_event_after_a_rest_ends_it_and_goes_to_the_sink_at_once(at_rest: Callable[[Test], None]) -> None:
    async def test(bench: Bench, spool: FakeSpool) -> None:
        assert (pace(bench), bench.delivery.is_guarded) == (REST_S, True)
        bench.post(VALID, hasty="true")

        assert (bench.sink.outstanding(), spool.kept) == (1, [])
        assert (pace(bench), bench.delivery.is_guarded) == (LOOK_S, False)

    at_rest(test)


@pytest.mark.parametrize("hasty", ["true", "false"])
def test_an_event_after_a_rest_does_not_overtake_one_that_another_worker_spooled_meanwhile(
    at_rest: Callable[[Test], None], hasty: str
) -> None:
    async def test(bench: Bench, spool: FakeSpool) -> None:
        bench.post(KEYED, hasty="true")
        await settled()
        (record,) = bench.sink.records
        for _ in range(REST_AFTER + 1):
            bench.delivery._look()
        assert bench.delivery._looks.is_resting
        spool.keys.add((record.topic, record.key or b""))
        bench.post(KEYED, hasty=hasty)
        await settled()

        assert len(bench.sink.records) == 1
        assert len(spool.kept) == 1

    at_rest(test)


def test_an_event_that_fails_during_a_rest_ends_it(at_rest: Callable[[Test], None]) -> None:
    async def test(bench: Bench, spool: FakeSpool) -> None:
        bench.sink.is_held = True
        bench.post(VALID, hasty="true")
        for _ in range(REST_AFTER + 1):
            bench.delivery._look()
        assert pace(bench) == REST_S
        bench.sink.failure = "broker_timeout"
        bench.sink.release()

        assert len(spool.kept) == 1
        assert (pace(bench), bench.delivery.is_guarded) == (LOOK_S, True)

    at_rest(test)


def test_a_worker_does_not_rest_while_events_wait(at_rest: Callable[[Test], None]) -> None:
    async def test(bench: Bench, spool: FakeSpool) -> None:
        spool.keys.add(("topic", b"key"))
        for _ in range(REST_AFTER + 1):
            bench.delivery._look()
        assert pace(bench) == LOOK_S

    at_rest(test)


def test_a_look_that_fails_after_a_rest_fails_no_request(at_rest: Callable[[Test], None]) -> None:
    async def test(bench: Bench, spool: FakeSpool) -> None:
        def lacking() -> bool:
            raise OSError(24, "Too many open files")

        spool.waits = lacking  # type: ignore[method-assign]
        before = timers.failures()
        assert bench.post(VALID, hasty="true").status == 202
        assert timers.failures() == before + 1
        assert bench.delivery.is_guarded

    at_rest(test)


def test_rests_fit_the_looks_of_the_spool() -> None:
    """Otherwise every other look at the maps would come too early for the time between them."""
    from server.sink.spool import spool

    assert spool.LOOK_S < looks.REST_S
