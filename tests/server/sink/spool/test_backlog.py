"""server.sink.spool.backlog, part and reader: the oldest of each topic, whichever file it is in, and what is gone."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from server.sink.spool import claim
from server.sink.spool.backlog import STUCK_US, Backlog, Taken, Want
from server.sink.spool.file import SpoolFile
from server.sink.spool.keys import KeyMap, Mark
from server.sink.spool.reader import SpoolReader
from tests.server.sink.spool.spools import made, numbers, row


@pytest.fixture
def backlog(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Backlog]:
    """It takes databases over at once."""
    monkeypatch.setattr("server.sink.spool.backlog.ADOPT_EVERY_S", 0.0)
    backlog = Backlog(tmp_path)
    yield backlog
    backlog.close()


@pytest.fixture
def held() -> Iterator[list[int]]:
    """Descriptors of locks that are closed at the end."""
    found: list[int] = []
    yield found
    for fd in found:
        os.close(fd)


def hold(path: Path, held: list[int]) -> SpoolFile:
    """Hold a database as a worker does: with its lock, and a connection."""
    lock = claim.take(path)
    assert lock is not None
    held.append(lock)
    file = SpoolFile(path)
    file.open()
    return file


def read(backlog: Backlog, most: int = 1000, *, topic: bytes = b"t", above: int = -1) -> list[Taken]:
    return backlog.work([Want(topic, most, above)], 0.0).taken[topic]


def found(backlog: Backlog, most: int = 1000, *, above: int = -1) -> list[int]:
    return [one.event.number for one in read(backlog, most, above=above)]


def leave(backlog: Backlog, most: int = 1000) -> list[int]:
    """Take and deliver so many."""
    taken = read(backlog, most)
    for part, event in taken:
        part.leave(event)
    return [one.event.number for one in taken]


def test_events_come_by_number_whichever_database_they_are_in(tmp_path: Path, backlog: Backlog) -> None:
    for name in range(3):
        made(tmp_path / f"spool-{name}.db", *(row(n + 1, 100 - 3 * n - name) for n in range(10)))
    backlog.work([], 0.0)

    assert found(backlog) == list(range(71, 101))
    assert found(backlog, 5) == [71, 72, 73, 74, 75]
    assert found(backlog, 5, above=90) == [91, 92, 93, 94, 95]


def test_topics_are_apart(tmp_path: Path, backlog: Backlog) -> None:
    made(tmp_path / "spool-0.db", row(1, topic="t"), row(2, topic="u"), row(3, topic="t"))
    view = backlog.work([], 0.0)

    assert (view.topics, view.events) == (frozenset({b"t", b"u"}), 3)
    assert found(backlog) == [1, 3]


def test_where_a_part_has_more_than_was_read_no_younger_one_of_another_is_taken(
    tmp_path: Path, backlog: Backlog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.sink.spool.part.BYTES_AT_ONCE", 300)
    made(tmp_path / "spool-0.db", *(row(n, 10 * n) for n in range(1, 10)))
    made(tmp_path / "spool-1.db", row(1, 15), row(2, 95))
    backlog.work([], 0.0)
    taken = found(backlog)

    assert taken == sorted(taken)
    assert taken[:3] == [10, 15, 20]
    assert 95 not in taken
    order: list[int] = []
    while batch := leave(backlog):
        order += batch
    assert order == [10, 15, *range(20, 91, 10), 95]


def test_what_is_on_its_way_to_the_disk_keeps_younger_events_waiting(
    tmp_path: Path, backlog: Backlog, held: list[int]
) -> None:
    path = made(tmp_path / "spool-0.db", row(1, 100), row(2, 300))
    file = hold(path, held)
    keys = KeyMap.make(path)
    keys.fill({}, 2, 300)
    keys.add("t", b"k", 200)
    backlog.work([], 0.0)
    assert found(backlog) == [100]
    keys[Mark.NEWEST] = 200 + STUCK_US - 1
    assert found(backlog) == [100], "it timed out in the sink, and the disk is full"
    keys[Mark.NEWEST] = 200 + STUCK_US
    assert found(backlog) == [100, 300], "the disk takes nothing: it is not waited for"
    file.close()


def test_what_is_gone_is_deleted_and_counted(tmp_path: Path, backlog: Backlog) -> None:
    made(tmp_path / "spool-0.db", *(row(n, key=n) for n in range(1, 11)))
    assert backlog.work([], 0.0).events == 10
    assert leave(backlog, 4) == [1, 2, 3, 4]
    assert backlog.work([], 0.0).events == 6
    assert numbers(tmp_path) == list(range(5, 11))
    leave(backlog)
    assert backlog.work([], 0.0).events == 0


def test_rows_that_come_between_a_look_and_a_reading_are_counted_once(
    tmp_path: Path, backlog: Backlog, held: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise the count would drift below zero, and the last events would wait for ever."""
    path = made(tmp_path / "spool-0.db", row(1), row(2))
    file = hold(path, held)
    KeyMap.make(path).fill({}, 2, 2)
    file, look = SpoolFile(path), SpoolReader.look
    file.open()
    following = iter(range(3, 6))

    def looked(reader: SpoolReader, above: int) -> Any:
        view = look(reader, above)
        for number in following:
            file.append([row(number)])
            break
        return view

    monkeypatch.setattr(SpoolReader, "look", looked)
    order = []
    for _ in range(5):
        order += leave(backlog)
    assert order == [1, 2, 3, 4, 5]
    assert backlog.work([], 0.0).events == 0
    file.append([row(6)])
    KeyMap.make(path)[Mark.COMMITTED] = 6
    assert backlog.work([], 0.0).events == 1
    file.close()


def test_what_was_delivered_of_a_file_that_was_replaced_does_not_come_again(
    tmp_path: Path, backlog: Backlog, held: list[int]
) -> None:
    path = made(tmp_path / "spool-0.db", *(row(n) for n in range(1, 11)))
    file = hold(path, held)
    assert leave(backlog, 4) == [1, 2, 3, 4]
    file.replace(sqlite3.DatabaseError("a test"))
    order: list[int] = []
    for _ in range(4):
        order += leave(backlog)
    file.close()
    assert order == [5, 6, 7, 8, 9, 10]
    assert numbers(tmp_path) == []


def test_new_events_that_have_the_ids_of_delivered_ones_of_a_deleted_file_stay(
    tmp_path: Path, backlog: Backlog, held: list[int]
) -> None:
    path = made(tmp_path / "spool-0.db", row(1, 100), row(2, 101))
    file = hold(path, held)
    assert leave(backlog) == [100, 101]
    for one in tmp_path.glob("spool-0.db*"):
        one.unlink()
    file.close()
    made(path, row(1, 500), row(2, 501))
    file.open()
    backlog.work([], 0.0)
    assert found(backlog) == [500, 501]
    file.close()


def test_damaged_rows_are_set_aside_and_the_rest_goes_on(tmp_path: Path, backlog: Backlog) -> None:
    path = made(tmp_path / "spool-0.db", *(row(n) for n in range(1, 6)))
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE event SET headers = x'c1' WHERE id IN (2, 4)")

    assert leave(backlog) == [1, 3, 5]
    backlog.work([], 0.0)  # Nobody holds it: it is opened again.
    assert backlog.work([], 0.0).events == 0
    assert (backlog.damaged, numbers(tmp_path, "aside")) == (2, [2, 4])
    for _ in range(3):
        backlog.work([], 0.0)
    assert path.exists(), "what was set aside is kept"


@pytest.mark.parametrize(
    "damage",
    [
        "number = -5 WHERE id = 2",
        "number = 9000000000000000000 WHERE id = 2",
        "number = 'text' WHERE id = 2",
        "topic = CAST('t' AS TEXT) WHERE id = 2",
        "topic = x'ff' WHERE id = 2",
        "topic = 5 WHERE id = 2",
        "key = 'text' WHERE id = 2",
    ],
)
def test_no_content_of_a_row_keeps_the_others_waiting(tmp_path: Path, backlog: Backlog, damage: str) -> None:
    path = made(tmp_path / "spool-0.db", *(row(n, key=n) for n in range(1, 6)))
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(f"UPDATE event SET {damage}")
    delivered: list[int] = []
    for _ in range(8):
        view = backlog.work([], 0.0)
        for topic in view.topics:
            for part, event in read(backlog, topic=topic):
                part.leave(event)
                delivered.append(event.number)
    assert [number for number in delivered if number != 2] == [1, 3, 4, 5]
    assert backlog.damaged + delivered.count(2) == 1
    assert backlog.work([], 0.0).events == 0


def test_an_empty_database_without_a_worker_is_removed_and_its_damage_stays_counted(
    tmp_path: Path, backlog: Backlog
) -> None:
    path = made(tmp_path / "spool-4.db", *(row(n, value=b"%05d" % n * 200) for n in range(1, 21)))
    raw = path.read_bytes()
    changed = bytearray(raw.replace(b"00007" * 200, b"x" * 1000))
    changed[:4096] = bytes(4096)
    path.write_bytes(changed)
    delivered: list[int] = []
    for _ in range(6):
        delivered += leave(backlog)
    assert delivered == [number for number in range(1, 21) if number != 7]
    assert not list(tmp_path.glob("spool-4.db*")) + list(tmp_path.glob("spool-4.map"))
    assert backlog.damaged == 1


def test_a_database_that_a_worker_holds_is_left_to_it(tmp_path: Path, backlog: Backlog, held: list[int]) -> None:
    path = made(tmp_path / "spool-0.db")
    hold(path, held).close()
    (lock,) = held
    for _ in range(3):
        backlog.work([], 0.0)
    assert path.exists()
    fcntl.flock(lock, fcntl.LOCK_UN)
    for _ in range(3):
        backlog.work([], 0.0)
    assert not path.exists()


def test_a_full_disk_gets_the_reserve_for_deleting(
    tmp_path: Path, backlog: Backlog, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(tmp_path / "spool-0.db", row(1), row(2))
    backlog.work([], 0.0)
    reserve = tmp_path / "reserve"
    assert reserve.stat().st_size >= 1 << 20
    delete = SpoolReader.delete

    def full(reader: SpoolReader, ids: Any) -> int:
        if reserve.exists():
            failed = sqlite3.OperationalError("database or disk is full")
            failed.sqlite_errorcode = sqlite3.SQLITE_FULL
            raise failed
        return delete(reader, ids)

    monkeypatch.setattr(SpoolReader, "delete", full)
    monkeypatch.setattr(Backlog, "_adopt", lambda _: None)
    monkeypatch.setattr(Backlog, "_keep_reserve", lambda _: None)
    assert leave(backlog) == [1, 2]
    backlog.work([], 0.0)
    assert numbers(tmp_path) == []
    assert not reserve.exists()


def test_a_part_that_cannot_be_read_costs_the_others_nothing(
    tmp_path: Path, backlog: Backlog, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(tmp_path / "spool-0.db", row(1, 10))
    made(tmp_path / "spool-1.db", row(1, 20))
    look = SpoolReader.look

    def failing(reader: SpoolReader, above: int) -> Any:
        if reader.path.stem == "spool-0":
            raise sqlite3.OperationalError("disk I/O error")
        return look(reader, above)

    with monkeypatch.context() as patched:
        patched.setattr(SpoolReader, "look", failing)
        backlog.work([], 0.0)
        assert leave(backlog) == [20]
    backlog.work([], 0.0)
    assert leave(backlog) == [10]


def test_more_than_can_be_remembered_is_not_read_while_nothing_can_be_deleted(
    tmp_path: Path, backlog: Backlog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.sink.spool.part.MOST_UNDELETED", 5)
    made(tmp_path / "spool-0.db", *(row(n) for n in range(1, 21)))
    backlog.work([], 0.0)

    def failing(*_: object) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    with monkeypatch.context() as patched:
        patched.setattr(SpoolReader, "delete", failing)
        order = leave(backlog, 4) + leave(backlog, 4) + leave(backlog, 4)
        assert order == list(range(1, 9))
    assert leave(backlog) == list(range(9, 21))


def test_a_large_file_that_is_empty_gives_its_room_back(tmp_path: Path, backlog: Backlog, held: list[int]) -> None:
    path = made(tmp_path / "spool-0.db", *(row(n, value=b"x" * 10_000) for n in range(1, 1001)))
    file = hold(path, held)
    full = path.stat().st_size
    while leave(backlog):
        pass
    backlog.work([], 0.0)

    file.close()
    assert full > 8_000_000
    assert path.stat().st_size < 100_000


def being_closed(directory: Path, number: int) -> int:
    """Make a database as a worker leaves it that has closed it and still holds its lock. Returns the lock."""
    path = directory / f"spool-{number}.db"
    made(path, row(number))
    lock_fd = claim.take(path)
    assert lock_fd is not None
    assert not path.with_name(path.name + "-wal").exists()
    return lock_fd


def test_nothing_is_sent_while_a_database_cannot_be_read_yet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its events may be older than those of the others. A worker that ends closes its database before it lets go of
    it, and another worker may begin to replay in between."""
    monkeypatch.setattr("server.sink.spool.backlog.ASK_EVERY_S", 0.0)
    lock_fd = being_closed(tmp_path, 1)
    made(tmp_path / "spool-2.db", row(2))
    backlog = Backlog(tmp_path)
    view = backlog.work([], 0.0)
    assert (view.events, view.is_doubtful) == (1, True)
    os.close(lock_fd)
    backlog.work([], 0.0)
    view = backlog.work([], 0.0)
    assert (view.events, view.is_doubtful) == (2, False)
    backlog.close()


def test_one_that_stays_unreadable_does_not_hold_up_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.sink.spool.part.UNSEEN_S", 0.0)
    lock_fd = being_closed(tmp_path, 1)
    made(tmp_path / "spool-2.db", row(2))
    backlog = Backlog(tmp_path)
    view = backlog.work([], 0.0)
    assert (view.events, view.is_doubtful) == (1, False)
    backlog.close()
    os.close(lock_fd)
