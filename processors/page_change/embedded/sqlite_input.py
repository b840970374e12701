"""Read the inputs from the embedded sink of an intake.

Place: server.sink.sqlite's files → HERE → embedded.run.
Rules: each database is a partition, in the order of its rows. A position is that of the next row, as in Kafka, so that
streams which were read up to different positions know which rows each has had. A database is opened read-only and for
short times, so that the writer's log does not grow. A file that appears later is a new partition, and so is one in the
place of another: it has another identity (``application_id``), which its rows were read with.
Not here: writing (embedded.store).
"""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import quote

from processors.page_change.embedded.inputs import Batch, Read, is_successor, named, position_in, shown
from processors.page_change.embedded.store import NAME
from server.errors import PenstockError
from server.sink.sqlite.file import STEM, SUFFIX

ROWS: Final = 1_000
BUSY_S: Final = 5.0
PAUSE_S: Final = 0.1
_PAGE: Final = "SELECT id, topic, timestamp_ms, value FROM event WHERE id >= ? ORDER BY id LIMIT ?"

log = logging.getLogger("page_change")


class SqliteInput:
    """The databases of one directory. ``has_identities``: a database in the place of another is another partition."""

    def __init__(
        self, directory: Path, topics: frozenset[str], positions: Mapping[str, int], *, has_identities: bool
    ) -> None:
        self._directory = directory
        self._topics = {topic.encode(): topic for topic in topics}
        self._positions = dict(positions)
        self._ended: set[str] = set()
        self._has_identities = has_identities
        self._named: dict[str, str] = {}

    def partitions(self) -> list[str]:
        """Return the names of the databases that are there."""
        return [self._named.get(file) or self._name(file) for file in self._files()]

    def read(self, least_ahead: str | None) -> list[Batch]:
        """Read on in the database that lags most; in all of them, after a pause, if all were at their ends."""
        if least_ahead is not None:
            return [self._page(shown(least_ahead))]
        if self._ended.issuperset(self.partitions()):
            time.sleep(PAUSE_S)
        return [self._page(file) for file in self._files()]

    def close(self) -> None:
        """Nothing is open."""

    def _files(self) -> list[str]:
        return sorted(path.name for path in self._directory.glob(f"{STEM}-*{SUFFIX}") if path.name != NAME)

    def _name(self, file: str) -> str:
        with self._open(file) as database:
            return self._identified(file, database)

    def _identified(self, file: str, database: sqlite3.Connection) -> str:
        """Return the name of the partition that a file is now."""
        identity = database.execute("PRAGMA application_id").fetchone()[0] if self._has_identities else 0
        name = named(file, f"{identity:08x}" if identity else "")
        if name != self._named.get(file):
            self._named[file] = name
            if is_successor(name, self._positions):
                log.warning("%s is another database than before: it is read from its beginning", self._directory / file)
            self._positions[name] = position_in(name, self._positions)
        return name

    def _page(self, file: str) -> Batch:
        now = time.time_ns() // 1_000_000
        with self._open(file) as database:
            name = self._identified(file, database)
            position = self._positions[name]
            try:
                rows = database.execute(_PAGE, (position, ROWS)).fetchall()
            except sqlite3.OperationalError as error:
                if "no such table" not in str(error):
                    raise
                rows = []
        topics = self._topics
        records = [Read(value, at, row, topics[topic]) for row, topic, at, value in rows if topic in topics]
        if rows:
            position = self._positions[name] = rows[-1][0] + 1
        is_end = len(rows) < ROWS
        (self._ended.add if is_end else self._ended.discard)(name)
        return Batch(name, records, position, now if is_end else None)

    @contextmanager
    def _open(self, file: str) -> Iterator[sqlite3.Connection]:
        """Open a database for a moment. Raises PenstockError."""
        path = self._directory / file
        try:
            with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, timeout=BUSY_S)) as database:
                database.text_factory = bytes
                yield database
        except sqlite3.DatabaseError as error:
            raise PenstockError(f"{path} cannot be read: {error}") from error
