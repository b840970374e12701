"""server.sink.leaves: rows are read from their pages as SQLite itself reads them."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from server.sink import leaves
from server.sink.salvage import MOST_ID, Salvage

KINDS = (int, (int, type(None)), (bytes, type(None)), bytes)
SCHEMA = "CREATE TABLE IF NOT EXISTS event (id INTEGER PRIMARY KEY, number INTEGER, key TEXT, value TEXT NOT NULL)"
NUMBERS = (0, 1, -1, 127, 1 << 14, -(1 << 22), 1 << 30, 1 << 40, 1 << 50, -(1 << 62), None)
SIZES = (0, 1, 100, 3_000, 4_020, 4_060, 4_061, 4_062, 4_100, 9_000, 70_000)
Row = tuple[Any, ...]


def stored(path: Path, rows: int, page_bytes: int = 4096) -> list[Row]:
    """A database of rows of all sizes, and what it holds."""
    rng = random.Random(rows)
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute(f"PRAGMA page_size = {page_bytes}")
        database.execute(SCHEMA)
        database.execute("BEGIN")
        for row_id in range(1, rows + 1):
            row = (row_id, rng.choice(NUMBERS), rng.choice(("k", None)), "é" * (rng.choice(SIZES) // 2))
            database.execute("INSERT INTO event VALUES (?, ?, ?, ?)", row)
        database.execute("COMMIT")
    return selected(path)


def selected(path: Path) -> list[Row]:
    with closing(sqlite3.connect(path)) as database:
        database.text_factory = bytes
        return database.execute("SELECT * FROM event ORDER BY id").fetchall()


@pytest.mark.parametrize("page_bytes", [512, 1024, 4096, 65536])
def test_every_row_is_found_as_sqlite_finds_it(tmp_path: Path, page_bytes: int) -> None:
    """Inserted with ids that SQLite leaves out of the record, where it writes null."""
    rows = stored(tmp_path / "a.db", 300, page_bytes)

    assert list(leaves.rows_between(tmp_path / "a.db", 1, MOST_ID, KINDS)) == rows
    assert list(leaves.rows_between(tmp_path / "a.db", 20, 29, KINDS)) == rows[19:29]


def overwrite(path: Path, page: int) -> None:
    with path.open("r+b") as file:
        file.seek(page * 4096)
        file.write(random.Random(page).randbytes(4096))


def cut(path: Path, part: float) -> None:
    with path.open("r+b") as file:
        file.truncate(int(path.stat().st_size * part) // 4096 * 4096)


@pytest.mark.parametrize(
    "damage", [lambda path: overwrite(path, 1), lambda path: cut(path, 0.5), lambda path: overwrite(path, 0)]
)
def test_a_page_that_leads_to_others_costs_no_row(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    """The root of the table is page 2: when it was damaged, every row was lost."""
    path = tmp_path / "a.db"
    rows = stored(path, 2_000)
    on_whole_pages = {row[0] for row in leaves.rows_between(path, 1, MOST_ID, KINDS)}
    damage(path)
    kept = {row[0] for row in leaves.rows_between(path, 1, MOST_ID, KINDS)}
    salvage = Salvage(
        path, SCHEMA, "id, number, key, value", (int, object, object, bytes), text_factory=bytes, keeps_all=True
    )
    read = [row for batch in salvage.batches() for row in batch]

    assert {row[0] for row in read} >= kept
    assert len(kept) > 0.3 * len(on_whole_pages)
    assert set(read) <= set(rows)
    missing = {row_id for first, last in salvage.gaps for row_id in range(first, min(last, 2_000) + 1)}
    assert missing - {0} == {row[0] for row in rows} - {row[0] for row in read}


@pytest.mark.parametrize("seed", range(20))
def test_no_bytes_make_it_fail(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    path = tmp_path / "a.db"
    stored(path, 300)
    content = bytearray(path.read_bytes())
    for _ in range(2_000):
        content[rng.randrange(4096, len(content))] = rng.randrange(256)
    path.write_bytes(content[: rng.randrange(len(content))])

    for row in leaves.rows_between(path, -MOST_ID, MOST_ID, (int, object, object, object)):
        assert isinstance(row[0], int)


def test_what_is_missing_is_said_as_ranges() -> None:
    assert list(leaves.missing([2, 3, 7], 1, 9)) == [(1, 1), (4, 6), (8, 9)]
    assert list(leaves.missing([1, 2], 1, 2)) == []
    assert list(leaves.missing([], 4, 5)) == [(4, 5)]
