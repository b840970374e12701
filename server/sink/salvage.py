"""Handle a damaged SQLite file: recognise it, set it aside, read the rows that can still be read.

Place: sink.spool.file, sink.sqlite.file and sink.sqlite.reader → HERE. Every call may wait for the disk.
Rules: tables have ``id INTEGER PRIMARY KEY`` as their first column. A damaged page costs the rows that are on it and no
others: reading continues after it. Nothing that was set aside is deleted; a damaged first page is copied before it is
mended.
Not here: what the rows mean, where recovered rows go (sink.spool.file, sink.sqlite.recovery).
"""

from __future__ import annotations

import logging
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from server.sink import leaves

ROWS_AT_ONCE: Final = 500
BYTES_AT_ONCE: Final = 4 << 20  # Rows may be megabytes each.
MOST_ID: Final = (1 << 63) - 1

_PAGE_BYTES: Final = 4096  # SQLite's default since 3.12; nothing here asks for another.
_SIZE_AT: Final = 28  # In the header: the number of pages.
# The first byte of a page of a table: one that leads to other pages, one with rows.
_TABLE_PAGES: Final = (b"\x05", b"\x0d")

_BROKEN: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR})

_logger = logging.getLogger("sink.salvage")


class transaction:  # noqa: N801 - used as a statement
    """BEGIN … COMMIT, or ROLLBACK when anything is raised."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    def __enter__(self) -> sqlite3.Connection:
        self._database.execute("BEGIN IMMEDIATE")
        return self._database

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            try:
                self._database.execute("COMMIT")
            except sqlite3.Error:
                self._roll_back()
                raise
        else:
            self._roll_back()

    def _roll_back(self) -> None:
        if self._database.in_transaction:
            self._database.execute("ROLLBACK")


def is_broken(error: Exception) -> bool:
    """Whether the file itself is damaged, as opposed to the disk that it is on."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError)
    return code & 0xFF in _BROKEN


def files_of(path: Path) -> list[Path]:
    """Return the files in which SQLite keeps a database: itself, its log, the index of its log."""
    return [path.with_name(path.name + ending) for ending in ("", "-wal", "-shm")]


def set_aside(path: Path) -> Path:
    """Rename a database that is not open, with its log, to a dated name. Returns that name."""
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    aside = path.with_name(f"{path.stem}.broken-{stamp}")
    for number in range(1, 1000):
        if not aside.exists():
            break
        aside = path.with_name(f"{path.stem}.broken-{stamp}-{number}")
    for file, renamed in zip(files_of(path), files_of(aside), strict=True):
        if file.exists():
            file.rename(renamed)
    return aside


def first_readable(can_read: Callable[[int], bool], unreadable: int, upto: int) -> int | None:
    """Return the lowest id above ``unreadable`` from which on rows can be read; None when there is none to ``upto``.

    A page holds a range of ids, so this is a search by doubling and halving: some 20 probes for a damaged leaf, 120 for
    any damage at all.
    """
    bad, step = unreadable, 1
    while True:
        if bad >= upto:
            return None
        good = min(bad + step, upto)
        if can_read(good):
            break
        bad, step = good, step * 2
    while good - bad > 1:
        middle = (good + bad) // 2
        if can_read(middle):
            good = middle
        else:
            bad = middle
    return good


def mend_head(path: Path, schema: str) -> None:
    """Replace a damaged first page by that of an empty database with the same table.

    The first page says where the table begins, which is page 2 in a database with one table. The damaged page is kept
    in ``….head``. Source: https://www.sqlite.org/fileformat.html, sections 1.3 (the header), 1.6 (pages) and 2.6 (the
    schema table).
    """
    with closing(sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)) as database:
        try:
            database.execute("SELECT name FROM sqlite_schema").fetchall()
            return
        except sqlite3.Error as failed:
            if not is_broken(failed):
                raise
    with closing(sqlite3.connect(":memory:")) as database:
        database.executescript(schema)
        page = bytearray(database.serialize()[:_PAGE_BYTES])
    with path.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(_PAGE_BYTES)
        if file.read(1) not in _TABLE_PAGES:
            return  # Not a database of this service: it is left as it is.
        file.seek(0)
        path.with_name(path.name + ".head").write_bytes(file.read(_PAGE_BYTES))
        page[_SIZE_AT : _SIZE_AT + 4] = (size // _PAGE_BYTES).to_bytes(4, "big")
        file.seek(0)
        file.write(page)


class Salvage:
    """The rows of a damaged table, from its beginning to its end.

    ``columns`` begin with ``id``; ``kinds`` are the types that each must have: damage can leave bytes that decode as a
    row without being one. ``gaps`` are the ids between which rows could not be read, first and last. ``keeps_all``: the
    table never deletes, so that rows which SQLite cannot reach any more are read from their pages (sink.leaves); they
    come last, with texts as bytes.
    """

    def __init__(
        self,
        path: Path,
        schema: str,
        columns: str,
        kinds: tuple[Any, ...],
        *,
        text_factory: Any = str,
        keeps_all: bool = False,
    ) -> None:
        self._path = path
        self._schema = schema
        self._select = f"SELECT {columns} FROM event WHERE id >= ? ORDER BY id LIMIT ?"
        self._kinds = kinds
        self._text_factory = text_factory
        self._keeps_all = keeps_all
        self.gaps: list[tuple[int, int]] = []

    def batches(self) -> Iterator[list[Any]]:
        """Yield rows in order, up to ROWS_AT_ONCE or a little more than BYTES_AT_ONCE at a time."""
        try:
            mend_head(self._path, self._schema)
            database = sqlite3.connect(self._path, timeout=0, isolation_level=None, check_same_thread=False)
        except (sqlite3.Error, OSError) as failed:
            _logger.warning("nothing can be read of %s: %s", self._path, failed)
            return
        database.text_factory = self._text_factory
        try:
            yield from self._batches(database)
        finally:
            database.close()
        if self.gaps and self._keeps_all:
            yield from self._unreached()

    def _unreached(self) -> Iterator[list[Any]]:
        """Yield the rows that leaf pages hold in the gaps; the gaps shrink to the ids that are still missing."""
        gaps, self.gaps = self.gaps, []
        for first, last in gaps:
            ids: list[int] = []
            rows: list[Any] = []
            try:
                for row in leaves.rows_between(self._path, first, last, self._kinds):
                    ids.append(row[0])
                    rows.append(row)
                    if len(rows) == ROWS_AT_ONCE:
                        yield rows
                        rows = []
            except OSError as failed:
                _logger.warning("the pages of %s cannot be read one by one: %s", self._path, failed)
            if rows:
                yield rows
            self.gaps += leaves.missing(ids, first, last)
            if ids:
                _logger.warning("%s: %d rows were read straight from their pages", self._path, len(ids))

    def _batches(self, database: sqlite3.Connection) -> Iterator[list[Any]]:
        begin = 0
        while True:
            rows, after, failed = self._some(database, begin)
            if rows:
                yield rows
            if failed is not None:
                found = first_readable(lambda row_id: self._can_read(database, row_id), after, MOST_ID)
                self.gaps.append((after, MOST_ID if found is None else found - 1))
                _logger.warning(
                    "%s: the rows with ids from %d to %d cannot be read: %s", self._path, *self.gaps[-1], failed
                )
                if found is None:
                    return
                begin = found
            elif after == begin:
                return
            else:
                begin = after

    def _some(self, database: sqlite3.Connection, begin: int) -> tuple[list[Any], int, Exception | None]:
        """Return the whole rows among the next ones, the id after them, and the error that ended reading, if any."""
        rows: list[Any] = []
        size, after = 0, begin
        try:
            for row in database.execute(self._select, (begin, ROWS_AT_ONCE)):
                if not isinstance(row[0], int) or row[0] < after:
                    continue
                after = row[0] + 1
                if leaves.is_whole(row, self._kinds):
                    rows.append(row)
                    size += sum(len(part) for part in row if isinstance(part, bytes | str))
                if size >= BYTES_AT_ONCE:
                    break
        except (sqlite3.Error, UnicodeDecodeError) as failed:
            return rows, after, failed
        return rows, after, None

    def _can_read(self, database: sqlite3.Connection, row_id: int) -> bool:
        try:
            database.execute(self._select, (row_id, 1)).fetchall()
        except (sqlite3.Error, UnicodeDecodeError):
            return False
        return True
