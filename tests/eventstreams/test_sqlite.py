"""The embedded sink as a source: the live reader sees each commit, whenever it looks, and readers find their places."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

from eventstreams.record import Place, Record
from eventstreams.sources.sqlite import SqliteReader, SqliteTail
from server.sink.sqlite.file import SCHEMA, EventFile
from tests.harness.running import eventually


class Database:
    """A database as a worker of the intake writes it."""

    def __init__(self, directory: Path, number: int = 0) -> None:
        directory.mkdir(exist_ok=True)
        self.database = sqlite3.connect(directory / f"events-{number}.db", isolation_level=None)
        self.database.execute("PRAGMA journal_mode = WAL")
        self.database.execute(SCHEMA)

    def store(self, *topics: str, ms: int = 1000, value: str = '{"a":1}') -> None:
        rows = [(time.time_ns(), topic, None, ms, "{}", value) for topic in topics]
        self.database.execute("BEGIN IMMEDIATE")
        self.database.executemany(
            "INSERT INTO event (stored_ns, topic, key, timestamp_ms, headers, value) VALUES (?,?,?,?,?,?)", rows
        )
        self.database.execute("COMMIT")


def test_the_live_reader_sees_every_commit(tmp_path: Path) -> None:
    """It looks again and again while commits come, so that it meets every moment of one."""
    database, got = Database(tmp_path), list[Record]()
    tail = SqliteTail(tmp_path)
    tail.start(got.extend, lambda place: None)
    tail.follow({("a", 0): 1})
    try:
        for count in range(1, 200):
            database.store("a", "b")
            eventually(lambda: len(got) == count)  # noqa: B023  # It is called before the next round.
    finally:
        tail.stop()
        database.database.close()

    assert [record.offset for record in got] == list(range(1, 399, 2))


def test_each_database_is_a_partition_and_topics_share_its_offsets(tmp_path: Path) -> None:
    first, second = Database(tmp_path, 0), Database(tmp_path, 3)
    for number in range(5):
        first.store("a" if number % 2 else "b", ms=1000 * number)
    second.store("a", ms=2500)
    reader = SqliteReader(tmp_path)
    described = reader.describe(["a"])
    batch = reader.read({("a", 0): 1, ("a", 3): 1}, 1 << 20, 100)
    first.database.close()
    second.database.close()

    assert {place: (one.low, one.high) for place, one in described.bounds.items()} == {
        ("a", 0): (1, 6),
        ("a", 3): (1, 2),
    }
    assert [(record.partition, record.offset) for record in batch.records] == [(0, 2), (0, 4), (3, 1)]
    assert (batch.reached, batch.gaps) == ({("a", 0): 6, ("a", 3): 2}, [])
    assert reader.at_times({("a", 0): 1500, ("a", 3): 3000}) == {("a", 0): 4, ("a", 3): None}


def test_a_reading_that_is_cut_goes_on_where_it_was(tmp_path: Path) -> None:
    database = Database(tmp_path)
    database.store(*["a", "b"] * 50)
    reader, got, at = SqliteReader(tmp_path), list[int](), 1
    while True:
        batch = reader.read({("a", 0): at}, 1 << 20, 7)
        got += [record.offset for record in batch.records]
        at = batch.reached["a", 0]
        if batch.at_end:
            break
    database.database.close()

    assert got == list(range(1, 100, 2))


def open_by_a_worker(directory: Path) -> EventFile:
    file = EventFile(directory)
    file.open()
    return file


def test_a_database_has_one_identity_and_the_next_another(tmp_path: Path) -> None:
    logs = []
    for is_replaced in (False, False, True):
        if is_replaced:
            for path in tmp_path.glob("events-0.db*"):
                path.unlink()
        open_by_a_worker(tmp_path).close()
        logs.append(SqliteReader(tmp_path).describe(["a"]).logs)

    first, again, other = (one["a", 0] for one in logs)
    assert first == again != other
    assert len(first) == 6 and other


def test_a_database_of_an_older_version_gets_an_identity_at_its_opening(tmp_path: Path) -> None:
    database = Database(tmp_path)
    database.store("a")
    database.database.execute("PRAGMA user_version = 1")
    assert SqliteReader(tmp_path).describe(["a"]).logs == {("a", 0): ""}
    database.database.execute("BEGIN IMMEDIATE")  # As a backup may: the worker then begins without it.
    open_by_a_worker(tmp_path).close()
    assert SqliteReader(tmp_path).describe(["a"]).logs == {("a", 0): ""}
    database.database.execute("ROLLBACK")
    database.database.close()
    open_by_a_worker(tmp_path).close()
    described = SqliteReader(tmp_path).describe(["a"])

    assert described.logs["a", 0]
    assert described.bounds["a", 0].high == 2


def test_the_live_reader_says_that_a_database_was_replaced_by_one_that_has_grown_past(tmp_path: Path) -> None:
    place = ("a", 0)
    open_by_a_worker(tmp_path).close()
    database = Database(tmp_path)
    database.store("a", "a")
    tail, got, lost = SqliteTail(tmp_path), list[Record](), list[Place]()
    tail.start(got.extend, lost.append)
    tail.follow({place: 1})
    try:
        eventually(lambda: len(got) == 2)
        database.database.close()
        (tmp_path / "new").mkdir()
        open_by_a_worker(tmp_path / "new").close()
        other = Database(tmp_path / "new")
        other.store(*"aaaaa")
        other.database.close()  # The last connection moves the log into the database.
        (tmp_path / "new" / "events-0.db").replace(tmp_path / "events-0.db")
        eventually(lambda: lost == [place])
    finally:
        tail.stop()

    assert [record.offset for record in got] == [1, 2]
