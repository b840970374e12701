"""server.sink.spool.replay: oldest first, in order per key, and an event is gone when it is acked and not before."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from server.sink.spool.spool import Spool
from tests.server.sink.spool.replays import Replayed, quick
from tests.server.sink.spool.spools import Disk, drive, flushed, numbers, put, put_to, rows, until

__all__ = ["quick"]

pytestmark = pytest.mark.usefixtures("quick")


def test_everything_is_delivered_oldest_first_and_then_gone(tmp_path: Path) -> None:
    async def test(spool: Spool) -> None:
        replayed = Replayed(spool)
        for number in (3, 1, 2, *range(10, 1300)):
            put(spool, number, number % 7)
        await flushed(spool)
        await replayed.start()
        await until(lambda: not spool.waits())
        await replayed.end()
        assert replayed.delivered == [1, 2, 3, *range(10, 1300)]
        assert replayed.replay.replayed == 1293
        assert replayed.left == ["s"] * 1293
        assert numbers(tmp_path) == []
        assert not any(spool.holds("t", b'{"k":%d}' % key) for key in range(7))

    drive(tmp_path, test)


def test_nothing_is_sent_while_the_broker_is_away(tmp_path: Path) -> None:
    async def test(spool: Spool) -> None:
        replayed = Replayed(spool)
        replayed.is_away = True
        put(spool, 1)
        await flushed(spool)
        await replayed.start()
        await replayed.turns()
        assert replayed.delivered == []
        replayed.is_away = False
        await until(lambda: replayed.delivered == [1])
        await replayed.end()

    drive(tmp_path, test)


def test_nothing_is_sent_while_a_worker_may_still_put_older_events(tmp_path: Path) -> None:
    async def test(spool: Spool) -> None:
        replayed = Replayed(spool)
        put(spool, 2, 7)
        spool.doubt(spool._loop.time() + 600)
        await flushed(spool)
        await replayed.start()
        await replayed.turns()
        assert replayed.delivered == []
        put(spool, 1, 7)
        await flushed(spool)
        spool.doubt(0.0)
        await until(lambda: len(replayed.delivered) == 2)
        await replayed.end()
        assert replayed.delivered == [1, 2]

    drive(tmp_path, test)


@pytest.mark.parametrize("failure", ["broker_timeout", "queue_full"])
def test_what_fails_for_a_reason_that_can_pass_stays_and_comes_again_in_order(tmp_path: Path, failure: str) -> None:
    async def test(spool: Spool) -> None:
        replayed = Replayed(spool)
        replayed.sink.failure = failure
        for number in range(1, 6):
            put(spool, number, 1)
        await flushed(spool)
        await replayed.start()
        await until(lambda: len(replayed.sink.batches) >= 2)
        assert numbers(tmp_path) == [1, 2, 3, 4, 5]
        replayed.sink.failure = None
        await until(lambda: not spool.waits())
        await replayed.end()
        assert replayed.delivered == [1, 2, 3, 4, 5]

    drive(tmp_path, test)


def test_what_stays_too_large_is_set_aside_and_the_rest_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until then its topic waits for it; when the limit is raised it is delivered after all."""
    monkeypatch.setattr("server.sink.spool.backlog.TAKE_BACK_EVERY_S", 1e9)

    async def test(spool: Spool) -> None:
        replayed = Replayed(spool)
        mend = replayed.refuse("event_too_large", b'{"n":2}')
        for number in (1, 2, 3):
            put(spool, number, 1)
        put_to(spool, "other", 4)
        await flushed(spool)
        await replayed.start()
        await until(lambda: 4 in replayed.delivered)
        await replayed.turns()
        assert 2 not in replayed.delivered
        assert numbers(tmp_path, "aside") == []
        monkeypatch.setattr("server.sink.spool.replay.TOO_LARGE_S", 0.0)
        await until(lambda: numbers(tmp_path, "aside") == [2])
        await until(lambda: 3 in replayed.delivered)
        await until(lambda: numbers(tmp_path) == [])
        await until(lambda: (spool.maps.aside(), spool.pending()) == (1, 1))
        mend()
        assert replayed.replay._backlog is not None
        replayed.replay._backlog._take_back_at = 0.0
        await until(lambda: 2 in replayed.delivered)
        await until(lambda: spool.pending() == 0)
        await replayed.end()
        assert sorted(replayed.delivered) == [1, 2, 3, 4]

    drive(tmp_path, test)


def test_events_are_not_given_up_because_their_batch_was_too_large(tmp_path: Path) -> None:
    """librdkafka does not split a batch: all of it fails, though each event by itself would fit."""

    async def test(spool: Spool) -> None:
        replayed = Replayed(spool)
        for number in range(1, 6):
            put(spool, number, 1)
        await flushed(spool)
        replayed.sink.failure = "batch_too_large"
        await replayed.start()
        await until(lambda: not spool.waits())
        await replayed.end()
        assert replayed.delivered == [1, 2, 3, 4, 5]
        assert len(replayed.sink.separated) == 1

    drive(tmp_path, test)


def test_a_topic_that_is_refused_rests_while_others_go_on_and_loses_nothing(tmp_path: Path) -> None:
    async def test(spool: Spool) -> None:
        replayed = Replayed(spool)
        mend = replayed.refuse("broker_rejected", b'{"n":2}')
        for number, topic in ((1, "t"), (2, "other"), (3, "other"), (4, "t"), (5, "t")):
            put_to(spool, topic, number, 1)
        await flushed(spool)
        await replayed.start()
        await until(lambda: set(replayed.delivered) >= {1, 4, 5})
        assert 2 not in replayed.delivered
        assert spool.holds("other", b'{"k":1}')
        await until(lambda: not spool.holds("t", b'{"k":1}'))
        mend()
        await until(lambda: not spool.waits())
        await replayed.end()
        assert sorted(set(replayed.delivered)) == [1, 2, 3, 4, 5]

    drive(tmp_path, test)


def test_events_of_a_key_keep_their_order_though_the_broker_refuses_the_first(tmp_path: Path) -> None:
    async def test(spool: Spool) -> None:
        replayed = Replayed(spool)
        mend = replayed.refuse("broker_rejected", b'{"n":1}')
        for number in range(1, 6):
            put(spool, number, 1)
        await flushed(spool)
        await replayed.start()
        await replayed.turns()
        mend()
        await until(lambda: not spool.waits())
        await replayed.end()
        assert replayed.delivered == [1, 2, 3, 4, 5]

    drive(tmp_path, test)


def test_what_is_out_at_the_end_is_waited_for_and_gone_only_when_acked(tmp_path: Path) -> None:
    async def test(spool: Spool) -> None:
        replayed = Replayed(spool)
        replayed.sink.is_held = True
        put(spool, 1)
        put(spool, 2)
        await flushed(spool)
        await replayed.start()
        await until(lambda: replayed.sink.outstanding() == 2)
        await replayed.end()  # Closing the sink fails what it holds.
        assert numbers(tmp_path) == [1, 2]

    drive(tmp_path, test)


def test_what_was_acked_at_the_very_end_does_not_come_again(tmp_path: Path) -> None:
    async def test(spool: Spool) -> None:
        replayed = Replayed(spool)
        replayed.sink.is_held = True
        put(spool, 1)
        put(spool, 2)
        await flushed(spool)
        await replayed.start()
        await until(lambda: replayed.sink.outstanding() == 2)
        replayed.replay.stop()
        replayed.sink.release()
        await replayed.sink.close()
        await replayed.replay.finish(spool._loop.time() + 60)
        assert numbers(tmp_path) == []
        assert spool.pending() == 0

    drive(tmp_path, test)


def test_what_could_not_be_deleted_is_not_sent_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = Disk(monkeypatch)

    async def test(spool: Spool) -> None:
        replayed = Replayed(spool)
        for number in range(1, 11):
            put(spool, number, number % 3)
        await flushed(spool)
        disk.error = sqlite3.OperationalError("disk I/O error")
        await replayed.start()
        await until(lambda: len(replayed.delivered) == 10)
        await replayed.turns()
        assert len(rows(tmp_path)) == 10
        disk.error = None
        await until(lambda: not rows(tmp_path))
        await until(lambda: not spool.waits())
        await replayed.end()
        assert replayed.delivered == list(range(1, 11))

    drive(tmp_path, test)


def test_a_sick_partition_waits_alone(tmp_path: Path) -> None:
    async def test(spool: Spool) -> None:
        replayed = Replayed(spool)
        replayed.sink.count, replayed.sink.sick = 3, {1}
        for number in range(1, 1501):
            put(spool, number, number)
        await flushed(spool)
        await replayed.start()
        healthy = [number for number in range(1, 1501) if number % 3 != 1]
        await until(lambda: len(replayed.delivered) == len(healthy))
        assert replayed.delivered == healthy
        replayed.sink.sick = set()
        await until(lambda: not spool.waits())
        await replayed.end()
        assert sorted(replayed.delivered) == list(range(1, 1501))
        sick = [number for number in replayed.delivered if number % 3 == 1]
        assert sick == sorted(sick)

    drive(tmp_path, test)


def test_damaged_events_are_set_aside_and_counted_and_the_rest_goes_on(tmp_path: Path) -> None:
    async def test(spool: Spool) -> None:
        replayed = Replayed(spool)
        for number in range(1, 6):
            put(spool, number, 7)
        await flushed(spool)
        with sqlite3.connect(tmp_path / "spool-0.db") as database:
            database.execute("UPDATE event SET value = x'7b7d' WHERE number = 3")
        database.close()
        await replayed.start()
        await until(lambda: replayed.delivered == [1, 2, 4, 5])
        await until(lambda: not spool.waits())
        await replayed.end()
        assert replayed.replay.damaged == 1
        assert numbers(tmp_path, "aside") == [3]

    drive(tmp_path, test)


def test_events_of_a_topic_that_takes_less_than_a_batch_are_sent_one_by_one_from_the_first(tmp_path: Path) -> None:
    async def test(spool: Spool) -> None:
        replayed = Replayed(spool)
        replayed.sink.small = {"other"}
        put(spool, 1, 1)
        put_to(spool, "other", 2)
        await flushed(spool)
        await replayed.start()
        await until(lambda: not spool.waits())
        await replayed.end()
        assert replayed.sink.separated == {"other"}
        assert replayed.sink.asked == [["other", "t"]]

    drive(tmp_path, test)
