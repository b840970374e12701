"""server.sink.spool.bulk: many rows go in and come out as they are, whatever bytes they have."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from operator import itemgetter
from pathlib import Path
from typing import Any

import pytest

from server.sink.salvage import transaction
from server.sink.spool import bulk
from server.sink.spool.event import COLUMNS, Row, checksum_of, is_whole, size_of
from server.sink.spool.file import SCHEMA, connect

LOOSE = ", ".join(COLUMNS.split(", ")[1:])  # Columns that take anything, as damage does.


@pytest.fixture
def database(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with closing(connect(tmp_path / "spool-0.db")) as opened:
        opened.executescript(SCHEMA)
        yield opened


def made(seq: int, *, number: int, value: bytes = b"{}", key: bytes | None = None, topic: bytes = b"t") -> Row:
    columns: Any = (seq, number, topic, key, 7, b"\x90", value, b"s")
    return (*columns, checksum_of(columns))


def put(database: sqlite3.Connection, rows: list[Row]) -> None:
    with transaction(database):
        bulk.insert(database, rows)


@pytest.mark.parametrize("count", [0, 1, 2, 57, 999, 1000, 1001, 2345])
def test_any_number_of_rows_comes_back(database: sqlite3.Connection, count: int) -> None:
    rows = [made(seq, number=10_000 - seq) for seq in range(1, count + 1)]
    put(database, rows)
    ids, is_cut = bulk.oldest_ids(database, b"t", 10_000, -1, 1 << 30)
    assert (ids, is_cut) == (list(range(count, 0, -1)), False)
    assert sorted(bulk.read(database, ids)) == rows
    assert bulk.delete(database, ids[: count // 2]) == count // 2
    assert bulk.delete(database, ids) == count - count // 2
    assert bulk.oldest_ids(database, b"t", 10_000, -1, 1 << 30) == ([], False)


def test_bytes_of_every_kind_come_back(database: sqlite3.Connection) -> None:
    """NUL, separators, bytes that are not UTF-8, and nothing."""
    source = random.Random(5)
    odd = [b"", b"\x00", b";", b" ", b"1 2;", b"\xff\xfe;\x00", "é;ß".encode(), b"'", bytes(range(256))]
    odd += [source.randbytes(source.randrange(300)) for _ in range(200)]
    rows = [
        made(seq, number=seq, value=value, key=source.choice([None, b"", value]), topic=b"t" + value)
        for seq, value in enumerate(odd, 1)
    ]
    put(database, rows)
    found = bulk.read(database, [row[0] for row in rows])
    assert sorted(found, key=itemgetter(0)) == rows
    assert all(map(is_whole, found))


def test_the_limit_of_bytes_lets_at_least_one_through(database: sqlite3.Connection) -> None:
    rows = [made(seq, number=seq, value=b"x" * 1000) for seq in range(1, 11)]
    put(database, rows)
    size = size_of(rows[0])
    assert bulk.oldest_ids(database, b"t", 10, -1, 1) == ([1], True)
    assert bulk.oldest_ids(database, b"t", 10, -1, 3 * size) == ([1, 2, 3], True)
    assert bulk.oldest_ids(database, b"t", 10, -1, 10 * size) == (list(range(1, 11)), False)
    assert bulk.oldest_ids(database, b"t", 2, -1, 10 * size) == ([1, 2], False)
    assert bulk.oldest_ids(database, b"t", 10, 8, 10 * size) == ([9, 10], False)
    passed = {1, 2, 3, 5}
    assert bulk.oldest_ids(database, b"t", 10, -1, 2 * size, passed) == ([4, 6], True), "they do not count"


@pytest.mark.parametrize("column", COLUMNS.split(", ")[1:])
@pytest.mark.parametrize("damage", ["'text'", "CAST(x'ff00' AS TEXT)", "1.5", "zeroblob(3)", "12", "NULL"])
def test_a_damaged_column_makes_its_own_row_not_whole_and_shifts_no_other(
    database: sqlite3.Connection, column: str, damage: str
) -> None:
    rows = [made(seq, number=seq, key=b"k") for seq in (1, 2, 3)]
    put(database, rows)
    database.executescript(f"ALTER TABLE event RENAME TO was; CREATE TABLE event (id INTEGER PRIMARY KEY, {LOOSE});")
    database.execute("INSERT INTO event SELECT * FROM was")
    database.execute(f"UPDATE event SET {column} = {damage} WHERE id = 2")
    found = sorted(bulk.read(database, [1, 2, 3]), key=itemgetter(0))
    assert [row[0] for row in found if is_whole(row)] == [1, 3]
    assert (found[0], found[1][0], found[2]) == (rows[0], 2, rows[2])


@pytest.mark.parametrize("column", ["topic", "key", "headers", "value", "stream"])
def test_bytes_that_became_text_are_still_the_same_bytes(database: sqlite3.Connection, column: str) -> None:
    """A flipped bit of the type does that. The checksum is over the bytes."""
    rows = [made(seq, number=seq, key=b"k\x00\xff", value=b"\xff\x00v") for seq in (1, 2)]
    put(database, rows)
    database.execute(f"UPDATE event SET {column} = CAST({column} AS TEXT) WHERE id = 1")
    assert sorted(bulk.read(database, [1, 2])) == rows


def test_a_commit_and_a_read_of_many_rows_take_few_steps(database: sqlite3.Connection) -> None:
    """Each step gives the interpreter's lock away. SQLite's trace hook is called once per statement that is run."""
    run: list[str] = []
    database.set_trace_callback(run.append)
    put(database, [made(seq, number=seq) for seq in range(1, 501)])
    ids, _ = bulk.oldest_ids(database, b"t", 500, -1, 1 << 30)
    bulk.read(database, ids)
    bulk.delete(database, ids)
    assert len(run) == 6, "BEGIN, INSERT, COMMIT, ids, rows, DELETE"
