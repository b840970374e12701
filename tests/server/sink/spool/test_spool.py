"""server.sink.spool.spool: what was taken is on disk or was said not to be, and the loop waits for no disk."""

from __future__ import annotations

import asyncio
import fcntl
import os
from pathlib import Path

import pytest

from server.errors import BootError
from server.sink.spool import claim
from server.sink.spool.file import SpoolFile
from server.sink.spool.keys import cell_of
from server.sink.spool.spool import Spool
from server.sink.spool.writer import Writer
from tests.contract.sinks import HEADERS, TIMESTAMP_MS, record
from tests.server.sink.spool.spools import Disk, Kept, drive, flushed, numbers, put, until


def test_what_was_put_waits_for_the_next_start_with_all_its_parts(tmp_path: Path) -> None:
    kept = Kept()

    async def first(spool: Spool) -> None:
        assert put(spool, 5, 7, kept=kept)
        assert kept.outcomes == []
        assert put(spool, 4, kept=kept)
        await flushed(spool)
        assert kept.outcomes == [None, None]

    async def second(spool: Spool) -> None:
        store = spool.store()
        assert store is not None
        four, five = await spool.oldest(store, 10)
        assert (four.number, four.key, five.number, five.key) == (4, None, 5, b'{"k":7}')
        assert (five.topic, five.stream, five.value) == ("t", "s", b'{"n":5}')
        assert (five.timestamp_ms, five.headers) == (TIMESTAMP_MS + 5, HEADERS)
        assert spool.first_number() == 6
        assert (store.keys.pending, store.keys.front) == (2, 4)

    drive(tmp_path, first)
    drive(tmp_path, second)


def test_keys_are_held_from_the_moment_of_putting_until_they_are_forgotten(tmp_path: Path) -> None:
    async def test(spool: Spool) -> None:
        assert not spool.waits()
        put(spool, 1, 7)
        assert spool.waits()
        assert spool.holds("t", b'{"k":7}')
        assert not spool.holds("t", b'{"k":8}')
        await flushed(spool)
        store = spool.store()
        assert store is not None
        assert await spool.forget(store, await spool.oldest(store, 1), 2)
        assert not spool.holds("t", b'{"k":7}')
        assert not spool.waits()
        assert spool.store() is None

    drive(tmp_path, test)


def test_what_others_wait_for_is_never_younger_than_what_there_is(tmp_path: Path) -> None:
    """Whatever rests, and whatever comes to the disk while the thread looks."""

    async def test(spool: Spool) -> None:
        for number, topic in ((5, "rests"), (7, "t"), (9, "t")):
            spool.put(number, "s", record(topic, number, 1), Kept(), is_owed=True, is_awaited=False)
        await flushed(spool)
        store = spool.store()
        assert store is not None
        keys, cells = store.keys, {topic: cell_of(topic, b'{"k":1}') for topic in ("rests", "t")}
        store.rest("rests", 100.0, 5)
        events = await spool.oldest(store, 1)
        assert ([one.number for one in events], keys.front) == ([7], 7)
        assert [keys.holds_older(cells["rests"], "rests", number) for number in (5, 6)] == [False, True]
        assert [keys.holds_older(cells["t"], "t", number) for number in (6, 8)] == [False, True]
        spool.put(4, "s", record("rests", 4, 1), Kept(), is_owed=True, is_awaited=False)
        assert keys.holds_older(cells["rests"], "rests", 5)
        assert await spool.forget(store, events, 8)
        await flushed(spool)
        assert [one.number for one in await spool.oldest(store, 1)] == [9]
        assert keys.front == 9
        forgetting = asyncio.ensure_future(spool.forget(store, await spool.oldest(store, 1), 10))
        put(spool, 3)
        assert await forgetting
        await flushed(spool)
        assert keys.front == 3
        assert await spool.forget(store, await spool.oldest(store, 1), 10)
        assert await spool.oldest(store, 1) == []
        assert not keys.holds_older(cells["t"], "t", 1 << 60)
        store.wake(100.0)
        assert keys.front == 4
        assert await spool.forget(store, await spool.oldest(store, 2), 10)
        assert keys.front == 0

    drive(tmp_path, test)


def test_numbers_of_a_new_worker_follow_those_that_wait_in_any_spool(tmp_path: Path) -> None:
    """Its clock may be behind that of the worker before it."""

    async def test(spool: Spool) -> None:
        put(spool, 1000, 7)
        put(spool, 900, 7)
        await flushed(spool)
        other = Spool(tmp_path, max_bytes=1 << 20)
        await other.open()
        assert (spool.newest(), other.first_number()) == (1000, 1001)
        await other.close()

    async def again(spool: Spool) -> None:
        assert (spool.newest(), spool.first_number()) == (1000, 1001)

    drive(tmp_path, test)
    drive(tmp_path, again)


def test_bytes_are_bounded_and_what_is_owed_has_room_beyond(tmp_path: Path) -> None:
    async def test(spool: Spool) -> None:
        taken = 0
        while put(spool, taken + 1):
            taken += 1
        owed = 0
        while put(spool, taken + owed + 1, is_owed=True):
            owed += 1
        assert 0.7 * (taken + owed) < taken < 0.8 * (taken + owed)
        assert spool.refused == 2
        await flushed(spool)
        assert len(await numbers(spool)) == taken + owed
        store = spool.store()
        assert store is not None
        await spool.forget(store, await spool.oldest(store, 10_000), 10_000)
        assert put(spool, 10_000)

    drive(tmp_path, test, max_bytes=100_000)


def test_a_full_disk_refuses_keeps_what_is_owed_and_recovers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk, unowed, owed = Disk(monkeypatch), Kept(), Kept()
    monkeypatch.setattr("server.sink.spool.writer.RETRY_S", 0.01)

    async def test(spool: Spool) -> None:
        disk.fill()
        assert put(spool, 1, 1, kept=unowed)
        assert put(spool, 2, 2, kept=owed, is_owed=True)
        await until(lambda: unowed.outcomes)
        assert unowed.outcomes == ["queue_full"]
        assert owed.outcomes == []
        assert not put(spool, 3)
        assert not spool.holds("t", b'{"k":1}')
        assert spool.holds("t", b'{"k":2}')
        assert put(spool, 4, kept=owed, is_owed=True)
        disk.error = None
        await until(lambda: len(owed.outcomes) == 2)
        assert owed.outcomes == [None, None]
        assert put(spool, 5)
        await flushed(spool)
        assert await numbers(spool) == [2, 4, 5]

    drive(tmp_path, test)


def test_a_disk_that_is_full_at_the_start_does_not_keep_a_worker_from_starting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.sink.spool.writer.RETRY_S", 0.01)
    connect = SpoolFile._connect
    is_full = [True]

    def failing(file: SpoolFile) -> None:
        if is_full[0]:
            raise OSError(28, "No space left on device")
        connect(file)

    monkeypatch.setattr(SpoolFile, "_connect", failing)
    kept = Kept()

    async def test(spool: Spool) -> None:
        assert not spool.has_room(1)
        assert put(spool, 1, 1, kept=kept, is_owed=True)
        is_full[0] = False
        await until(lambda: kept.outcomes)
        assert kept.outcomes == [None]
        assert spool.has_room(1)

    drive(tmp_path, test)


def test_a_directory_that_cannot_be_made_ends_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(BootError, match=r"spool\.path.*Not a directory"):
        asyncio.run(Spool(tmp_path / "file" / "spool", max_bytes=1 << 20).open())


def test_each_worker_has_a_database_and_sees_the_keys_of_the_others(tmp_path: Path) -> None:
    async def test(spool: Spool) -> None:
        other = Spool(tmp_path, max_bytes=1 << 20)
        await other.open()
        put(other, 1, 7)
        spool.elders.look()
        assert spool.waits()
        assert spool.holds("t", b'{"k":7}')
        await other.close()

    drive(tmp_path, test)

    assert {path.name for path in tmp_path.glob("*.db")} == {"spool-0.db", "spool-1.db"}


def test_a_database_that_nobody_holds_is_adopted_and_removed_when_it_is_empty(tmp_path: Path) -> None:
    async def orphaned(first: Spool) -> None:
        second = Spool(tmp_path, max_bytes=1 << 20)
        await second.open()
        put(second, 10, 1)
        await flushed(second)
        await second.close()
        await first.adopt()
        assert await numbers(first) == [10]
        put(first, 11, 1)
        await flushed(first)
        assert await numbers(first) == [10]
        store = first.store()
        assert store is not None
        await first.forget(store, await first.oldest(store, 10), 11)
        assert await numbers(first) == [11]

    drive(tmp_path, orphaned)

    assert sorted(path.name for path in tmp_path.iterdir() if "spool-1" in path.name) == []


def test_a_lock_that_was_deleted_while_somebody_waited_for_it_is_no_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "spool-0.db"
    flock = fcntl.flock

    def meanwhile(fd: int, how: int) -> None:
        monkeypatch.setattr("fcntl.flock", flock)
        path.with_suffix(".lock").unlink()
        flock(fd, how)

    monkeypatch.setattr("fcntl.flock", meanwhile)
    fd = claim.take(path)

    assert fd is not None
    assert os.fstat(fd).st_ino == path.with_suffix(".lock").stat().st_ino
    assert claim.take(path) is None
    os.close(fd)


def test_what_cannot_be_written_before_the_end_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk, kept = Disk(monkeypatch), Kept()

    async def test(spool: Spool) -> None:
        disk.fill()
        put(spool, 1, kept=kept, is_owed=True)
        assert await spool.flush(asyncio.get_running_loop().time() + 0.05) == 1
        spool.give_up()
        assert kept.outcomes == ["queue_full"]
        assert not spool.waits()

    drive(tmp_path, test)


def test_a_spool_of_another_that_cannot_be_opened_now_is_adopted_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.sink.spool.spool.ADOPT_EVERY_S", 0.0)
    (tmp_path / "spool-7.db").touch()

    def no_descriptor(_path: Path) -> int:
        raise OSError(24, "Too many open files")

    async def test(spool: Spool) -> None:
        with monkeypatch.context() as patched:
            patched.setattr("server.sink.spool.claim.take", no_descriptor)
            await spool.adopt()
        assert len(spool._stores) == 1
        await spool.adopt()

    drive(tmp_path, test)

    assert not (tmp_path / "spool-7.db").exists()  # It was empty.


def test_whoever_raises_when_told_does_not_keep_the_others_from_being_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed: list[str] = []
    monkeypatch.setattr("server.timing.timers.failed", failed.append)
    kept = Kept()

    def raises(_outcome: str | None) -> None:
        raise ValueError("a bug")

    async def test(spool: Spool) -> None:
        spool.put(1, "s", record("t", 1), raises, is_owed=False, is_awaited=True)
        put(spool, 2, kept=kept)
        await flushed(spool)
        put(spool, 3, kept=kept)
        await flushed(spool)

    drive(tmp_path, test)

    assert (kept.outcomes, failed) == ([None, None], ["Writer._tell"])


def test_a_write_that_raises_before_it_reaches_the_thread_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed: list[str] = []
    monkeypatch.setattr("server.timing.timers.failed", failed.append)
    monkeypatch.setattr("server.sink.spool.writer.RETRY_S", 0.005)
    hand_over = Writer._hand_over

    def no_thread(writer: Writer) -> None:
        if not failed:
            raise RuntimeError("can't start new thread")
        hand_over(writer)

    async def test(spool: Spool) -> None:
        monkeypatch.setattr(Writer, "_hand_over", no_thread)
        put(spool, 1)
        await flushed(spool)

    drive(tmp_path, test)

    assert failed == ["Writer._write"]
