"""Keep events in SQLite: the sink of the embedded default, where there is no Kafka.

Place: intake.pipeline → HERE → intake.pending. The contract is in sink.base.
Rules: ``path`` is a directory. Each worker claims one database in it by a lock, the first that is free, so that workers
never wait for one another, not even old and new ones during a reload, and the files stay as few as the workers. The
records of a loop turn are one transaction; its acks come after the commit.
Not here: reading them back (commands.events).
"""

# hot path

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
import time
import traceback
from pathlib import Path
from typing import Any, Final

import orjson

from server.errors import BootError
from server.log import Limited
from server.sink import claim
from server.sink.base import OnAck, Record

VERSION: Final = 1
SUFFIX: Final = ".db"

# TEXT, so that SQLite's own shell and JSON functions read it; the cast spares us decoding bytes that are UTF-8 already.
_SCHEMA: Final = """
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
_WAL_KEPT_BYTES: Final = 16 << 20  # A burst may grow the log; after a checkpoint it is cut back to this.

# The disk or another process is in the way, and the event is not: full, locked, read-only (as a disk becomes after an
# error), failing, gone for a moment. A file that is broken or lacks its table stays so.
_CAN_PASS: Final = frozenset(
    {
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_INTERRUPT,
    }
)

_logger = logging.getLogger("sink.sqlite")
_limited = Limited(_logger)

_Row = tuple[int, str, bytes | None, int, bytes, bytes]


class SqliteSink:
    """The contract is in sink.base. ``failed_commits`` and ``callback_failures`` are counts for metrics."""

    def __init__(self, directory: Path, *, max_outstanding: int, max_outstanding_bytes: int) -> None:
        self._directory = directory
        self._max_outstanding = max_outstanding
        self._max_outstanding_bytes = max_outstanding_bytes
        self._rows: list[_Row] = []
        self._acks: list[OnAck] = []
        self._bytes = 0
        self._stored_ns = 0
        self._lock_fd = -1
        self.failed_commits = 0
        self.callback_failures = 0

    async def open(self) -> None:  # cold: once
        """Claim a database and make it ready. A file that a killed worker left is recovered by SQLite itself."""
        self._loop = asyncio.get_running_loop()
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            path, self._lock_fd = claim.first_free(self._directory, "events", SUFFIX)
            self._database = self._connect(path)
        except (OSError, sqlite3.Error) as failed:
            await self.close()
            reason = failed.strerror if isinstance(failed, OSError) else str(failed)
            raise BootError(
                f"sink.sqlite.path: cannot keep events in {self._directory}: {reason}; "
                "name a directory that this user may write, on a disk with room"
            ) from None

    def submit(self, record: Record, on_ack: OnAck) -> str | None:
        """Put the record into this loop turn's transaction."""
        value = record.value
        if self.is_full():
            return "queue_full"
        if not self._rows:
            self._stored_ns = max(self._stored_ns, time.time_ns())  # Never back, whatever the clock does.
            self._loop.call_soon(self._flush)
        headers = orjson.dumps({name: text.decode("utf-8", "replace") for name, text in record.headers})
        self._rows.append((self._stored_ns, record.topic, record.key, record.timestamp_ms, headers, value))
        self._acks.append(on_ack)
        self._bytes += len(value)
        return None

    def is_full(self) -> bool:
        """Everything is written by the end of the loop turn, so one mark is enough: the answer cannot flap."""
        return len(self._rows) >= self._max_outstanding or self._bytes >= self._max_outstanding_bytes

    def outstanding(self) -> int:
        return len(self._acks)

    def recall(self) -> None:
        """Nothing: a loop turn's records are kept together or not at all."""

    def separate(self, topic: str, *, is_keyed: bool) -> bool:
        """Nothing: SQLite weighs each value, never a transaction."""
        return True

    def classify(self, error: Any) -> str:
        """By SQLite's own code; extended ones have the plain one in their low byte. Without one it is not SQLite's."""
        code = getattr(error, "sqlite_errorcode", None)
        if code is None:
            return "internal"
        if code & 0xFF == sqlite3.SQLITE_TOOBIG:
            return "event_too_large"
        return "broker_timeout" if code & 0xFF in _CAN_PASS else "broker_rejected"

    async def drain(self, deadline: float) -> int:  # cold: once
        """Nothing to wait for: what is outstanding is written now, and what its acks submit, too."""
        while self._acks and self._loop.time() < deadline:
            self._flush()
        return len(self._acks)

    async def close(self) -> None:  # cold: once
        """Write what is left, then let another worker have the file."""
        if hasattr(self, "_database"):
            self._flush()
            self._database.close()
        if self._lock_fd >= 0:
            os.close(self._lock_fd)
            self._lock_fd = -1

    def _connect(self, path: Path) -> sqlite3.Connection:
        # timeout=0: nobody else writes this file; if somebody does, the loop must not wait for them.
        database = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=True)
        try:
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = FULL")  # Each commit is on disk before its acks.
            database.execute(f"PRAGMA journal_size_limit = {_WAL_KEPT_BYTES}")
            (version,) = database.execute("PRAGMA user_version").fetchone()
            if version not in (0, VERSION):
                raise sqlite3.DatabaseError(f"{path.name} has layout {version}, this program writes {VERSION}")
            database.execute(_SCHEMA)
            database.execute(f"PRAGMA user_version = {VERSION}")
            last = database.execute("SELECT stored_ns FROM event ORDER BY id DESC LIMIT 1").fetchone()
        except sqlite3.Error:
            database.close()
            raise
        self._stored_ns = last[0] if last else 0
        return database

    def _flush(self) -> None:
        """One transaction for the loop turn, then its acks.

        In the loop, not on a thread: measured on a virtual disk (ext4), a commit of 1–20 rows takes 0.3–0.4 ms (99 %:
        1.3 ms), of 1000 rows 5 ms. A hand-over to a thread and back costs 0.1 ms of both and a second busy thread far
        more; whoever needs more than this disk gives has Kafka.
        """
        rows, self._rows = self._rows, []
        acks, self._acks = self._acks, []
        self._bytes = 0
        if rows:
            self._ack(acks, self._commit(rows))

    def _commit(self, rows: list[_Row]) -> Exception | None:  # cold: logs only what failed
        database = self._database
        try:
            database.execute("BEGIN IMMEDIATE")
            database.executemany(_INSERT, rows)
            database.execute("COMMIT")
        except Exception as failed:  # Not SQLite's alone: a row that cannot be bound, no memory. The acks are owed.
            self.failed_commits += 1
            detail = failed if isinstance(failed, sqlite3.Error) else traceback.format_exc()
            _limited.warning("commit", "%d events cannot be stored in %s: %s", len(rows), self._directory, detail)
            self._roll_back()
            return failed
        return None

    def _roll_back(self) -> None:  # cold: after a failed commit
        if self._database.in_transaction:
            try:
                self._database.execute("ROLLBACK")
            except sqlite3.Error as failed:  # SQLite has rolled back by itself, as it may when the disk fails.
                _limited.warning("rollback", "cannot roll back in %s: %s", self._directory, failed)

    def _ack(self, acks: list[OnAck], error: Exception | None) -> None:  # cold: logs only what raised
        for on_ack in acks:
            try:
                on_ack(error, None)
            except Exception:  # The callback is not ours; the others must be called all the same.
                self.callback_failures += 1
                _limited.warning("callback", "an ack callback failed: %s", traceback.format_exc())
