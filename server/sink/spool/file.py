"""One database of the spool: events that wait for the broker, oldest first.

Place: sink.spool.spool → HERE, on the spool's thread; every call may wait for the disk.
Rules: a commit is on disk when it returns (WAL, ``synchronous = FULL``). The id of a row is the number under which its
event was accepted, so the order of ids is the order of acceptance, in whichever order rows are written. A damaged file
is set aside under a dated name, its readable rows go into a new one, and the service continues.
Not here: threads, limits and keys (sink.spool.spool, sink.spool.keys), reading a damaged file (sink.salvage).
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from server.sink.salvage import Salvage, files_of, is_broken, set_aside, transaction

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
_MAX_WAL_BYTES: Final = 16 << 20  # A burst may grow the log; after a checkpoint it is cut back to this.
_VACUUM_PAGES: Final = 1024  # An empty file of more than 4 MiB gives its room back to the disk.
_KINDS: Final = (int, str, (bytes, type(None)), int, bytes, bytes, str)

_logger = logging.getLogger("sink.spool")


class SpoolFile:
    """One database of the spool. This process must hold the lock of ``path`` (sink.spool.claim)."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._database: sqlite3.Connection | None = None
        self._inode = 0

    def open(self) -> None:
        """Open the database. Raises sqlite3.Error or OSError if that fails for now: no room, no permission."""
        self.close()
        try:
            self._connect()
        except sqlite3.Error as failed:
            if not is_broken(failed):
                raise
            self.replace(failed)

    def replace(self, why: Exception) -> None:
        """Set a broken file aside, begin a new one, and copy the readable rows of the old one."""
        self.close()
        aside = set_aside(self.path)
        self._connect()
        count = 0
        for rows in Salvage(aside, _SCHEMA, _COLUMNS, _KINDS).batches():
            self.append(rows)
            count += len(rows)
        _logger.error("the spool %s was broken (%s): kept as %s, %d events recovered", self.path, why, aside, count)

    def append(self, rows: Iterable[Row]) -> None:
        """Store these rows, all or none."""
        database = self._ready()
        with transaction(database):
            database.executemany(_INSERT, rows)

    def oldest(self, count: int, without: Sequence[str] = ()) -> list[Row]:
        """Return up to ``count`` of the oldest rows, in order, except rows of the topics ``without``."""
        marks = ", ".join("?" * len(without))
        found = self._ready().execute(
            f"SELECT {_COLUMNS} FROM event WHERE topic NOT IN ({marks}) ORDER BY id LIMIT ?", (*without, count)
        )
        return found.fetchall()

    def delete(self, ids: Sequence[int]) -> None:
        """Delete rows that were delivered or given up. An empty file returns its room to the disk."""
        database = self._ready()
        with transaction(database):
            database.executemany("DELETE FROM event WHERE id = ?", [(number,) for number in ids])
        (left,) = database.execute("SELECT EXISTS (SELECT 1 FROM event)").fetchone()
        (pages,) = database.execute("PRAGMA page_count").fetchone()
        if not left and pages > _VACUUM_PAGES:
            database.execute("VACUUM")
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def probe(self) -> None:
        """Write something small, to raise the error that a write would raise."""
        database = self._ready()
        with transaction(database):
            database.execute(f"PRAGMA user_version = {VERSION}")

    def contents(self) -> Iterator[tuple[int, str, bytes | None, int]]:
        """Yield (id, topic, key, bytes of the rest) of every row, in order."""
        yield from self._ready().execute(
            "SELECT id, topic, key, length(value) + length(headers) + length(stream) FROM event ORDER BY id"
        )

    def close(self) -> None:
        """Close the database. Everything that was committed is on disk."""
        if self._database is not None:
            database, self._database = self._database, None
            database.close()

    def remove(self) -> None:
        """Close the database and delete its files, the lock's last: no event is in them."""
        self.close()
        for path in (*files_of(self.path), self.path.with_suffix(".lock")):
            path.unlink(missing_ok=True)

    def _ready(self) -> sqlite3.Connection:
        """Return the connection; reopen it after a failure, or if the file was moved away."""
        if self._database is None or not self._is_there():
            self.open()
        assert self._database is not None
        return self._database

    def _is_there(self) -> bool:
        """Whether the file is still in its place. SQLite would go on writing to a deleted file that can never be
        read."""
        try:
            return self.path.stat().st_ino == self._inode
        except FileNotFoundError:
            _logger.error("the spool %s is gone: somebody has deleted it, with what it held", self.path)
            return False

    def _connect(self) -> None:
        # timeout=0: no other process writes this file. The thread that opens it may not be the one that uses it.
        database = sqlite3.connect(self.path, timeout=0, isolation_level=None, check_same_thread=False)
        try:
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = FULL")
            database.execute(f"PRAGMA journal_size_limit = {_MAX_WAL_BYTES}")
            (version,) = database.execute("PRAGMA user_version").fetchone()
            if version not in (0, VERSION):
                raise sqlite3.DatabaseError(f"it has layout {version}, this program writes {VERSION}")
            database.execute(_SCHEMA)
            database.execute(f"PRAGMA user_version = {VERSION}")
            # Every page is checked: damage that shows only in a replay would stop that replay for ever.
            (verdict,) = database.execute("PRAGMA quick_check(1)").fetchone()
            if verdict != "ok":
                raise sqlite3.DatabaseError(verdict)
        except BaseException:
            database.close()
            raise
        self._database = database
        self._inode = self.path.stat().st_ino
