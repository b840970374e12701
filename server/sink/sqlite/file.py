"""The database of one worker in the directory of the embedded sink: claim it, write to it, check that it still exists.

Place: sink.sqlite → HERE (``commit``, on the loop), sink.sqlite.upkeep → HERE (the rest, on its thread).
Rules: each worker claims one database by a lock, the first that is free, so that workers never wait for one another. A
commit is on disk when it returns. It never waits for a lock. A damaged file is set aside; a file that was deleted or
replaced is closed. A database has a random identity (``application_id``), by which readers tell it from another one
that takes its place under its name.
Not here: when this is done (sink.sqlite.upkeep), what can be read of a damaged file (sink.sqlite.recovery).
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import sqlite3
import sys
from pathlib import Path
from typing import Final

from server.sink.salvage import files_of, is_broken, set_aside, transaction
from server.sink.spool import claim

VERSION: Final = 1
STEM: Final = "events"
SUFFIX: Final = ".db"

# The type is TEXT, so that SQLite's own shell and JSON functions read it. The cast saves decoding bytes that are UTF-8
# already.
SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS event (
    id INTEGER PRIMARY KEY,
    stored_ns INTEGER NOT NULL,
    topic TEXT NOT NULL,
    key TEXT,
    timestamp_ms INTEGER NOT NULL,
    headers TEXT NOT NULL,
    value TEXT NOT NULL
)
"""
_INSERT: Final = """
INSERT INTO event (stored_ns, topic, key, timestamp_ms, headers, value)
VALUES (?, ?, CAST(? AS TEXT), ?, CAST(? AS TEXT), CAST(? AS TEXT))
"""
_MAX_WAL_BYTES: Final = 16 << 20  # A burst may grow the log; after a checkpoint it is cut back to this.
_INDEX_BYTES: Final = 48
_LOG_HEAD_BYTES: Final = 32
_FRAME_HEAD_BYTES: Final = 24
_MAGIC: Final = b"SQLite format 3\x00"  # https://www.sqlite.org/fileformat.html, section 1.3

Row = tuple[int, str, bytes | None, int, bytes, bytes]

_logger = logging.getLogger("sink.sqlite")


class GoneError(Exception):
    """The database, its log or its lock is no longer in its place: it was deleted or replaced."""


class OtherLayoutError(Exception):
    """The database was written by another version of this program."""


class EventFile:
    """The database of one worker. ``damaged`` and ``gone`` are counts for metrics: of files that were set aside, and
    that were deleted or replaced."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lock_fd = -1
        self._head_fd = -1
        self._inodes: list[int] = []
        self._watched: list[Path] = []
        self._shm_fd = -1
        self._bytes = 0  # Of the database: at least so many are there.
        self._abandoned: list[sqlite3.Connection] = []
        self.database: sqlite3.Connection | None = None
        self.path = directory
        self.last_stored_ns = 0
        self.damaged = 0
        self.gone = 0

    def open(self) -> None:
        """Claim a database and open it; SQLite itself recovers one that a killed worker left. Raises OSError,
        sqlite3.Error or OtherLayoutError."""
        self._let_go()
        if self._lock_fd < 0 or not self._holds_lock():
            self._unlock()
            self._directory.mkdir(parents=True, exist_ok=True)
            self.path, self._lock_fd = claim.first_free(self._directory, STEM, SUFFIX)
        try:
            self._connect()
        except sqlite3.Error as failed:
            if not is_broken(failed):
                raise
            self.set_aside(failed)
            self._connect()

    def set_aside(self, why: Exception) -> None:
        """Rename a damaged file; ``open`` makes a new one."""
        self._let_go()
        aside = set_aside(self.path)
        self.damaged += 1
        _logger.error(
            "the database %s is damaged (%s): it is kept as %s, and events go into a new one", self.path, why, aside
        )

    def check(self) -> None:
        """Raise when a file is gone, or has been cut. Takes microseconds: it is asked before each commit."""
        for path, inode in zip(self._watched, self._inodes, strict=True):
            if _inode(path) != inode:
                raise GoneError(f"{path} was deleted, replaced or made inaccessible")
        if self._shm_fd < 0:
            return
        database, log = (path.stat().st_size for path in self._watched[:2])
        for path, size, least in zip(self._watched, (database, log), (self._bytes, self._log_bytes()), strict=False):
            if size < least:
                raise sqlite3.DatabaseError(f"{path.name} was cut: it has {size} bytes of at least {least}")
        self._bytes = database  # SQLite only shrinks a database during a vacuum.

    def _log_bytes(self) -> int:
        """Return the least length of the log, by its index: https://www.sqlite.org/walformat.html, sections 1.1 and
        2.1."""
        index = os.pread(self._shm_fd, _INDEX_BYTES, 0)
        frames = int.from_bytes(index[16:20], sys.byteorder)
        page_bytes = int.from_bytes(index[14:16], sys.byteorder)
        return (
            _LOG_HEAD_BYTES + frames * (_FRAME_HEAD_BYTES + (65536 if page_bytes == 1 else page_bytes)) if frames else 0
        )

    def check_head(self) -> None:
        """Raise sqlite3.DatabaseError if the file does not begin like a database. SQLite has the first page in memory
        and does not check it."""
        if self._head_fd >= 0 and os.pread(self._head_fd, len(_MAGIC), 0) not in (_MAGIC, b""):
            raise sqlite3.DatabaseError("its header is overwritten")

    def commit(self, rows: list[Row]) -> None:
        """Store these rows, all or none. Raises sqlite3.Error, GoneError, or an exception of binding a row."""
        self.check()
        assert self.database is not None
        with transaction(self.database):
            self.database.executemany(_INSERT, rows)

    def try_to_write(self) -> None:
        """Commit a page that says nothing new. Raises as ``commit``: for a lock, and for a disk without room."""
        self.check()
        assert self.database is not None
        with transaction(self.database):
            self.database.execute(f"PRAGMA user_version = {VERSION}")

    def commit_each(self, rows: list[Row]) -> list[Exception | None]:
        """Store these rows in one transaction, except those that cannot be bound. Returns the outcome of each row."""
        assert self.database is not None
        outcomes: list[Exception | None] = []
        with transaction(self.database):
            for row in rows:
                try:
                    self.database.execute(_INSERT, row)
                    outcomes.append(None)
                except (sqlite3.Error, OverflowError, ValueError, TypeError) as failed:
                    if not self.database.in_transaction:  # The transaction failed for another reason than this row.
                        raise
                    outcomes.append(failed)
        return outcomes

    def close(self) -> None:
        """Release the database to other workers. Everything that was committed is on disk."""
        self._let_go()
        self._unlock()

    def _connect(self) -> None:
        # timeout=0: the loop must not wait for whoever locks this file. It is opened on a thread and used on the loop.
        if self.path.exists() and not self.path.stat().st_size:
            _logger.warning("the database %s is empty: any events that it held are lost", self.path)
        database = sqlite3.connect(self.path, timeout=0, isolation_level=None, check_same_thread=False)
        try:
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = FULL")  # Each commit is on disk before its acks.
            database.execute(f"PRAGMA journal_size_limit = {_MAX_WAL_BYTES}")
            (version,) = database.execute("PRAGMA user_version").fetchone()
            if version not in (0, VERSION):
                raise OtherLayoutError(f"{self.path.name} has layout {version}, this program writes {VERSION}")
            database.execute(SCHEMA)
            if not version:  # Writing it again would need a lock that a backup may hold.
                database.execute(f"PRAGMA user_version = {VERSION}")
            _identify(database)
            last = database.execute("SELECT stored_ns FROM event ORDER BY id DESC LIMIT 1").fetchone()
            self._watched = [*files_of(self.path), self.path.with_suffix(".lock")]
            self._inodes = [_inode(path) for path in self._watched]
            self._bytes = 0
            # Closed after the database: closing any descriptor of it drops the locks that SQLite holds (POSIX).
            self._head_fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
            self._shm_fd = os.open(self._watched[2], os.O_RDONLY | os.O_CLOEXEC)
        except BaseException:
            database.close()
            raise
        self.database = database
        if last and isinstance(last[0], int):
            self.last_stored_ns = max(self.last_stored_ns, last[0])

    def _let_go(self) -> None:
        """Close the connection, unless the log is not ours: the last connection deletes the log by its name."""
        database, self.database = self.database, None
        if database is None:
            return
        path, log = files_of(self.path)[:2]
        if _inode(log) != self._inodes[1]:
            if _inode(log) and (_inode(path) != self._inodes[0] or _size(log)):
                self._abandoned.append(database)  # Until this process ends, as its descriptor.
                self._head_fd = self._shm_fd = -1
                return
            _empty_log(database)
        database.close()
        os.close(self._head_fd)
        os.close(self._shm_fd)
        self._head_fd = self._shm_fd = -1

    def _holds_lock(self) -> bool:
        return _inode(self.path.with_suffix(".lock")) == os.fstat(self._lock_fd).st_ino

    def _unlock(self) -> None:
        if self._lock_fd >= 0:
            os.close(self._lock_fd)
            self._lock_fd = -1


def _identify(database: sqlite3.Connection) -> None:
    """Give a database an identity that has none. One of an older version gets it once it can be written at its
    opening."""
    (identity,) = database.execute("PRAGMA application_id").fetchone()
    if not identity:
        with contextlib.suppress(sqlite3.OperationalError):  # A backup may hold a lock.
            database.execute(f"PRAGMA application_id = {1 + secrets.randbelow(0x7FFF_FFFF)}")


def _empty_log(database: sqlite3.Connection) -> None:
    """Save the events of a deleted log into its database, because closing a connection does that only if it is the last
    one. A reader may have made an empty file in the place of the log; it holds nothing."""
    try:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    except sqlite3.Error as failed:
        _logger.error("the events of a deleted log cannot be saved into its database: %s", failed)


def _size(path: Path) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0


def _inode(path: Path) -> int:
    """Return the file's inode; 0 if it does not exist or cannot be read."""
    try:
        return os.stat(path).st_ino
    except OSError:
        return 0
