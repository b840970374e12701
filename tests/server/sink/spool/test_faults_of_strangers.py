"""The spool when its files are harmed from outside: locks deleted, numbers beyond all bounds, roots of trees gone."""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from server.sink.spool import claim
from server.sink.spool.backlog import Backlog, Want
from server.sink.spool.file import SpoolFile
from server.sink.spool.keys import KeyMap, KeyMaps, Mark
from server.sink.spool.reader import SpoolReader
from server.sink.spool.spool import Spool
from server.sink.spool.store import Store
from tests.server.sink.spool.replays import Replayed, quick
from tests.server.sink.spool.spools import drive, flushed, made, numbers, put, row, until

__all__ = ["quick"]

_PAGE = 4096
_LAYOUT_1 = """
CREATE TABLE event (
    id INTEGER PRIMARY KEY, topic TEXT NOT NULL, key BLOB, timestamp_ms INTEGER NOT NULL, headers BLOB NOT NULL,
    value BLOB NOT NULL, stream TEXT NOT NULL
);
PRAGMA user_version = 1;
"""


def root_of(path: Path, table: str = "event") -> int:
    """Return the place of the root page of a table."""
    with closing(sqlite3.connect(path)) as database:
        (page,) = database.execute("SELECT rootpage FROM sqlite_schema WHERE name = ?", (table,)).fetchone()
    return int(page - 1) * _PAGE


def flip(path: Path, at: int, bits: int = 1) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        was = file.read(1)[0]
        file.seek(at)
        file.write(bytes([was ^ bits]))


@pytest.mark.parametrize("number", [1 << 61, time.time_ns() // 1000 + 2 * 86_400_000_000])
def test_a_number_that_no_clock_has_is_not_followed(tmp_path: Path, number: int) -> None:
    keys = KeyMap.make(tmp_path / "spool-0.db")
    keys[Mark.NEWEST] = number
    maps = KeyMaps(tmp_path)
    maps.look()

    assert maps.newest() == 0
    keys.fill({}, 0, 7)
    assert maps.newest() == 7


def test_a_damaged_row_does_not_lift_the_numbers_of_later_events(tmp_path: Path) -> None:
    path = made(tmp_path / "spool-0.db", row(1, 100), row(2, 1 << 61))
    store = Store(path, -1)
    found = store.census()
    store.file.close()

    assert found.newest == 100


def test_a_lock_whose_file_was_deleted_is_taken_again(tmp_path: Path) -> None:
    path = made(tmp_path / "spool-0.db")
    fd = claim.take(path)
    assert fd is not None
    store = Store(path, fd)
    path.with_suffix(".lock").unlink()
    store.hold()
    assert claim.take(path) is None
    path.with_suffix(".lock").unlink()
    other = claim.take(path)
    assert other is not None
    with pytest.raises(OSError, match="another process has it"):
        store.hold()
    os.close(other)
    store.hold()
    store.release()


def test_a_database_that_is_free_for_a_moment_is_not_taken_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("server.sink.spool.backlog.ADOPT_EVERY_S", 0.0)
    path = made(tmp_path / "spool-0.db", row(1))
    backlog = Backlog(tmp_path)
    backlog.work([], 0.0)
    assert "took over" not in caplog.text
    fd = claim.take(path)
    assert fd is not None
    backlog.work([], 0.0)
    os.close(fd)
    backlog.work([], 0.0)
    assert "took over" not in caplog.text
    backlog.work([], 0.0)
    assert "took over" in caplog.text
    backlog.close()


@pytest.mark.usefixtures("quick")
def test_one_worker_replays_though_the_lock_of_the_replay_is_deleted(tmp_path: Path) -> None:
    async def test(spool: Spool) -> None:
        other = Spool(tmp_path, max_bytes=1 << 20)
        await other.open()
        first, second = Replayed(spool), Replayed(other)
        await first.start()
        await until(lambda: first.replay.is_leading)
        (tmp_path / "replay.lock").unlink()
        await until(lambda: not first.replay.is_leading)
        await second.start()
        await until(lambda: first.replay.is_leading or second.replay.is_leading)
        for number in range(1, 40):
            put(spool, number)
        await flushed(spool)
        await until(lambda: not spool.waits())
        await first.end()
        await second.end()
        await other.close()
        assert sorted(first.delivered + second.delivered) == list(range(1, 40))

    drive(tmp_path, test)


@pytest.mark.parametrize("damage", ["type", "cells", "zeroed", "schema"])
@pytest.mark.parametrize("count", [300, 3140])
def test_events_whose_pages_are_whole_outlive_the_root_of_their_table(tmp_path: Path, damage: str, count: int) -> None:
    path = made(tmp_path / "spool-0.db", *(row(n) for n in range(1, count + 1)))
    root = root_of(path)
    if damage == "type":
        flip(path, root)
    elif damage == "cells":
        flip(path, root + 4, 0x40)
    elif damage == "zeroed":
        with path.open("r+b") as file:
            file.seek(root)
            file.write(bytes(_PAGE))
    else:
        flip(path, path.read_bytes().index(b"checksum INTEGER"))
    spool = SpoolFile(path)
    spool.open()
    spool.close()

    assert numbers(tmp_path) == list(range(1, count + 1))


def test_events_that_were_delivered_do_not_come_back_with_a_damaged_root(tmp_path: Path) -> None:
    count = 300
    path = made(tmp_path / "spool-0.db", *(row(n) for n in range(1, count + 1)))
    keys = KeyMap.make(path)
    keys.fill({}, count, count)
    backlog = Backlog(tmp_path)
    backlog.work([], 0.0)
    for part, event in backlog.work([Want(b"t", 250, -1)], 0.0).taken[b"t"]:
        part.leave(event)
    backlog.work([], 0.0)
    backlog.close()
    keys[Mark.HORIZON] = 250  # As after a lap: the topic has no slot of its own.
    keys.publish({}, 250)
    flip(path, root_of(path))
    store = Store(path, -1)
    store.census()
    store.file.close()

    assert numbers(tmp_path) == list(range(251, count + 1))


@pytest.mark.parametrize("damage", ["last page", "root", "header"])
def test_a_damaged_spool_of_an_earlier_version_is_converted_as_far_as_it_can_be_read(
    tmp_path: Path, damage: str
) -> None:
    path = tmp_path / "spool-0.db"
    with closing(sqlite3.connect(path)) as database:
        database.executescript(_LAYOUT_1)
        with database:
            for n in range(1, 301):
                value = b'{"n":%d}' % n
                found = (n, "t", b"k", 5, b"\x90", value + b" " * 100, "s")
                database.execute("INSERT INTO event VALUES (?, ?, ?, ?, ?, ?, ?)", found)
    at = {"last page": path.stat().st_size - _PAGE, "root": root_of(path), "header": 0}[damage]
    with path.open("r+b") as file:
        file.seek(at)
        file.write(bytes(_PAGE if at else 16))
    spool = SpoolFile(path)
    spool.open()
    spool.close()

    assert len(numbers(tmp_path)) > 200


def test_keys_are_free_when_all_is_delivered_though_nothing_can_be_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = made(tmp_path / "spool-0.db", *(row(n, key=n) for n in range(1, 6)))
    store = Store(path, -1)
    store.load(store.census())
    store.file.close()
    keys = KeyMaps(tmp_path)
    keys.look()

    def fail(*_: object) -> int:
        raise sqlite3.OperationalError("attempt to write a readonly database")

    monkeypatch.setattr(SpoolReader, "delete", fail)
    backlog = Backlog(tmp_path)
    backlog.work([], 0.0)
    taken = backlog.work([Want(b"t", 10, -1)], 0.0).taken[b"t"]
    key = taken[0].event.key
    assert key is not None
    assert keys.holds("t", key)
    for part, event in taken:
        part.leave(event)
    backlog.work([], 0.0)

    assert not keys.holds("t", key)


def test_a_log_that_was_deleted_is_saved_before_anything_reads_the_database_again(tmp_path: Path) -> None:
    path = tmp_path / "spool-0.db"
    fd = claim.take(path)
    assert fd is not None
    store = Store(path, fd)
    store.load(store.census())
    backlog = Backlog(tmp_path)
    store.file.append([row(n) for n in range(1, 6)])
    assert backlog.work([], 0.0).events == 5
    path.with_name(path.name + "-wal").unlink()
    backlog.work([], 0.0)
    assert not path.with_name(path.name + "-wal").exists(), "none is begun by the replay"
    store.file.replace(sqlite3.DatabaseError("a test"))
    for _ in range(2):
        view = backlog.work([], 0.0)
    assert view.events == 5
    backlog.close()
    store.file.close()
    store.release()
