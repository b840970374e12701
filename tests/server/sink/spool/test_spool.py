"""server.sink.spool.spool: what was taken is on disk or was said not to be, and the loop waits for no disk."""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
from pathlib import Path

import pytest

from server.errors import BootError
from server.log import Limited
from server.sink.spool import claim
from server.sink.spool.backlog import Backlog, Want
from server.sink.spool.event import row_of
from server.sink.spool.file import SpoolFile
from server.sink.spool.keys import KeyMaps
from server.sink.spool.spool import Spool
from server.sink.spool.writer import Writer
from tests.contract.sinks import record
from tests.server.sink.spool.spools import Disk, Kept, drive, flushed, made, numbers, put, row, rows, until

LIMIT = 100_000


def test_what_was_put_waits_for_the_next_start_with_all_its_parts(tmp_path: Path) -> None:
    kept = Kept()

    async def first(spool: Spool) -> None:
        assert put(spool, 5, 7, kept=kept)
        assert kept.outcomes == []
        assert put(spool, 4, kept=kept)
        await flushed(spool)
        assert kept.outcomes == [None, None]

    async def second(spool: Spool) -> None:
        assert rows(tmp_path) == [row_of(2, 4, "s", record("t", 4)), row_of(1, 5, "s", record("t", 5, 7))]
        assert spool.first_number() == 6
        assert (spool.pending(), spool.waits(), spool.holds("t", b'{"k":7}')) == (2, True, True)

    drive(tmp_path, first)
    drive(tmp_path, second)


def test_keys_are_held_from_the_moment_of_putting(tmp_path: Path) -> None:
    async def test(spool: Spool) -> None:
        assert not spool.waits()
        put(spool, 1, 7)
        assert spool.waits()
        assert spool.holds("t", b'{"k":7}')
        assert not spool.holds("t", b'{"k":8}')
        await flushed(spool)
        assert spool.holds("t", b'{"k":7}')

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


def test_bytes_are_bounded_but_not_for_what_is_owed(tmp_path: Path) -> None:
    async def test(spool: Spool) -> None:
        taken = 0
        while put(spool, taken + 1):
            taken += 1
        assert 0.7 < spool.used_bytes() / LIMIT < 0.76
        owed = 0
        while spool.used_bytes() < 2 * LIMIT:
            assert put(spool, taken + owed + 1, is_owed=True)
            owed += 1
        assert spool.refused == 1
        await flushed(spool)
        assert len(numbers(tmp_path)) == taken + owed
        assert not put(spool, 10_000), "on disk they count as they did in memory"
        backlog = Backlog(tmp_path)
        view = backlog.work([], 0.0)
        assert not put(spool, 10_000), "the replay counts them as the writer does"
        assert (view.events, spool.pending()) == (taken + owed, taken + owed)
        for part, event in backlog.work([Want(b"t", 10_000, -1)], 0.0).taken[b"t"]:
            part.leave(event)
        backlog.close()
        assert put(spool, 10_000)

    drive(tmp_path, test, max_bytes=LIMIT)


def test_what_is_owed_is_bounded_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.sink.spool.spool.MAX_OWED_BYTES", 10_000)
    disk = Disk(monkeypatch)

    async def test(spool: Spool) -> None:
        disk.fill()
        taken = 0
        while put(spool, taken + 1, is_owed=True):
            taken += 1
        assert 9_000 < spool.used_bytes() <= 10_000
        disk.error = None

    drive(tmp_path, test, max_bytes=1000)


@pytest.mark.parametrize("is_counted", [False, True])
def test_what_waits_at_the_start_counts_before_the_replay_has_looked(tmp_path: Path, *, is_counted: bool) -> None:
    """The limit may have been lowered: then events that are not owed are refused from the first on."""

    async def first(spool: Spool) -> None:
        for number in range(1, 200):
            put(spool, number, 7)
        await flushed(spool)
        if is_counted:
            backlog = Backlog(tmp_path)
            backlog.work([], 0.0)
            backlog.close()
        first_bytes.append(spool.used_bytes())

    async def second(spool: Spool) -> None:
        assert spool.used_bytes() == first_bytes[0]
        assert not put(spool, 1000)
        assert put(spool, 1000, is_owed=True)

    first_bytes: list[int] = []
    drive(tmp_path, first)
    drive(tmp_path, second, max_bytes=first_bytes[0])


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
        assert not spool.is_usable()
        assert spool.holds("t", b'{"k":2}')
        assert put(spool, 4, kept=owed, is_owed=True)
        disk.error = None
        await until(lambda: len(owed.outcomes) == 2)
        assert owed.outcomes == [None, None]
        assert put(spool, 5)
        await flushed(spool)
        assert numbers(tmp_path) == [2, 4, 5]
        assert spool.failed_commits >= 1

    drive(tmp_path, test)


def test_a_disk_that_is_full_at_the_start_does_not_keep_a_worker_from_starting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Events that came before the file could be opened get ids that no row in it has."""
    made(tmp_path / "spool-0.db", *(row(number) for number in range(1, 6)))
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
        assert put(spool, 11, 1, kept=kept, is_owed=True)
        is_full[0] = False
        await until(lambda: kept.outcomes)
        assert kept.outcomes == [None]
        assert spool.has_room(1)
        assert numbers(tmp_path) == [1, 2, 3, 4, 5, 11]
        assert spool.holds("t", b'{"k":1}')

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
        spool.maps.look()
        assert spool.waits()
        assert spool.holds("t", b'{"k":7}')
        await other.close()

    drive(tmp_path, test)

    assert {path.name for path in tmp_path.glob("*.db")} == {"spool-0.db", "spool-1.db"}


def test_a_worker_says_whether_it_has_contact_and_what_it_has_delivered(tmp_path: Path) -> None:
    async def test(spool: Spool) -> None:
        other = Spool(tmp_path, max_bytes=1 << 20)
        await other.open()
        spool.maps.look()
        assert not spool.is_any_in_contact(), "one that has put nothing says nothing"
        put(other, 1)
        other.tell(is_away=True, acked=5)
        assert not spool.is_any_in_contact()
        other.tell(is_away=False, acked=6)
        assert spool.is_any_in_contact()
        await flushed(other)
        assert Backlog(tmp_path).work([], 0.0).acked == 6
        await other.close()

    drive(tmp_path, test)


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


class _Statvfs:
    """What os.statvfs says of a disk."""

    f_flag = 0
    f_frsize = 4096
    f_bavail = 1 << 20


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [("f_flag", os.ST_RDONLY, "read-only"), ("f_bavail", 10, "MiB are free")],
)
def test_a_disk_that_takes_no_more_is_noticed_though_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, name: str, value: int, said: str
) -> None:
    for constant in ("spool.WATCH_S", "writer.RETRY_S"):
        monkeypatch.setattr(f"server.sink.spool.{constant}", 0.01)
    disk = _Statvfs()
    monkeypatch.setattr("os.statvfs", lambda _path: disk)
    monkeypatch.setattr("server.sink.spool.writer._limited", Limited(logging.getLogger("sink.spool")))

    async def test(spool: Spool) -> None:
        assert spool.is_usable()
        setattr(disk, name, value)
        await until(lambda: not spool.is_usable())
        setattr(disk, name, getattr(_Statvfs, name))
        await until(spool.is_usable)

    drive(tmp_path, test)
    (told,) = [record for record in caplog.records if said in record.message]
    assert told.levelname == "ERROR"


def test_a_spool_whose_files_are_deleted_while_nothing_is_written_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.sink.spool.spool.WATCH_S", 0.01)

    async def test(spool: Spool) -> None:
        put(spool, 1)
        await flushed(spool)
        for path in tmp_path.glob("spool-0.db*"):
            path.unlink()
        await until((tmp_path / "spool-0.db").exists)
        put(spool, 2)
        await flushed(spool)
        assert numbers(tmp_path) == [2]

    drive(tmp_path, test)


def test_a_map_without_room_is_private_until_there_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.sink.spool.spool.WATCH_S", 0.01)

    def no_room(*_: object) -> None:
        raise OSError(28, "No space left on device")

    async def test(spool: Spool) -> None:
        put(spool, 1, 7)
        await flushed(spool)
        other = KeyMaps(tmp_path)
        other.look()
        assert (spool.holds("t", b'{"k":7}'), other.holds("t", b'{"k":7}')) == (True, False)
        patched.undo()

        def is_seen() -> bool:
            other.look()
            return other.holds("t", b'{"k":7}')

        await until(is_seen)
        put(spool, 2, 8)
        assert other.holds("t", b'{"k":8}')
        await flushed(spool)

    patched = pytest.MonkeyPatch()
    patched.setattr("os.posix_fallocate", no_room)
    try:
        drive(tmp_path, test)
    finally:
        patched.undo()


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
