"""Find one event again in the databases of the embedded sink.

Place: sink.sqlite.kind → HERE, in another process than the writers.
Rules: the contract is sink.watch.Watch. Files are opened read-only and for short times. A database that appears after
the mark is read from its beginning.
Not here: printing events (sink.sqlite.reader).
"""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Final
from urllib.parse import quote

from server.sink.sqlite.file import STEM, SUFFIX
from server.sink.watch import Found, Mark, Sought, WatchError

LOOK_S: Final = 0.05
BUSY_S: Final = 1.0

_NO_TABLE: Final = "no such table"  # The file exists, but its worker has not made the table yet.
_FIND: Final = "SELECT id, timestamp_ms FROM event WHERE id > ? AND topic = ? AND instr(value, ?) > 0 LIMIT 1"


class SqliteWatch:
    """The contract is sink.watch.Watch. Any topic exists."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def mark(self, topic: str, within_s: float) -> Mark:
        if not self._directory.is_dir():
            raise WatchError(f"the directory {self._directory} does not exist")
        ends = {}
        for path in self._files():
            row = self._ask(path, "SELECT coalesce(max(id), 0) FROM event", (), within_s)
            ends[path.name] = row[0] if row is not None else 0
        return Mark(topic, ends)

    def find(self, mark: Mark, needle: bytes, within_s: float) -> Sought:
        until = time.monotonic() + within_s
        while True:
            for path in self._files():
                after = mark.ends.get(path.name, 0)
                row = self._ask(path, _FIND, (after, mark.topic, needle), max(LOOK_S, until - time.monotonic()))
                if row is not None:
                    return Sought(Found(path.stem, row[0], row[1]), is_at_end=True)
            if time.monotonic() >= until:
                return Sought(is_at_end=True)
            time.sleep(min(LOOK_S, max(0.0, until - time.monotonic())))

    def close(self) -> None:
        """Nothing is held open."""

    def _files(self) -> list[Path]:
        return sorted(path for path in self._directory.glob(f"{STEM}-*{SUFFIX}") if path.is_file())

    def _ask(self, path: Path, query: str, values: tuple[object, ...], within_s: float) -> tuple[int, ...] | None:
        """Return the first row, or None when there is none."""
        uri = f"file:{quote(str(path))}?mode=ro"
        try:
            with closing(sqlite3.connect(uri, uri=True, timeout=min(BUSY_S, within_s))) as database:
                row: tuple[int, ...] | None = database.execute(query, values).fetchone()
                return row
        except sqlite3.Error as failed:
            if _NO_TABLE in str(failed):
                return None
            raise WatchError(f"{path.name} cannot be read: {failed}") from None
