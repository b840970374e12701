"""Keep what was learned of each stream in a database, so that a restart does not begin to learn again.

Place: plausibility.watcher → HERE, on the loop of the admin process: writing 500 streams takes some 10 ms every
five minutes.
Rules: one process at a time holds the lock, and only it reads and writes. A row that cannot be read is logged, and
its stream is learned again; a damaged database is set aside. Rows of streams that are gone are deleted.
Not here: the form of a model (plausibility.model).
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct, field

from server.plausibility.alarms import Alarm
from server.plausibility.causes import Causes, Change
from server.plausibility.model import StreamModel, decode, encode
from server.plausibility.versions import Key
from server.sink.spool.claim import Lock

FILE: Final = "learned.db"
_SCHEMA: Final = (
    "CREATE TABLE IF NOT EXISTS stream (name TEXT PRIMARY KEY, model BLOB NOT NULL) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS schema_seen (uri TEXT PRIMARY KEY, minute INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS version (stream TEXT, uri TEXT, model BLOB NOT NULL, PRIMARY KEY (stream, uri))",
    "CREATE TABLE IF NOT EXISTS change (id INTEGER PRIMARY KEY, minute INTEGER NOT NULL, text TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS alarm (id INTEGER PRIMARY KEY, text BLOB NOT NULL)",
)
_DAMAGED: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_log = logging.getLogger("plausibility")


class Learned(Struct):
    """Everything that is kept: models by stream and by version, alarms, and what may have caused them."""

    models: dict[str, StreamModel] = field(default_factory=dict)
    alarms: Sequence[Alarm] = ()
    versions: dict[Key, StreamModel] = field(default_factory=dict)
    causes: Causes = field(default_factory=Causes)


class LearnedState:
    """The database in a directory, while this process holds its lock."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / FILE
        self._lock = Lock(self._path)

    def take(self) -> bool:
        """Take the lock if no other process has it. Returns whether this process holds it. Raises OSError."""
        return self._lock.take()

    def release(self) -> None:
        """Let another process have the database."""
        self._lock.release()

    def read(self) -> Learned:
        """Return what is stored. Raises OSError or sqlite3.Error: it may be read later."""
        try:
            return self._read()
        except sqlite3.DatabaseError as bad:
            if bad.sqlite_errorcode & 0xFF not in _DAMAGED:
                raise
            self._path.replace(self._path.with_suffix(".damaged"))
            for suffix in ("-wal", "-shm", "-journal"):
                self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)
            _log.warning("%s is damaged and was set aside; streams are learned again: %s", self._path, bad)
            return Learned()

    def _read(self) -> Learned:
        found = Learned()
        with closing(self._open()) as database:
            for name, text in database.execute("SELECT name, model FROM stream"):
                if (model := _model(name, text)) is not None:
                    found.models[name] = model
            for stream, uri, text in database.execute("SELECT stream, uri, model FROM version"):
                if (model := _model(f"{stream} {uri}", text)) is not None:
                    found.versions[stream, uri] = model
            seen = dict(database.execute("SELECT uri, minute FROM schema_seen"))
            changes = [Change(*row) for row in database.execute("SELECT minute, text FROM change ORDER BY id")]
            texts = [text for (text,) in database.execute("SELECT text FROM alarm")]
        found.causes = Causes(seen, changes)
        try:
            found.alarms = [msgspec.msgpack.decode(text, type=Alarm) for text in texts]
        except msgspec.DecodeError as bad:
            _log.warning("the alarms in %s cannot be read: %s", self._path, bad)
        return found

    def write(self, learned: Learned) -> None:
        """Replace everything, in one transaction. Raises sqlite3.Error."""
        tables: dict[str, list[tuple[object, ...]]] = {
            "stream (name, model)": [(name, encode(model)) for name, model in learned.models.items()],
            "version (stream, uri, model)": [(*key, encode(model)) for key, model in learned.versions.items()],
            "schema_seen (uri, minute)": [(uri, minute) for uri, minute in learned.causes.schemas.items()],
            "change (minute, text)": [(one.minute, one.text) for one in learned.causes.changes],
            "alarm (text)": [(msgspec.msgpack.encode(alarm),) for alarm in learned.alarms],
        }
        with closing(self._open()) as database, database:
            for table, rows in tables.items():
                database.execute(f"DELETE FROM {table.partition(' ')[0]}")
                database.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * (table.count(',') + 1))})", rows)

    def _open(self) -> sqlite3.Connection:
        database = sqlite3.connect(self._path, timeout=1.0)
        try:
            for statement in _SCHEMA:
                database.execute(statement)
        except sqlite3.Error:
            database.close()
            raise
        return database


def _model(name: str, text: bytes) -> StreamModel | None:
    """Return a stored model, or None if it cannot be read."""
    try:
        return decode(text)
    except (ValueError, TypeError) as bad:
        _log.warning("what was learned of stream %s cannot be read and is learned again: %s", name, bad)
        return None
