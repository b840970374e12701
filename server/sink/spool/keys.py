"""Which keys have events in a spool, for all workers of the host: a small shared map next to each database.

Place: sink.spool.spool → HERE; intake.delivery checks it before it sends a live event.
Rules: the hash of a key selects a cell, which counts the events that wait. If two keys share a cell, the second one
only goes through the spool as well: order is kept, room is bounded. A map has one writer, the worker that holds the
database's lock; the others only read. Its blocks are allocated when it is made: a full disk must not end a worker with
SIGBUS.
Events of a key wait for older ones in another map: for its ``front``, the number of the oldest event there, or, if
their topic is paused there (sink.spool.replay), for the oldest event of that topic, which is listed. With too high a
number they would overtake; with too low a number two workers would wait for each other as long as a topic is paused.
Not here: the events themselves (sink.spool.file).
"""

from __future__ import annotations

import logging
import mmap
import os
import zlib
from array import array
from collections.abc import Mapping
from pathlib import Path
from typing import Final

SUFFIX: Final = ".keys"
_CELLS: Final = 1 << 18  # 1 MiB per worker. Beyond some 200,000 waiting keys, most other keys wait with them.
_HEAD_BYTES: Final = 4096
_BYTES: Final = _HEAD_BYTES + 4 * _CELLS
_PENDING, _FRONT, _NEWEST, _RESTING, _TOPICS = range(5)
MAX_RESTING: Final = (_HEAD_BYTES // 8 - _TOPICS) // 2
NONE: Final = 1 << 62  # Higher than all numbers of events.

_logger = logging.getLogger("sink.spool")


def cell_of(topic: str, key: bytes) -> int:
    """Return the cell of a key. It is the same in every process, unlike Python's own hash."""
    return zlib.crc32(key, _hash(topic)) % _CELLS


def _hash(topic: str) -> int:
    return zlib.crc32(topic.encode("utf-8", "replace"))


class KeyTable:
    """One map. ``pending`` is the number of events in its spool. ``front`` is 0 if there are none, NONE if all topics
    are paused."""

    def __init__(self, memory: mmap.mmap, inode: int = 0) -> None:
        self.inode = inode
        self._view = memoryview(memory)
        self._head = self._view[:_HEAD_BYTES].cast("q")
        self._cells = self._view[_HEAD_BYTES:].cast("I")

    @classmethod
    def make(cls, path: Path) -> KeyTable:
        """Make the map of the database at ``path``; without room for the file it is private to this process."""
        try:
            fd = os.open(path.with_suffix(SUFFIX), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as failed:
            return cls._own(path, failed)
        try:
            os.posix_fallocate(fd, 0, _BYTES)
            return cls(mmap.mmap(fd, _BYTES), os.fstat(fd).st_ino)
        except OSError as failed:
            return cls._own(path, failed)
        finally:
            os.close(fd)

    @classmethod
    def _own(cls, path: Path, failed: OSError) -> KeyTable:
        _logger.warning("no room for %s (%s): other workers do not see its keys", path.with_suffix(SUFFIX), failed)
        return cls(mmap.mmap(-1, _BYTES))

    @classmethod
    def see(cls, path: Path) -> KeyTable | None:
        """Open another worker's map to read it; None while it is being made."""
        try:
            with path.open("rb") as file:
                status = os.fstat(file.fileno())
                if status.st_size < _BYTES:
                    return None
                return cls(mmap.mmap(file.fileno(), _BYTES, prot=mmap.PROT_READ), status.st_ino)
        except OSError:
            return None

    def set(self, cells: dict[int, int], count: int, first: int, last: int) -> None:
        """Set the contents of the database: events of each cell, all events, the first and last number. Until then the
        map holds the values that a killed worker left, so that no event overtakes its events meanwhile."""
        whole = array("I", bytes(4 * _CELLS))
        for cell, events in cells.items():
            whole[cell] = events
        self._cells[:] = memoryview(whole)
        self._head[_FRONT], self._head[_PENDING], self._head[_RESTING] = (first if count else 0), count, 0
        self._head[_NEWEST] = last

    @property
    def pending(self) -> int:
        return self._head[_PENDING]

    @property
    def newest(self) -> int:
        """The highest number of any event that was added."""
        return self._head[_NEWEST]

    @property
    def front(self) -> int:
        return self._head[_FRONT]

    @front.setter
    def front(self, number: int) -> None:
        self._head[_FRONT] = number

    def rest(self, topics: Mapping[str, int]) -> None:
        """Set the paused topics, at most MAX_RESTING, with the numbers of their oldest events. No number is too high
        meanwhile: the front is lowered to include topics whose pause ends, until it is set again."""
        self._head[_FRONT] = min(self._head[_FRONT] or NONE, *self._listed().values(), NONE)
        self._head[_RESTING] = 0
        for at, (topic, number) in enumerate(topics.items()):
            self._head[_TOPICS + 2 * at] = _hash(topic)
            self._head[_TOPICS + 2 * at + 1] = number
        self._head[_RESTING] = len(topics)

    def _listed(self) -> dict[int, int]:
        listed = self._head[_TOPICS : _TOPICS + 2 * self._head[_RESTING]].tolist()
        return dict(zip(listed[::2], listed[1::2], strict=True))

    def add(self, topic: str, key: bytes | None, number: int) -> None:
        """Count an event in."""
        if key is not None:
            self._cells[cell_of(topic, key)] += 1
        self._head[_PENDING] += 1
        front = self._head[_FRONT]
        if front == 0 or number < front:
            self._head[_FRONT] = number
        self._head[_NEWEST] = max(number, self._head[_NEWEST])

    def remove(self, topic: str, key: bytes | None) -> None:
        """Count an event out."""
        if key is not None:
            self._cells[cell_of(topic, key)] -= 1
        self._head[_PENDING] -= 1
        if self._head[_PENDING] == 0:
            self._head[_FRONT] = 0

    def holds(self, cell: int) -> bool:
        """Whether events of keys in this cell wait."""
        return self._cells[cell] > 0

    def holds_older(self, cell: int, topic: str, number: int) -> bool:
        """Whether one of the cell's events may be older than ``number``."""
        front = self._head[_FRONT]
        if self._head[_RESTING]:
            front = self._listed().get(_hash(topic), front)
        return 0 < front < number and self.holds(cell)


class Elders:
    """All maps of a directory: this worker's own, and the others that ``look`` found last."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._others: dict[str, KeyTable] = {}
        self.own: dict[str, KeyTable] = {}

    def look(self) -> None:
        """Open maps that are new, and drop those that are gone."""
        found: dict[str, KeyTable] = {}
        for path in self._directory.glob(f"*{SUFFIX}"):
            if path.name in self.own:
                continue
            table = self._others.get(path.name)
            if table is None or table.inode != _inode(path):
                table = KeyTable.see(path)
            if table is not None:
                found[path.name] = table
        self._others = found

    def pending(self) -> int:
        """Return the number of events that wait on this host, as far as is known."""
        return sum(table.pending for tables in (self.own, self._others) for table in tables.values())

    def newest(self) -> int:
        """Return the highest number on this host; numbers of new events must be higher, whatever the clock says."""
        return max((table.newest for tables in (self.own, self._others) for table in tables.values()), default=0)

    def front(self) -> int:
        """Return the number of the oldest event that waits on this host; 0 if none does."""
        fronts = [table.front for tables in (self.own, self._others) for table in tables.values() if table.front]
        return min(fronts, default=0)

    def holds(self, topic: str, key: bytes) -> bool:
        """Whether an older event of this key may wait: a live one must not overtake it."""
        cell = cell_of(topic, key)
        return any(table.holds(cell) for tables in (self.own, self._others) for table in tables.values())

    def is_older_elsewhere(self, table: KeyTable, topic: str, key: bytes | None, number: int) -> bool:
        """Whether another map holds this key with events that may be older than ``number``."""
        if key is None:
            return False
        cell = cell_of(topic, key)
        for tables in (self.own, self._others):
            for other in tables.values():
                if other is not table and other.holds_older(cell, topic, number):
                    return True
        return False


def _inode(path: Path) -> int:
    try:
        return path.stat().st_ino
    except OSError:
        return -1
