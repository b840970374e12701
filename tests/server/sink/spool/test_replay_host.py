"""server.sink.spool.replay over the databases of a host: one worker replays all of them, in one order."""

from __future__ import annotations

import random
import sqlite3
from pathlib import Path

import pytest

from server.sink.spool.reader import SpoolReader
from server.sink.spool.spool import Spool
from tests.server.sink.spool.replays import Replayed, quick
from tests.server.sink.spool.spools import drive, flushed, made, put, put_to, row, until

__all__ = ["quick"]

pytestmark = pytest.mark.usefixtures("quick")


@pytest.mark.parametrize("seed", range(3))
def test_the_databases_of_several_workers_are_replayed_in_the_order_of_their_numbers(tmp_path: Path, seed: int) -> None:
    """Two workers with a database of their own, and four that no process holds any more."""
    chance = random.Random(seed)

    async def test(spool: Spool) -> None:
        spools = [spool, *(Spool(tmp_path, max_bytes=1 << 20) for _ in range(5))]
        for one in spools[1:]:
            await one.open()
        topics = {}
        for number in range(1, 181):
            topics[number] = chance.choice("tu")
            put_to(chance.choice(spools), topics[number], number, chance.randrange(3))
        for one in spools:
            await flushed(one)
        for one in spools[2:]:
            await one.close()
        workers = [Replayed(one) for one in spools[:2]]
        for worker in workers:
            await worker.start()
        await until(lambda: sum(len(worker.delivered) for worker in workers) == 180)
        await until(lambda: not any(one.waits() for one in spools[:2]))
        await until(lambda: not (tmp_path / "spool-5.db").exists())
        for worker in workers:
            await worker.end()
        await spools[1].close()
        (leader,) = [worker for worker in workers if worker.delivered]
        for topic in "tu":
            expected = [number for number in range(1, 181) if topics[number] == topic]
            assert [number for number in leader.delivered if topics[number] == topic] == expected

    drive(tmp_path, test)


def test_one_worker_replays_and_another_takes_over_when_it_ends(tmp_path: Path) -> None:
    async def test(spool: Spool) -> None:
        other = Spool(tmp_path, max_bytes=1 << 20)
        await other.open()
        first, second = Replayed(spool), Replayed(other)
        await first.start()
        await until(lambda: first.replay.is_leading)
        await second.start()
        put(other, 1, 7)
        await until(lambda: first.delivered == [1])
        assert not second.replay.is_leading
        await first.end()
        await until(lambda: second.replay.is_leading)
        put(spool, 2, 7)
        await until(lambda: second.delivered == [2])
        await second.end()
        await other.close()

    drive(tmp_path, test)


def test_a_worker_without_contact_leaves_the_replay_to_one_that_has_it(tmp_path: Path) -> None:
    async def test(spool: Spool) -> None:
        other = Spool(tmp_path, max_bytes=1 << 20)
        await other.open()
        first, second = Replayed(spool), Replayed(other)
        first.is_away = second.is_away = True
        for one in (spool, other):
            one.tell(is_away=True, acked=0)
        await first.start()
        await until(lambda: first.replay.is_leading)
        await second.start()
        put(spool, 1, 7)
        put(other, 2, 7)
        await flushed(spool)
        await flushed(other)
        spool.maps.look()
        await first.turns(10)
        assert first.replay.is_leading, "no other has contact either"
        second.is_away = False
        other.tell(is_away=False, acked=0)
        await until(lambda: second.delivered == [1, 2])
        assert first.delivered == []
        await first.end()
        await second.end()
        await other.close()

    drive(tmp_path, test)


def test_a_file_that_the_replay_cannot_read_is_replaced_by_the_worker_that_holds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.sink.spool.spool.WATCH_S", 0.01)
    look = SpoolReader.look
    was_broken: list[Path] = []

    def broken(reader: SpoolReader, above: int) -> object:
        if not was_broken:
            was_broken.append(reader.path)
            raise sqlite3.DatabaseError("database disk image is malformed")
        return look(reader, above)

    async def test(spool: Spool) -> None:
        for number in range(1, 6):
            put(spool, number, 7)
        await flushed(spool)
        monkeypatch.setattr(SpoolReader, "look", broken)
        replayed = Replayed(spool)
        await replayed.start()
        await until(lambda: len(replayed.delivered) == 5)
        await until(lambda: not spool.waits())
        await replayed.end()
        assert replayed.delivered == [1, 2, 3, 4, 5]

    drive(tmp_path, test)
    assert len(list(tmp_path.glob("spool-0.broken-*Z"))) == 1


def test_events_of_a_worker_that_is_gone_are_taken_over_and_its_files_are_removed(tmp_path: Path) -> None:
    made(tmp_path / "spool-3.db", *(row(number, number + 100, key=7) for number in range(1, 4)))

    async def test(spool: Spool) -> None:
        put(spool, 200, 7)
        await flushed(spool)
        replayed = Replayed(spool)
        await replayed.start()
        await until(lambda: len(replayed.delivered) == 4)
        await until(lambda: not (tmp_path / "spool-3.db").exists())
        await replayed.end()
        assert replayed.delivered == [101, 102, 103, 200]

    drive(tmp_path, test)
    assert sorted(path.name for path in tmp_path.iterdir() if "spool-3" in path.name) == []


def test_a_replay_without_work_sleeps_until_an_event_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own worker tells it at once, the look of its worker tells it of the events of others."""
    monkeypatch.setattr("server.sink.spool.replay.IDLE_S", 3600.0)

    async def test(spool: Spool) -> None:
        other = Spool(tmp_path, max_bytes=1 << 20)
        await other.open()
        replayed = Replayed(spool)
        await replayed.start()
        await until(lambda: replayed.replay._news is not None)
        put(spool, 1, 7)
        await until(lambda: replayed.delivered == [1])
        await until(lambda: replayed.replay._news is not None)
        put(other, 2, 7)
        await flushed(other)
        spool.maps.look()
        assert spool.waits()
        await until(lambda: replayed.delivered == [1, 2])
        await until(lambda: replayed.replay._news is not None)
        await replayed.end()
        await other.close()

    drive(tmp_path, test)


def test_a_worker_that_does_not_lead_takes_over_when_events_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.sink.spool.replay.IDLE_S", 3600.0)

    async def test(spool: Spool) -> None:
        other = Spool(tmp_path, max_bytes=1 << 20)
        await other.open()
        first, second = Replayed(spool), Replayed(other)
        await first.start()
        await until(lambda: first.replay.is_leading)
        await second.start()
        await until(lambda: second.replay._news is not None)
        await first.end()
        assert not second.replay.is_leading
        put(other, 1, 7)
        await until(lambda: second.delivered == [1])
        await second.end()
        await other.close()

    drive(tmp_path, test)
