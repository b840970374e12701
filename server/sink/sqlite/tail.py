"""Read the newest events in the databases of the embedded sink.

Place: sink.sqlite.kind → HERE, in another process than the writers.
Rules: the contract is sink.watch.Tail. Files are opened read-only and for short times. There is no index by topic, so
the newest rows of all topics are read, at most ``ROWS`` at once: a busy topic may hide a quiet one for a while.
Not here: printing events (sink.sqlite.reader), finding one (sink.sqlite.watch).
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Final
from urllib.parse import quote

from server.sink.sqlite.file import STEM, SUFFIX
from server.sink.watch import TAIL_BYTES, Stored, WatchError

ROWS: Final = 5_000
BUSY_S: Final = 1.0

_NO_TABLE: Final = "no such table"  # The file exists, but its worker has not made the table yet.
_NEWEST: Final = "SELECT id, topic, value, timestamp_ms FROM event WHERE id > ? ORDER BY id DESC LIMIT ?"
_LAST: Final = "SELECT coalesce(max(id), 0) FROM event"


class SqliteTail:
    """The contract is sink.watch.Tail."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._left_bytes = 0
        self._after: dict[str, tuple[int, int]] = {}  # By file: its inode, and the last id that was read.

    def take(self, topics: Sequence[str], most: int, within_s: float) -> dict[str, list[Stored]]:
        until, wanted = time.monotonic() + within_s, set(topics)
        found: dict[str, list[Stored]] = {}
        self._left_bytes = TAIL_BYTES
        for path in sorted(self._directory.glob(f"{STEM}-*{SUFFIX}")):
            if time.monotonic() >= until:
                break
            for _, topic, value, timestamp_ms in self._rows(path, min(ROWS, most * len(wanted))):
                if topic in wanted and len(of_topic := found.setdefault(topic, [])) < most:
                    of_topic.append(Stored(value.encode() if isinstance(value, str) else bytes(value), timestamp_ms))
        for of_topic in found.values():
            of_topic.reverse()
        return found

    def close(self) -> None:
        """Nothing is held open."""

    def _rows(self, path: Path, most: int) -> list[tuple[int, str, str | bytes, int]]:
        """Return the newest rows of a file that were not returned before, the newest first."""
        try:
            inode = path.stat().st_ino
            with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, timeout=BUSY_S)) as database:
                last: int = database.execute(_LAST).fetchone()[0]
                before, after = self._after.get(path.name, (inode, 0))
                if before != inode or last < after:
                    after = 0  # Another file by the name of the one before.
                self._after[path.name] = (inode, last)
                rows = []
                for row in database.execute(_NEWEST, (after, most)):
                    self._left_bytes -= len(row[2])
                    if self._left_bytes < 0:
                        break
                    rows.append(row)
                return rows
        except FileNotFoundError:
            return []
        except sqlite3.Error as failed:
            if _NO_TABLE in str(failed):
                return []
            raise WatchError(f"{path.name} cannot be read: {failed}") from None
