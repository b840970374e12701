"""One database of the spool, as the worker that holds it writes it: events that wait for the broker.

Place: sink.spool.store → HERE, on the spool's thread; every call may wait for the disk.
Rules: a commit is on disk when it returns (WAL, ``synchronous = FULL``). The id of a row is its sequence number: ids
rise in the order of commits and are never used twice. The replay reads and deletes rows through a connection of its own
(sink.spool.reader), possibly in another process. A damaged file is renamed with a date, its readable rows are copied
into a new one, and the service continues.
Not here: threads, limits and keys (sink.spool.spool, sink.spool.keys), reading a damaged file (sink.salvage).
"""

from __future__ import annotations

import errno
import logging
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any, Final

from server.sink import leaves
from server.sink.salvage import MOST_ID, ROWS_AT_ONCE, Salvage, files_of, is_broken, set_aside, transaction
from server.sink.spool import bulk
from server.sink.spool.event import COLUMNS, KINDS, Row, checksum_of, converted, is_whole, sound
from server.sink.spool.keys import NONE

VERSION: Final = 2
SUFFIX: Final = ".db"

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS event (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    number INTEGER NOT NULL,
    topic BLOB NOT NULL,
    key BLOB,
    timestamp_ms INTEGER NOT NULL,
    headers BLOB NOT NULL,
    value BLOB NOT NULL,
    stream BLOB NOT NULL,
    checksum INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS in_order ON event (topic, number);
CREATE TABLE IF NOT EXISTS aside (
    id INTEGER PRIMARY KEY, number, topic, key, timestamp_ms, headers, value, stream, checksum,
    reason TEXT NOT NULL
);
"""
_CONVERT: Final = f"""
INSERT INTO event ({COLUMNS})
SELECT seq, id, topic, key, timestamp_ms, headers, value, stream,
    checksum(seq, id, topic, key, timestamp_ms, headers, value, stream)
FROM (
    SELECT row_number() OVER (ORDER BY id) AS seq, id, CAST(topic AS BLOB) AS topic, key, timestamp_ms, headers, value,
        CAST(stream AS BLOB) AS stream
    FROM event_1
)
ORDER BY seq
"""
_SCHEMA_1: Final = """
CREATE TABLE event (
    id INTEGER PRIMARY KEY, topic TEXT NOT NULL, key BLOB, timestamp_ms INTEGER NOT NULL, headers BLOB NOT NULL,
    value BLOB NOT NULL, stream TEXT NOT NULL
)
"""
_COLUMNS_1: Final = "id, topic, key, timestamp_ms, headers, value, stream"
_KINDS_1: Final = (int, bytes, (bytes, type(None)), int, bytes, bytes, bytes)
_ANY_KINDS: Final = (object,) * len(KINDS)  # Rows with parts of other types are counted as damaged.
_MAX_WAL_BYTES: Final = 16 << 20  # A burst may grow the log; after a checkpoint it is cut back to this.
_BUSY_S: Final = 5.0  # The replay deletes a batch in milliseconds.

_logger = logging.getLogger("sink.spool")


class SpoolFile:
    """One database of the spool. This process must hold the lock of ``path`` (sink.spool.claim). ``damaged`` counts
    rows that were lost to damage, ``broken`` files that were set aside, ``broken_held`` the events that these held."""

    def __init__(
        self,
        path: Path,
        is_gone: Callable[[int, bytes], bool] = lambda *_: False,
        held: Callable[[], int] = lambda: 0,
    ) -> None:
        """``is_gone`` says whether the event with this id and topic had been deleted: pages that are not used any more
        may still hold it. ``held`` is how many events the file holds, 0 if that is not known."""
        self.path = path
        self._is_gone = is_gone
        self._held = held
        self.damaged = 0
        self.broken = 0
        self.broken_held = 0
        self._database: sqlite3.Connection | None = None
        self._inodes: tuple[int, int] = 0, 0

    def open(self) -> None:
        """Open the database. Raises sqlite3.Error or OSError if that fails for now: no room, no permission."""
        self.close()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._connect()
        except sqlite3.Error as failed:
            if not is_broken(failed):
                raise
            self.replace(failed)

    def replace(self, why: Exception) -> None:
        """Set a broken file aside, begin a new one, and copy the readable rows of the old one."""
        held = self._held()
        with suppress(sqlite3.Error):
            self._save_log()
        self.close()
        aside = set_aside(self.path)
        self._connect()
        damaged = self.damaged
        count = self._recover(aside)
        if not count and (count := self._recover_old(aside)):
            self.damaged = damaged  # They were read as rows of this layout.
        held = max(held, count)
        self.broken += 1
        self.broken_held += held
        text = "the spool %s was broken (%s): kept as %s, %d of %d events recovered"
        _logger.error(text, self.path, why, aside, count, held)

    def _recover(self, aside: Path) -> int:
        """Copy the whole rows of a file that was set aside: those that SQLite reads, then those that only their pages
        give, unless they had been deleted."""
        found: set[int] = set()
        for rows in Salvage(aside, SCHEMA, COLUMNS, _ANY_KINDS, text_factory=bytes).batches():
            whole = [row for row in rows if is_whole(row)]
            self.damaged += len(rows) - len(whole)
            self.append([sound(row) for row in whole])
            found.update(row[0] for row in whole)
        for rows in _pages_of(aside, KINDS):
            unread = [row for row in rows if row[0] not in found and is_whole(row)]
            kept = [sound(row) for row in unread if not self._is_gone(row[0], row[2])]
            self.append(kept)
            found.update(row[0] for row in kept)
        return len(found)

    def _recover_old(self, aside: Path) -> int:
        """Copy the readable rows of a file of layout 1. It had no checksums."""
        salvage = Salvage(aside, _SCHEMA_1, _COLUMNS_1, _KINDS_1, text_factory=bytes)
        return self._convert(salvage.batches()) or self._convert(_pages_of(aside, _KINDS_1))

    def _convert(self, batches: Iterable[list[tuple[Any, ...]]]) -> int:
        count = 0
        for rows in batches:
            last = last_id(self._ready())
            self.append([converted(last + at, row) for at, row in enumerate(rows, 1)])
            count += len(rows)
        return count

    def append(self, rows: Sequence[Row]) -> None:
        """Store these rows, all or none."""
        database = self._ready()
        with transaction(database):
            bulk.insert(database, rows)

    def skip_to(self, seq: int) -> None:
        """Make sure that no later row has an id up to ``seq``. This is a small write: it raises what any write to this
        disk would raise, and so tells whether the disk works."""
        database = self._ready()
        with transaction(database):
            last = max(seq, last_id(database))
            if database.execute("UPDATE sqlite_sequence SET seq = ? WHERE name = 'event'", (last,)).rowcount == 0:
                database.execute("INSERT INTO sqlite_sequence VALUES ('event', ?)", (last,))

    def contents(self) -> Iterator[tuple[int, object, object, object, object]]:
        """Yield (id, number, topic, key, bytes) of every row, as they are: damaged ones have parts of any type."""
        yield from self._ready().execute(
            "SELECT id, number, topic, key, length(value) + length(headers) + length(stream) + ifnull(length(key), 0) "
            "+ length(topic) FROM event NOT INDEXED ORDER BY id"
        )

    def last(self) -> int:
        """Return the highest id that any row has had; 0 if there was none."""
        return last_id(self._ready())

    def check(self) -> None:
        """Reopen the database if a file of it was deleted or replaced: SQLite would go on writing into the deleted
        file. The events of a deleted log are saved into the database first; those of a deleted database are lost."""
        if self._database is None or inodes_of(self.path) == self._inodes:
            return
        if not self._save_log():
            _logger.error("the spool %s is gone: it was deleted or replaced, with its events", self.path)
        self.open()

    def _save_log(self) -> bool:
        """Save the events of a log that was deleted, if it was. Returns whether the database is still there."""
        if self._database is None:
            return True
        database, log = inodes_of(self.path)
        if database == self._inodes[0] and log != self._inodes[1]:
            _logger.error("the log of the spool %s was deleted while it was open: its events are saved", self.path)
            self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return database == self._inodes[0]

    def close(self) -> None:
        """Close the database. Everything that was committed is on disk."""
        if self._database is not None:
            database, self._database = self._database, None
            database.close()

    def remove(self) -> None:
        """Close the database and delete its files, the lock last. It must be empty."""
        self.close()
        for path in (*files_of(self.path), self.path.with_suffix(".lock")):
            path.unlink(missing_ok=True)

    def _ready(self) -> sqlite3.Connection:
        """Return the connection; reopen it after a failure, or if a file was moved away."""
        self.check()
        if self._database is None:
            self.open()
        assert self._database is not None
        return self._database

    def _connect(self) -> None:
        database = connect(self.path)
        try:
            database.execute("PRAGMA journal_mode = WAL")
            database.execute(f"PRAGMA journal_size_limit = {_MAX_WAL_BYTES}")
            _bring_up_to_date(database)
            # The whole file is checked now, because damage that only the replay finds would hold up the replay. So is
            # the index: an event that it lacks would be delivered behind younger ones of its key.
            (verdict,) = database.execute("PRAGMA integrity_check(1)").fetchone()
            if verdict not in ("ok", b"ok"):
                raise sqlite3.DatabaseError(verdict)
            database.execute(f"SELECT {COLUMNS} FROM event LIMIT 0")  # The names are in the file, too.
        except BaseException:
            database.close()
            raise
        self._database = database
        self._inodes = inodes_of(self.path)


def inodes_of(path: Path) -> tuple[int, int]:
    """Return the inodes of a database and its log; 0 for one that is not there."""
    found = []
    for file in files_of(path)[:2]:
        try:
            found.append(file.stat().st_ino)
        except FileNotFoundError:
            found.append(0)
    return found[0], found[1]


def connect(path: Path) -> sqlite3.Connection:
    """Connect to a database of the spool. Texts are read as bytes, because damaged ones may not be UTF-8. The
    connection may be used by another thread than the one that opened it."""
    if path.is_dir():  # SQLite would not say which file it is that cannot be opened.
        raise IsADirectoryError(errno.EISDIR, "a directory is in place of the database", str(path))
    database = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
    database.text_factory = bytes
    try:
        database.execute("PRAGMA synchronous = FULL")
    except BaseException:
        database.close()  # Else it stays open until the garbage collector runs: 50 times a second on a full disk.
        raise
    return database


def last_id(database: sqlite3.Connection) -> int:
    """Return the highest id that any row has had; 0 if there was none. A damaged one raises sqlite3.DatabaseError."""
    (last,) = database.execute("SELECT max(seq) FROM sqlite_sequence WHERE name = 'event'").fetchone()
    if last is None:
        return 0
    if not isinstance(last, int) or not 0 <= last < NONE:
        raise sqlite3.DatabaseError("its highest id is none")
    return last


def _bring_up_to_date(database: sqlite3.Connection) -> None:
    """Make the tables, or convert those of layout 1, where the id of a row was the number of its event."""
    (version,) = database.execute("PRAGMA user_version").fetchone()
    if version not in (0, 1, VERSION):
        raise sqlite3.DatabaseError(f"it has layout {version}, this program writes {VERSION}")
    if version == VERSION:
        return
    with transaction(database):
        if version == 1:
            database.execute("ALTER TABLE event RENAME TO event_1")
        for statement in SCHEMA.split(";")[:-1]:
            database.execute(statement)
        if version == 1:
            database.create_function("checksum", 8, lambda *columns: checksum_of(columns), deterministic=True)
            database.execute(_CONVERT)
            database.execute("DROP TABLE event_1")
        database.execute(f"PRAGMA user_version = {VERSION}")


def _pages_of(path: Path, kinds: Sequence[Any]) -> Iterator[list[tuple[Any, ...]]]:
    """Yield the rows of these kinds on any leaf page of a file, some at a time."""
    try:
        rows = leaves.rows_between(path, 0, MOST_ID, kinds)
        while some := list(islice(rows, ROWS_AT_ONCE)):
            yield some
    except OSError as failed:
        _logger.warning("the pages of %s cannot be read one by one: %s", path, failed)
