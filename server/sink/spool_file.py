"""One database of the spool: events that wait for the broker, oldest first.

Place: sink.spool → HERE, on the spool's thread; every call may wait for the disk.
Rules: a commit is on disk when it returns (WAL, ``synchronous = FULL``). The id of a row is the number that its event
was accepted under, so the order of ids is the order of acceptance, whatever order the rows come in. A file that
cannot be read is set aside under a dated name, what can be read of it goes into a new one, and the service goes on.
Not here: threads, bounds and keys (sink.spool, sink.spool_keys).
"""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

VERSION: Final = 1
SUFFIX: Final = ".db"

# (id, topic, key, timestamp_ms, headers as MessagePack, value, stream)
Row = tuple[int, str, bytes | None, int, bytes, bytes, str]

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS event (
    id INTEGER PRIMARY KEY,
    topic TEXT NOT NULL,
    key BLOB,
    timestamp_ms INTEGER NOT NULL,
    headers BLOB NOT NULL,
    value BLOB NOT NULL,
    stream TEXT NOT NULL
)
"""
_INSERT: Final = "INSERT OR REPLACE INTO event VALUES (?, ?, ?, ?, ?, ?, ?)"
_COLUMNS: Final = "id, topic, key, timestamp_ms, headers, value, stream"
_WAL_KEPT_BYTES: Final = 16 << 20  # A burst may grow the log; after a checkpoint it is cut back to this.
_VACUUM_PAGES: Final = 1024  # An empty file of more than 4 MiB gives its room back to the disk.
_RECOVERED_AT_ONCE: Final = 500

_BROKEN: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR})

_logger = logging.getLogger("sink.spool")


class SpoolFile:
    """``path`` must be locked by this process (sink.claim)."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._database: sqlite3.Connection | None = None
        self._inode = 0

    def open(self) -> None:
        """Make it ready. Raises sqlite3.Error or OSError when that has to wait: no room, no right."""
        self.close()
        try:
            self._connect()
        except sqlite3.Error as failed:
            if not is_broken(failed):
                raise
            self.replace(failed)

    def replace(self, why: Exception) -> None:
        """Set a broken file aside, begin a new one, and take over what can be read of the old one."""
        self.close()
        aside = self._set_aside()
        self._connect()
        count = 0
        for rows in _readable(aside):
            self.append(rows)
            count += len(rows)
        _logger.error("the spool %s was broken (%s): kept as %s, %d events recovered", self.path, why, aside, count)

    def append(self, rows: Iterable[Row]) -> None:
        """Keep these rows, all or none."""
        database = self._ready()
        with _transaction(database):
            database.executemany(_INSERT, rows)

    def oldest(self, count: int, without: Sequence[str] = ()) -> list[Row]:
        """Up to ``count`` of the oldest rows, in their order, those of some topics left out."""
        marks = ", ".join("?" * len(without))
        found = self._ready().execute(
            f"SELECT {_COLUMNS} FROM event WHERE topic NOT IN ({marks}) ORDER BY id LIMIT ?", (*without, count)
        )
        return found.fetchall()

    def delete(self, ids: Sequence[int]) -> None:
        """Forget rows that have been delivered or given up. Gives the room back when nothing is left."""
        database = self._ready()
        with _transaction(database):
            database.executemany("DELETE FROM event WHERE id = ?", [(number,) for number in ids])
        (left,) = database.execute("SELECT EXISTS (SELECT 1 FROM event)").fetchone()
        (pages,) = database.execute("PRAGMA page_count").fetchone()
        if not left and pages > _VACUUM_PAGES:
            database.execute("VACUUM")
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def probe(self) -> None:
        """Write something small: raises what a write would raise."""
        database = self._ready()
        with _transaction(database):
            database.execute(f"PRAGMA user_version = {VERSION}")

    def contents(self) -> Iterator[tuple[int, str, bytes | None, int]]:
        """(id, topic, key, bytes of the rest) of every row, in order."""
        yield from self._ready().execute(
            "SELECT id, topic, key, length(value) + length(headers) + length(stream) FROM event ORDER BY id"
        )

    def close(self) -> None:
        """Let go of it. What was committed is on disk."""
        if self._database is not None:
            database, self._database = self._database, None
            database.close()

    def remove(self) -> None:
        """Close it and delete its files, the lock's last: nobody waits for them."""
        self.close()
        for path in (*self._files(), self.path.with_suffix(".lock")):
            path.unlink(missing_ok=True)

    def _files(self) -> list[Path]:
        return [self.path.with_name(self.path.name + ending) for ending in ("", "-wal", "-shm")]

    def _ready(self) -> sqlite3.Connection:
        """The connection, made anew after a failure, or when somebody has moved the file away under us."""
        if self._database is None or not self._is_there():
            self.open()
        assert self._database is not None
        return self._database

    def _is_there(self) -> bool:
        """SQLite would go on writing to a file that has no name any more, and nobody would ever read it."""
        try:
            return self.path.stat().st_ino == self._inode
        except FileNotFoundError:
            _logger.error("the spool %s is gone: somebody has deleted it, with what it held", self.path)
            return False

    def _connect(self) -> None:
        # timeout=0: nobody else writes this file. The thread that opens it may not be the one that uses it.
        database = sqlite3.connect(self.path, timeout=0, isolation_level=None, check_same_thread=False)
        try:
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = FULL")
            database.execute(f"PRAGMA journal_size_limit = {_WAL_KEPT_BYTES}")
            (version,) = database.execute("PRAGMA user_version").fetchone()
            if version not in (0, VERSION):
                raise sqlite3.DatabaseError(f"it has layout {version}, this program writes {VERSION}")
            database.execute(_SCHEMA)
            database.execute(f"PRAGMA user_version = {VERSION}")
            # Every page is looked at: a file whose damage shows only in a replay would stop that replay for ever.
            (verdict,) = database.execute("PRAGMA quick_check(1)").fetchone()
            if verdict != "ok":
                raise sqlite3.DatabaseError(verdict)
        except BaseException:
            database.close()
            raise
        self._database = database
        self._inode = self.path.stat().st_ino

    def _set_aside(self) -> Path:
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        aside = self.path.with_name(f"{self.path.stem}.broken-{stamp}")
        for number in range(1, 1000):
            if not aside.exists():
                break
            aside = self.path.with_name(f"{self.path.stem}.broken-{stamp}-{number}")
        for path in self._files():
            if path.exists():
                path.rename(aside.with_name(aside.name + path.name.removeprefix(self.path.name)))
        return aside


class _transaction:  # noqa: N801 - used as a statement
    """BEGIN … COMMIT, or ROLLBACK when anything is raised."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    def __enter__(self) -> None:
        self._database.execute("BEGIN IMMEDIATE")

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
    """Whether the file itself is bad, and not the disk that it is on."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError)
    return code & 0xFF in _BROKEN


def _readable(path: Path) -> Iterator[list[Row]]:
    """What can be read of a broken file: from its beginning to the damage, then from its end back to it."""
    try:
        database = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
    except sqlite3.Error as failed:
        _logger.warning("nothing can be read of %s: %s", path, failed)
        return
    last = -1
    try:
        for order, bound in (("ASC", ">"), ("DESC", ">")):
            for rows in _rows_until_damage(database, order, bound, last):
                last = max(last, rows[-1][0]) if order == "ASC" else last
                yield rows
    finally:
        database.close()


def _rows_until_damage(database: sqlite3.Connection, order: str, bound: str, last: int) -> Iterator[list[Row]]:
    batch: list[Row] = []
    try:
        for row in database.execute(f"SELECT {_COLUMNS} FROM event WHERE id {bound} ? ORDER BY id {order}", (last,)):
            if _is_whole(row):
                batch.append(row)
            if len(batch) == _RECOVERED_AT_ONCE:
                yield batch
                batch = []
    except (sqlite3.Error, UnicodeDecodeError) as failed:
        _logger.warning("reading the broken spool %s ended: %s", "forwards" if order == "ASC" else "backwards", failed)
    if batch:
        yield batch


def _is_whole(row: Row) -> bool:
    """Damage can leave a row that reads well and is none."""
    kinds: tuple[Any, ...] = (int, str, (bytes, type(None)), int, bytes, bytes, str)
    return all(isinstance(part, kind) for part, kind in zip(row, kinds, strict=True))
