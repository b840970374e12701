"""The database that a worker writes to, with its map of keys and its lock.

Place: sink.spool.spool, and sink.spool.backlog for databases that no worker holds → HERE → sink.spool.file,
sink.spool.keys.
Rule: reads and writes of the database run on a thread, and so does ``census``; changes of the map run on the loop.
Not here: which databases there are (sink.spool.spool).
"""

from __future__ import annotations

import logging
import os
import sqlite3
from pathlib import Path

import msgspec

from server.sink.salvage import is_broken
from server.sink.spool import claim
from server.sink.spool.event import ROW_BYTES, name_of
from server.sink.spool.file import SpoolFile
from server.sink.spool.keys import KeyMap, Mark, cells_of, is_likely, slot_of

_logger = logging.getLogger("sink.spool")


class Census(msgspec.Struct):
    """The contents of a database when it was opened. ``cells``: the highest id of each cell's keys."""

    cells: dict[int, int]
    count: int = 0
    size: int = 0
    last: int = 0
    newest: int = 0


class Store:
    """One database with its map and its lock."""

    def __init__(self, path: Path, lock_fd: int, cells: int = 0) -> None:
        """``cells`` is the size of the map (sink.spool.keys); 0: as it is."""
        self.path = path
        self.file = SpoolFile(path, self._is_gone, self._on_disk)
        self.keys = KeyMap.make(path, cells)
        self.lock_fd = lock_fd
        self.is_loaded = False

    def census(self) -> Census:
        """Open the database and count its rows. It runs on the thread, so it must not touch the map. Damage that
        opening has not shown is found here."""
        self.file.open()
        try:
            return self._count()
        except sqlite3.Error as failed:
            if not is_broken(failed):
                raise
            self.file.replace(failed)
            return self._count()

    def _count(self) -> Census:
        found = Census({}, last=self.file.last())
        for seq, number, topic, key, size in self.file.contents():
            if not (isinstance(number, int) and is_likely(number) and isinstance(size, int) and seq <= found.last):
                continue  # It is damaged: the replay sets it aside.
            if isinstance(key, bytes):
                for cell in cells_of(name_of(topic), key):
                    found.cells[cell] = seq
            found.count += 1
            found.size += size + ROW_BYTES
            found.newest = max(found.newest, number)
        return found

    def load(self, found: Census) -> None:
        """Take over what ``census`` has found. It runs on the loop."""
        self.keys.fill(found.cells, found.last, found.newest)
        self.is_loaded = True

    def _is_gone(self, seq: int, topic: bytes) -> bool:
        """Whether an event that was read from a damaged file had been deleted before, as far as the map tells."""
        return self.keys.is_likely(seq) and seq <= self.keys.done(slot_of(name_of(topic)))

    def _on_disk(self) -> int:
        """Return how many events the database holds, as far as the map tells."""
        return max(0, self.keys.pending() - self.keys[Mark.WAITING])

    def share_keys(self) -> None:
        """Make the map's file if there was no room for it, or if it was deleted. It runs on the loop, and copies 16 MiB
        of memory."""
        made = KeyMap.make(self.path, self.keys.count)
        if not made.is_private:
            made.copy(self.keys)
            self.keys = made

    def hold(self) -> None:
        """Take the lock again if its file was deleted: other processes do not see a lock without a name. Raises OSError
        if that fails. It runs on the thread."""
        if claim.is_held(self.lock_fd, self.path):
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        taken = claim.take(self.path)
        if taken is None:
            raise OSError(f"the lock of {self.path} was deleted, and another process has it now")
        os.close(self.lock_fd)
        self.lock_fd = taken
        _logger.warning("the lock of the spool %s was deleted: it is taken again", self.path)

    def release(self) -> None:
        """Release the lock, so that another process can claim the database."""
        os.close(self.lock_fd)
