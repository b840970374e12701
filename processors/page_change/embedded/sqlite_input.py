"""Read the inputs from the embedded sink of an intake.

Place: server.sink.sqlite's files → HERE → embedded.run.
Rules: each database is a partition, in the order of its rows. A position is that of the next row, as in Kafka, so that
streams which were read up to different positions know which rows each has had. A database is opened read-only and for
short times, so that the writer's log does not grow. A file that appears later is a new partition.
Not here: writing (embedded.store).
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Final
from urllib.parse import quote

from processors.page_change.embedded.inputs import Batch, Read
from processors.page_change.embedded.store import NAME
from server.errors import PenstockError
from server.sink.sqlite.file import STEM, SUFFIX

ROWS: Final = 1_000
BUSY_S: Final = 5.0
PAUSE_S: Final = 0.1
_PAGE: Final = "SELECT id, topic, timestamp_ms, value FROM event WHERE id >= ? ORDER BY id LIMIT ?"


class SqliteInput:
    """The databases of one directory."""

    def __init__(self, directory: Path, topics: frozenset[str], positions: Mapping[str, int]) -> None:
        self._directory = directory
        self._topics = {topic.encode(): topic for topic in topics}
        self._positions = dict(positions)
        self._ended: set[str] = set()

    def partitions(self) -> list[str]:
        """Return the names of the databases that are there."""
        return sorted(path.name for path in self._directory.glob(f"{STEM}-*{SUFFIX}") if path.name != NAME)

    def read(self, least_ahead: str | None) -> list[Batch]:
        """Read on in the database that lags most; in all of them, after a pause, if all were at their ends."""
        partitions = self.partitions()
        if least_ahead is not None:
            return [self._page(least_ahead)]
        if self._ended.issuperset(partitions):
            time.sleep(PAUSE_S)
        return [self._page(partition) for partition in partitions]

    def close(self) -> None:
        """Nothing is open."""

    def _page(self, name: str) -> Batch:
        now = time.time_ns() // 1_000_000
        position = self._positions.get(name, 0)
        uri = f"file:{quote(str(self._directory / name))}?mode=ro"
        try:
            with closing(sqlite3.connect(uri, uri=True, timeout=BUSY_S)) as database:
                database.text_factory = bytes
                rows = database.execute(_PAGE, (position, ROWS)).fetchall()
        except sqlite3.DatabaseError as error:
            if "no such table" not in str(error):
                raise PenstockError(f"{self._directory / name} cannot be read: {error}") from error
            rows = []
        topics = self._topics
        records = [Read(value, at, row, topics[topic]) for row, topic, at, value in rows if topic in topics]
        if rows:
            position = self._positions[name] = rows[-1][0] + 1
        is_end = len(rows) < ROWS
        (self._ended.add if is_end else self._ended.discard)(name)
        return Batch(name, records, position, now if is_end else None)
