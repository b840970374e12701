"""What waits in memory for a disk that takes nothing is sent instead, by number, or given up with its client."""

from __future__ import annotations

from collections.abc import Callable

from tests.server.intake.delivery.test_delivery import books, drive
from tests.server.intake.delivery.test_waiting import a_key_waits, keyed, sent
from tests.server.intake.fake_spool import FakeSpool
from tests.server.intake.test_receive import VALID, Bench, settled

__all__ = ["drive"]


def _wait_for_the_disk(bench: Bench, spool: FakeSpool, count: int) -> None:
    """So many events wait in memory for a disk that takes nothing, and the broker answers again."""
    bench.sink.is_unreachable = True
    for number in range(count):
        assert bench.post(VALID.replace(b'"x"', b'"%d"' % number), hasty="true").status == 202
    spool.is_broken = True
    bench.sink.is_unreachable = False


def test_what_waits_for_a_full_disk_is_sent_when_a_broker_answers(drive: Callable[..., None]) -> None:
    async def test(bench: Bench, spool: FakeSpool) -> None:
        _wait_for_the_disk(bench, spool, 3)
        bench.delivery._look()
        await settled()
        assert sent(bench) == ["0", "1", "2"]
        assert spool.waiting() == 0
        assert books(bench)["plain"] == (3, 3, 0, {})

    drive(test)


def test_nothing_is_sent_in_place_of_the_disk_while_the_disk_works_or_no_broker_answers(
    drive: Callable[..., None],
) -> None:
    async def test(bench: Bench, spool: FakeSpool) -> None:
        _wait_for_the_disk(bench, spool, 3)
        bench.sink.is_unreachable = True
        bench.delivery._look()
        bench.sink.is_unreachable = spool.is_broken = False
        bench.delivery._look()
        await settled()
        assert (sent(bench), spool.waiting()) == ([], 3)

    drive(test)


def test_events_with_older_ones_on_the_disk_wait_for_them_but_not_at_the_end(drive: Callable[..., None]) -> None:
    async def test(bench: Bench, spool: FakeSpool) -> None:
        await a_key_waits(bench, spool, seconds_left=60.0)
        spool.front = spool.kept[0][0]
        bench.post(keyed(1), hasty="true")
        spool.is_broken = True
        assert bench.delivery.rescue() == 0
        assert (bench.delivery.in_room(), spool.waiting()) == (0, 1)
        assert bench.delivery.rescue(is_last=True) == 1
        await settled()
        assert sent(bench) == ["1"]

    drive(test)


def test_events_older_than_all_on_the_disk_are_sent_and_younger_ones_behind_it(drive: Callable[..., None]) -> None:
    """Those in the sink when the broker went away come back last, when younger ones of their key are on the disk."""

    async def test(bench: Bench, spool: FakeSpool) -> None:
        bench.sink.is_held = True
        bench.post(keyed(0), hasty="true")
        bench.sink.is_unreachable = True
        bench.post(keyed(1), hasty="true")
        spool.settle()
        spool.front = spool.kept[0][0]
        bench.post(keyed(2), hasty="true")
        spool.is_broken, bench.sink.failure = True, "broker_timeout"
        bench.sink.release()
        bench.sink.is_unreachable, bench.sink.is_held, bench.sink.failure = False, False, None
        bench.delivery._look()
        await settled()
        assert sent(bench) == ["0"]
        spool.front = 0
        bench.delivery._rescue_at = 0.0
        bench.delivery._look()
        await settled()
        assert sent(bench) == ["0", "2"]

    drive(test)


def test_nothing_is_sent_in_place_of_the_disk_while_the_sink_holds_older_events(drive: Callable[..., None]) -> None:
    async def test(bench: Bench, spool: FakeSpool) -> None:
        bench.sink.is_held = True
        bench.post(keyed(0), hasty="true")
        bench.sink.is_unreachable = True
        bench.post(keyed(1), hasty="true")
        spool.is_broken, bench.sink.is_unreachable = True, False
        bench.delivery._look()
        assert spool.waiting() == 1
        bench.sink.release()
        bench.sink.is_held = False
        bench.delivery._look()
        await settled()
        assert sent(bench) == ["0", "1"]

    drive(test, settle_s=600.0)


def test_an_event_whose_client_was_told_that_it_failed_is_not_sent_afterwards(drive: Callable[..., None]) -> None:
    async def test(bench: Bench, spool: FakeSpool) -> None:
        bench.sink.is_held = True
        waiting = bench.post(keyed(0))
        spool.is_broken, bench.sink.failure = True, "broker_timeout"
        bench.sink.release()
        assert spool.waiting() == 1
        waiting.is_overdue = True
        bench.sink.is_unreachable = True
        bench.delivery._look()
        assert spool.waiting() == 0
        assert books(bench)["keyed"] == (1, 0, 0, {"withdrawn": 1})

    drive(test)


def test_what_the_sink_does_not_take_in_place_of_the_disk_waits_for_the_disk_again(
    drive: Callable[..., None],
) -> None:
    async def test(bench: Bench, spool: FakeSpool) -> None:
        _wait_for_the_disk(bench, spool, 3)
        bench.sink.refusal = "queue_full"
        assert bench.delivery.rescue(is_last=True) == 0
        assert spool.waiting() == 3
        bench.sink.refusal = None
        assert bench.delivery.rescue(is_last=True) == 3
        await settled()
        assert sorted(sent(bench)) == ["0", "1", "2"]
        assert bench.delivery.rescue(is_last=True) == 0

    drive(test)
