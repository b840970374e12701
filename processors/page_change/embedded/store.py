"""State, positions and, with an embedded sink, the output, in one SQLite database: one commit holds all of them.

Place: consolidator → HERE; `penstock events` reads the output like that of any embedded sink.
Rules: a commit is on disk when it returns. After a kill the database is as after the last commit, and reading goes on
there. One process holds the database: a lock next to it says so.
Not here: a page as bytes (codec).
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

import msgspec

from processors.page_change.codec import packed, unpacked
from processors.page_change.consolidator import Key
from processors.page_change.page import Page
from processors.page_change.records import Output
from processors.wrong import WrongSettingError
from server.errors import PenstockError, SettingsError
from server.sink.salvage import is_broken, transaction
from server.sink.spool import claim
from server.sink.sqlite.file import SCHEMA, VERSION

NAME: Final = "events-page-change.db"
CACHE_KIB: Final = 16_384
_TABLES: Final = f"""
{SCHEMA};
CREATE TABLE IF NOT EXISTS page (
    wiki TEXT NOT NULL, page_id INTEGER NOT NULL, last_at INTEGER NOT NULL, is_waiting INTEGER NOT NULL,
    page BLOB NOT NULL, PRIMARY KEY (wiki, page_id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS waiting ON page (is_waiting) WHERE is_waiting = 1;
CREATE TABLE IF NOT EXISTS position (
    partition TEXT PRIMARY KEY, position INTEGER NOT NULL, newest INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS watermark (id INTEGER PRIMARY KEY CHECK (id = 1), at INTEGER NOT NULL);
PRAGMA user_version = {VERSION};
"""
_FAULTS: Final = (sqlite3.Error, msgspec.MsgspecError, ValueError)
_EVENT: Final = """
INSERT INTO event (stored_ns, topic, key, timestamp_ms, headers, value)
VALUES (?, ?, ?, ?, '[]', CAST(? AS TEXT))
"""


class Store:
    """The database of one processor."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / NAME
        try:
            directory.mkdir(parents=True, exist_ok=True)
            lock = claim.take(self.path)
        except OSError as error:
            raise WrongSettingError("path", f"{error.filename or directory}: {error.strerror}") from error
        if lock is None:
            raise SettingsError(f"{self.path} is in use by another process")
        self._lock = lock
        try:
            self._database = sqlite3.connect(self.path, isolation_level=None)
        except sqlite3.Error as error:
            os.close(lock)
            raise WrongSettingError("path", f"{self.path}: {error}") from error
        try:
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute("PRAGMA synchronous = FULL")
            # A commit of a replay has some megabytes. What SQLite's own 2 MB do not hold is written twice.
            self._database.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
            (version,) = self._database.execute("PRAGMA user_version").fetchone()
            if version not in (0, VERSION):
                self.close()
                raise WrongSettingError("path", f"{self.path} has layout {version}, this program writes {VERSION}")
            self._database.executescript(_TABLES)
            self._inode = self.path.stat().st_ino
        except sqlite3.Error as error:
            self.close()
            raise self._fault(error) from error

    def positions(self) -> tuple[dict[str, int], dict[str, int], int]:
        """Return the position and the largest time of each partition, and the watermark (-1: none yet)."""
        try:
            rows = self._database.execute("SELECT partition, position, newest FROM position").fetchall()
            found = self._database.execute("SELECT at FROM watermark").fetchone()
        except sqlite3.Error as error:
            raise self._fault(error) from error
        return {row[0]: row[1] for row in rows}, {row[0]: row[2] for row in rows}, found[0] if found else -1

    def waiting(self) -> dict[Key, Page]:
        """Return the pages that have waiting events."""
        try:
            rows = self._database.execute("SELECT wiki, page_id, page FROM page WHERE is_waiting = 1")
            return {(wiki, page_id): unpacked(stored, wiki, page_id) for wiki, page_id, stored in rows}
        except _FAULTS as error:
            raise self._fault(error) from error

    def load(self, key: Key) -> Page | None:
        """Return a page, or None."""
        try:
            row = self._database.execute("SELECT page FROM page WHERE wiki = ? AND page_id = ?", key).fetchone()
            return None if row is None else unpacked(row[0], *key)
        except _FAULTS as error:
            raise self._fault(error) from error

    def commit(
        self,
        pages: Iterable[tuple[Key, Page]],
        outputs: Iterable[tuple[str, Output]],
        positions: Mapping[str, tuple[int, int]],
        watermark: int,
    ) -> None:
        """Store changed pages, outputs with their topics, positions with largest times, and the watermark."""
        # A bytearray, an int and a str are bound as they are. For bytes and bool, Python looks for an adapter first,
        # which takes longer than the copy (measured).
        stored_ns = time.time_ns()
        self._check_place()
        try:
            with transaction(self._database):
                self._database.executemany(
                    "INSERT OR REPLACE INTO page VALUES (?, ?, ?, ?, ?)",
                    (
                        (wiki, page_id, page.state.last_at, 1 if page.pending else 0, bytearray(packed(page)))
                        for (wiki, page_id), page in pages
                    ),
                )
                self._database.executemany(
                    _EVENT,
                    (
                        (stored_ns, topic, one.key and one.key.decode(), one.at, bytearray(one.value))
                        for topic, one in outputs
                    ),
                )
                self._database.executemany(
                    "INSERT OR REPLACE INTO position VALUES (?, ?, ?)",
                    ((partition, *where) for partition, where in positions.items()),
                )
                self._database.execute("INSERT OR REPLACE INTO watermark VALUES (1, ?)", (watermark,))
        except sqlite3.Error as error:
            raise self._fault(error) from error

    def forget_before(self, at: int) -> int:
        """Delete the pages whose last change is older, and that wait for nothing. Returns their number."""
        try:
            return self._database.execute("DELETE FROM page WHERE last_at < ? AND is_waiting = 0", (at,)).rowcount
        except sqlite3.Error as error:
            raise self._fault(error) from error

    def forget_wiki(self, wiki: str) -> int:
        """Forget what is known of every page of a wiki. Returns their number. Events that wait go on waiting."""
        waiting = {key: page for key, page in self.waiting().items() if key[0] == wiki}
        try:
            with transaction(self._database):
                found = self._database.execute("DELETE FROM page WHERE wiki = ?", (wiki,)).rowcount
                self._database.executemany(
                    "INSERT INTO page VALUES (?, ?, ?, 1, ?)",
                    ((*key, -1, packed(Page(None, page.pending))) for key, page in waiting.items()),
                )
        except sqlite3.Error as error:
            raise self._fault(error) from error
        return found

    def sizes(self) -> tuple[int, int]:
        """Return the number of pages, and the bytes of their states."""
        found = self._database.execute("SELECT count(*), coalesce(sum(length(page)), 0) FROM page").fetchone()
        return found[0], found[1]

    def _check_place(self) -> None:
        """Raise if the file was deleted or replaced: a commit would go where the next run does not look."""
        try:
            is_there = self.path.stat().st_ino == self._inode
        except FileNotFoundError:
            is_there = False
        if not is_there:
            raise PenstockError(f"{self.path} was deleted or replaced while it was in use: nothing more is committed")

    def _fault(self, error: Exception) -> PenstockError:
        is_damaged = not isinstance(error, sqlite3.Error) or is_broken(error)
        if not is_damaged:
            return PenstockError(f"{self.path} cannot be used: {error}; what was not committed is read again")
        return PenstockError(
            f"{self.path} is damaged: {error}; move its directory away, and the next run reads the inputs from their "
            "beginning and writes the same bytes"
        )

    def close(self) -> None:
        """Release the database."""
        self._database.close()
        os.close(self._lock)
