"""One database of the spool with its map of keys, its lock, and the count and size of its events.

Place: sink.spool.spool → HERE → sink.spool.file, sink.spool.keys.
Rule: reads and writes of the database run on the spool's thread; changes of the map and the counts run on the loop.
Not here: which databases there are (sink.spool.spool).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from server.sink.spool.file import SpoolFile
from server.sink.spool.keys import MAX_RESTING, KeyTable, cell_of

ROW_BYTES: Final = 64  # About as many bytes as SQLite adds to a row.


class Census:
    """The contents of a database when it was opened."""

    def __init__(self) -> None:
        self.cells: dict[int, int] = {}
        self.count = self.size = self.first = self.last = 0


class Store:
    """One database with its map of keys and its lock. ``count`` rows and ``size`` bytes of it are on disk."""

    def __init__(self, path: Path, lock_fd: int) -> None:
        self.file = SpoolFile(path)
        self.keys = KeyTable.make(path)
        self.lock_fd = lock_fd
        self.count = 0
        self.size = 0
        self.last = 0
        self.is_loaded = False
        self.resting: dict[str, tuple[float, int]] = {}  # By topic: until when, from which event on.

    def census(self) -> Census:
        """Open the database and count its rows. It runs on the thread, so it must not touch the map."""
        self.file.open()
        found = Census()
        for number, topic, key, size in self.file.contents():
            if key is not None:
                cell = cell_of(topic, key)
                found.cells[cell] = found.cells.get(cell, 0) + 1
            found.count += 1
            found.size += size + len(key or b"") + len(topic) + ROW_BYTES
            found.first = found.first or number
            found.last = number
        return found

    def load(self, found: Census) -> None:
        """Take over the counts of ``census``. It runs on the loop."""
        self.keys.set(found.cells, found.count, found.first, found.last)
        self.count, self.size, self.last = found.count, found.size, found.last
        self.is_loaded = True

    def rest(self, topic: str, until: float, number: int) -> bool:
        """Pause a topic, whose oldest event is ``number``. Returns False if too many topics are paused."""
        if topic not in self.resting and len(self.resting) >= MAX_RESTING:
            return False
        _, before = self.resting.get(topic, (until, number))
        self.resting[topic] = until, min(number, before)
        self._tell()
        return True

    def wake(self, now: float) -> None:
        """Un-pause topics whose pause has expired."""
        resting = {topic: one for topic, one in self.resting.items() if one[0] > now}
        if len(resting) < len(self.resting):
            self.resting = resting
            self._tell()

    def lower(self, topic: str, number: int) -> None:
        """Note that an event was put which may be the oldest of a paused topic."""
        if topic in self.resting:
            self.rest(topic, self.resting[topic][0], number)

    def _tell(self) -> None:
        self.keys.rest({topic: number for topic, (_, number) in self.resting.items()})

    def release(self) -> None:
        """Release the lock, so that another process can claim the database."""
        os.close(self.lock_fd)
