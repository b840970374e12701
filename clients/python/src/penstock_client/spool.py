"""Keep events on a local disk until the intake has them, so that a killed process loses none.

Every client has a SQLite database of its own in the directory, so that processes never wait for each other's writes. A
lock on a file says that the owner lives; the kernel releases it when the process ends, however it ends. The same file
names the address of the intake: files without an owner are adopted by any other client that uses the directory for this
address, or for any if the file is empty. Events keep their bytes and ids on this way. Only the user can read them.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from penstock_client.errors import SpoolError
from penstock_client.identity import new_id

if TYPE_CHECKING:
    from penstock_client.outcomes import Ticket

ADOPT_AT_ONCE: Final = 1000
MAX_URL_BYTES: Final = 8192
ROW_BYTES: Final = 200  # Of a row beside its body: id, stream, address, B-tree.

_held: set[str] = set()  # Lock files of this process: such a lock keeps out other processes alone.
_held_lock = threading.Lock()
_abandoned: list[sqlite3.Connection] = []  # Of a parent process: SQLite forbids even to close them after a fork.

# What a repetition may mend: SQLITE_BUSY, _LOCKED, _NOMEM, _FULL. The database itself is sound.
_PASSING: Final = frozenset({5, 6, 7, 13})

_TABLE: Final = (
    "CREATE TABLE IF NOT EXISTS events (row INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL, stream TEXT NOT NULL,"
    " url TEXT NOT NULL, hasty INTEGER NOT NULL, unix_ms INTEGER NOT NULL, body BLOB NOT NULL)"
)
_INSERT: Final = "INSERT INTO events (id, stream, url, hasty, unix_ms, body) VALUES (?, ?, ?, ?, ?, ?)"
_INSERT_AS: Final = (
    "INSERT OR IGNORE INTO events (row, id, stream, url, hasty, unix_ms, body) VALUES (?, ?, ?, ?, ?, ?, ?)"
)
_COLUMNS: Final = "row, id, stream, url, hasty, unix_ms, body"


def _after_fork_in_child() -> None:
    global _held_lock  # noqa: PLW0603 - a thread of the parent may have held it
    _held_lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)


class Stored(NamedTuple):
    """One event on disk."""

    id: str
    stream: str
    url: str
    is_hasty: bool
    unix_s: float
    body: bytes


class Spool:
    """One client's database. ``unloaded`` counts rows whose events are not in memory. ``is_lost``: its file was removed
    or is broken, so that nothing survives the process until ``renew`` succeeds."""

    def __init__(self, directory: str | os.PathLike[str], max_bytes: int, url: str) -> None:
        """Make the directory and the database. Events for ``url`` are stored without an address: whoever sends them
        uses its own. Raises SpoolError."""
        self.unloaded = 0
        self.is_lost = False
        self.problems: list[str] = []  # To be logged.
        self._passed: set[Path] = set()  # Files of others that this client leaves alone.
        self._max_bytes = max_bytes
        self._url = url
        self._bytes = 0
        self._loaded = 0  # Rows up to this one are in memory, or were.
        self._forgotten: list[tuple[int]] = []
        self._orphan: tuple[Path, int, sqlite3.Connection] | None = None
        self._directory = Path(directory).absolute()
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._path, self._lock = self._new_lock()
            os.pwrite(self._lock, url.encode(), 0)
            self._file = self._path.with_suffix(".sqlite")
            self._database = _connect(self._file)
        except (OSError, sqlite3.Error, ImportError) as error:
            raise SpoolError(f"the spool {directory} cannot be used: {error}") from error

    def is_full(self, size: int) -> bool:
        """Whether an event of so many bytes has no room."""
        return self._bytes + size + ROW_BYTES > self._max_bytes

    def put(self, ticket: Ticket, unix_ns: int, *, is_loaded: bool) -> str | None:
        """Write an event; it survives the end of the process when this returns None. Otherwise return what failed."""
        if self.has_vanished():
            return f"{self._file} was removed"
        try:
            ticket.row = self._database.execute(_INSERT, self._values(ticket, unix_ns)).lastrowid or 0
        except sqlite3.Error as error:
            self.is_lost = getattr(error, "sqlite_errorcode", 0) & 0xFF not in _PASSING
            return str(error)
        self._bytes += len(ticket.body or b"") + ROW_BYTES
        if is_loaded:
            self._loaded = ticket.row
        else:
            self.unloaded += 1
        return None

    def forget(self, ticket: Ticket) -> None:
        """Delete an event with the next ``commit``."""
        self._forgotten.append((abs(ticket.row),))
        self._bytes -= len(ticket.body or b"") + ROW_BYTES
        ticket.row = 0

    def has_vanished(self) -> bool:
        """Whether the file was removed: SQLite goes on writing to it without a word."""
        self.is_lost = self.is_lost or not os.path.exists(self._file)
        return self.is_lost

    def renew(self, tickets: Iterable[Ticket], unix_ns: int) -> bool:
        """Begin another file in the place of a lost one: with the events that are in memory, all of which ``tickets``
        are, and those of the old file that are not, as far as it can be read. Rows keep their numbers. Say whether the
        directory allows it."""
        try:
            path, lock = self._new_lock()
        except OSError:
            return False
        new: sqlite3.Connection | None = None
        stored = [ticket for ticket in tickets if ticket.row]
        try:
            os.pwrite(lock, self._url.encode(), 0)
            new = _connect(path.with_suffix(".sqlite"))
            new.execute("BEGIN")
            self._copy_unloaded(new, stored)
            new.executemany(_INSERT_AS, [(abs(one.row), *self._values(one, unix_ns)) for one in stored])
            new.execute("COMMIT")
        except (OSError, sqlite3.Error):
            if new is not None:
                new.close()
            _remove(path)
            _unlock(path, lock)
            return False
        for ticket in stored:
            ticket.row = abs(ticket.row)
        self._database.close()
        self._passed.add(self._path)
        _unlock(self._path, self._lock)
        self._path, self._lock, self._file, self._database = path, lock, path.with_suffix(".sqlite"), new
        self.is_lost = False
        return True

    def _copy_unloaded(self, new: sqlite3.Connection, stored: Iterable[Ticket]) -> None:
        query = f"SELECT {_COLUMNS} FROM events WHERE row > ?"
        try:
            rows = self._database.execute(query, (self._loaded,)).fetchall()
        except sqlite3.Error as error:
            self.unloaded = 0
            self._bytes = sum(len(ticket.body or b"") + ROW_BYTES for ticket in stored)
            self._pass(self._path, error)
        else:
            new.executemany(_INSERT_AS, rows)

    def _values(self, ticket: Ticket, unix_ns: int) -> tuple[str, str, str, bool, int, bytes]:
        lane = ticket.lane
        assert lane is not None and ticket.body is not None
        address = "" if lane.url == self._url else lane.url
        return ticket.id, ticket.stream, address, lane.is_hasty, unix_ns // 1_000_000, ticket.body

    def commit(self) -> None:
        """Delete what is to be forgotten, in one transaction. What fails is sent again by a later process."""
        if not self._forgotten:
            return
        try:
            self._database.execute("BEGIN")
            self._database.executemany("DELETE FROM events WHERE row = ?", self._forgotten)
            self._database.execute("COMMIT")
        except sqlite3.Error:
            if self._database.in_transaction:
                self._database.rollback()
            return
        self._forgotten.clear()

    def load(self, limit: int) -> list[tuple[int, Stored]]:
        """Return the next events that are not in memory."""
        query = f"SELECT {_COLUMNS} FROM events WHERE row > ? ORDER BY row LIMIT ?"
        try:
            rows = self._database.execute(query, (self._loaded, limit)).fetchall()
        except sqlite3.Error:  # Damaged meanwhile: what is in it cannot be had by this process.
            self.unloaded = 0
            return []
        self.unloaded = self.unloaded - len(rows) if len(rows) == limit else 0
        if rows:
            self._loaded = rows[-1][0]
        return [
            (row, Stored(one, stream, url, bool(hasty), ms / 1000, body))
            for row, one, stream, url, hasty, ms, body in rows
        ]

    def adopt(self) -> bool:
        """Take over some events of a client that is gone; say whether there may be more."""
        if self.is_lost:
            return False
        if self._orphan is None:
            self._orphan = self._find_orphan()
            if self._orphan is None:
                return False
        path, lock, database = self._orphan
        try:
            query = f"SELECT {_COLUMNS} FROM events ORDER BY row LIMIT ?"
            rows = database.execute(query, (ADOPT_AT_ONCE,)).fetchall()
        except sqlite3.Error as error:
            self._pass(path, error)
            self._let_go(path, lock, database, is_empty=False)
            return True
        size = sum(len(row[-1]) + ROW_BYTES for row in rows)
        if rows and self._bytes + size > self._max_bytes:
            self._let_go(path, lock, database, is_empty=False)
            return False
        if not rows:
            self._let_go(path, lock, database, is_empty=True)
            return True
        try:
            self._database.execute("BEGIN")
            self._database.executemany(_INSERT, [row[1:] for row in rows])
            self._database.execute("COMMIT")
            # Killed here, both files have these events: they are sent twice, with the same ids.
            database.execute("DELETE FROM events WHERE row <= ?", (rows[-1][0],))
        except sqlite3.Error:
            if self._database.in_transaction:
                self._database.rollback()
            self._let_go(path, lock, database, is_empty=False)
            return False
        self._bytes += size
        self.unloaded += len(rows)
        return True

    def close(self) -> None:
        """Close the database, and remove it if it is empty. Otherwise the next client adopts it."""
        self.commit()
        if self._orphan is not None:
            self._let_go(*self._orphan, is_empty=False)
        try:
            is_empty = self._database.execute("SELECT 1 FROM events LIMIT 1").fetchone() is None
        except sqlite3.Error:  # Damaged meanwhile: it stays for a person to look at.
            is_empty = False
        self._let_go(self._path, self._lock, self._database, is_empty=is_empty)

    def abandon(self) -> None:
        """Forget the parent's database in the child of a fork: the parent goes on using it."""
        for path, lock, database in (
            (self._path, self._lock, self._database),
            *([self._orphan] if self._orphan else []),
        ):
            _abandoned.append(database)
            os.close(lock)  # The locks of the parent are not this process's: they stay.
            _held.discard(str(path))

    def _new_lock(self) -> tuple[Path, int]:
        while True:
            path = self._directory / f"{new_id()}.lock"
            lock = _try_lock(path, os.O_CREAT)
            if lock is not None:
                return path, lock

    def _find_orphan(self) -> tuple[Path, int, sqlite3.Connection] | None:
        for path in sorted(self._directory.glob("*.lock")):
            lock = _try_lock(path, 0) if path not in self._passed else None
            if lock is None:
                continue
            url = os.pread(lock, MAX_URL_BYTES, 0).decode("utf-8", "replace").strip()
            try:
                if url in ("", self._url):
                    return path, lock, _connect(path.with_suffix(".sqlite"))
                self._passed.add(path)
                self.problems.append(f"{path} holds events for {url}: a client of that address sends them")
            except sqlite3.Error as error:
                self._pass(path, error)
            _unlock(path, lock)
        return None

    def _pass(self, path: Path, error: sqlite3.Error) -> None:
        """Leave a damaged file for a person to look at, and say so once."""
        self._passed.add(path)
        self.problems.append(f"{path.with_suffix('.sqlite')} cannot be read ({error}); it stays where it is")

    def _let_go(self, path: Path, lock: int, database: sqlite3.Connection, *, is_empty: bool) -> None:
        if self._orphan is not None and self._orphan[0] == path:
            self._orphan = None
        database.close()
        if is_empty:
            _remove(path)
        _unlock(path, lock)


def _remove(path: Path) -> None:
    for suffix in (".sqlite", ".sqlite-wal", ".sqlite-shm", ".lock"):  # The lock last: it guards the others.
        path.with_suffix(suffix).unlink(missing_ok=True)


def _connect(path: Path) -> sqlite3.Connection:
    # The client's lock guards the connection, whatever thread uses it.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))  # SQLite would let everyone read it.
    database = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5.0)
    database.execute("PRAGMA journal_mode=WAL")
    # A commit is in the kernel's hands, not on the platter: a killed process loses nothing, a power cut the last ones.
    database.execute("PRAGMA synchronous=NORMAL")
    database.execute(_TABLE)
    return database


def _try_lock(path: Path, flags: int) -> int | None:
    import fcntl

    with _held_lock:
        if str(path) in _held:
            return None
        try:
            lock = os.open(path, os.O_RDWR | os.O_CLOEXEC | flags, 0o600)
        except OSError:  # Of another user's, or removed meanwhile.
            if flags & os.O_CREAT:
                raise
            return None
        try:
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(lock).st_ino != path.stat().st_ino:
                raise FileNotFoundError(path)
        except OSError:  # Another process has it, or had it and removed the file meanwhile.
            os.close(lock)
            return None
        _held.add(str(path))
        return lock


def _unlock(path: Path, lock: int) -> None:
    with _held_lock:
        _held.discard(str(path))
        os.close(lock)
