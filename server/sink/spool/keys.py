"""Tell all processes of the host which keys have events in a spool, by a small shared map next to each database.

Place: sink.spool.spool and sink.spool.backlog → HERE; intake.delivery asks before it sends a live event.
Rules:
1. Every number has one writer. The worker that holds the database writes what it puts in: the hash of a key selects
   PROBES cells, each of which holds the sequence number of the newest event of any key that selects it.
2. The replay, which runs in one process of the host, writes how far it has come: the horizon, up to which it has seen
   all events, and a slot for each topic that still has events, up to which those of the topic are gone.
3. A key waits while all of its cells are above the number of its topic. Keys that select the same cells, and topics
   that share a slot, may wait for each other without need; none is let through too early.
4. A reader reads the horizon before the slot, and the replay writes the slot before the horizon.
5. The blocks of the file are allocated when it is made, because writing to a map on a full disk ends the process with
   SIGBUS.
Not here: the events themselves (sink.spool.file), their order (sink.spool.lane).
"""

from __future__ import annotations

import logging
import mmap
import os
import sys
import time
import zlib
from enum import IntEnum
from hashlib import blake2b
from pathlib import Path
from typing import Final

SUFFIX: Final = ".map"
# 16 MiB per worker for a spool of 1 GiB. With 150,000 waiting keys one in 140 other keys waits with them, with 500,000
# one in eight. With a quarter of the cells, 150,000 keys made one in five wait.
MOST_CELL_BITS: Final = 21
MOST_CELLS: Final = 1 << MOST_CELL_BITS
LEAST_CELLS: Final = 1 << 19  # 4 MiB.
BYTES_PER_CELL: Final = 512  # Of the spool's limit.
PROBES: Final = 3
LAYOUT: Final = 1  # 0: maps of versions up to 1.0, and those that are being made.
_CHUNK: Final = 4096
_NO_CELLS: Final = bytes(8 * _CHUNK)
_SLOTS: Final = 1024
_HEAD: Final = 64
_AHEAD_US: Final = 86_400_000_000
_GRAIN_NS: Final = 2_000_000_000  # Of the times of a directory: 4 ms on most file systems, 2 s at worst.
NONE: Final = 1 << 62  # Higher than all numbers of events.
_WAITS: Final = NONE.to_bytes(8, sys.byteorder)

_logger = logging.getLogger("sink.spool")


class Mark(IntEnum):
    """The numbers at the head of a map. The first group is written by the worker that holds the database, the second
    by the replay."""

    NEWEST = 0  # The highest number of any event that was put.
    LAST = 1  # The sequence number of the last event that was put;
    COMMITTED = 2  # of the last one on disk;
    VOID = 3  # None between COMMITTED and this will ever be on disk.
    WAITING = 4  # Events on their way to the disk,
    LOWEST = 5  # and the lowest number of these; 0: there are none.
    DOUBT_UNTIL_NS = 6  # Until this instant (monotonic clock) the worker may still put older events: its sink has them.
    IS_AWAY = 7  # The worker's sink has no contact with a broker.
    ACKED = 8  # Events of live requests that brokers have acked to this worker.
    SINCE = 9  # The number of the event that was put when none waited.
    LAYOUT = 10  # LAYOUT, once the map has been made. The cells of a key differ between layouts.

    HORIZON = 32  # The replay has seen all events up to this sequence number;
    REMAINING = 33  # so many of them are left,
    REMAINING_BYTES = 34
    FRONT = 35  # and the oldest has this number; 0: none is left.
    ASIDE = 36  # Events that are set aside.
    CATCH_UP_MS = 37  # An estimate of the time until the whole spool is empty.
    BROKEN = 38  # How often the replay has found the file damaged: the worker that holds it replaces it then.
    SHEDS = 39  # Hasty events of keys that wait are to be refused (sink.spool.shedding).


def is_likely(number: int) -> bool:
    """Whether an event can have this number, which is a time in microseconds: a damaged one must not become the number
    that all later events have to exceed. Clocks that are a day ahead are believed."""
    return 0 <= number < time.time_ns() // 1000 + _AHEAD_US


def cells_for(max_bytes: int) -> int:
    """Return how many cells the map of a spool of ``max_bytes`` has."""
    wanted = max_bytes // BYTES_PER_CELL
    return min(max(1 << (wanted - 1).bit_length(), LEAST_CELLS), MOST_CELLS)


def cells_of(topic: str, key: bytes) -> tuple[int, int, int]:
    """Return the cells of a key in the largest map; a smaller one has the lower bits. They are the same in every
    process, unlike Python's own hash. CRC-32 would not do: it is linear, and similar keys share cells."""
    salt = zlib.crc32(topic.encode("utf-8", "replace")).to_bytes(4, "little")
    whole = int.from_bytes(blake2b(key, digest_size=8, salt=salt).digest(), "little")
    mask = MOST_CELLS - 1
    return whole & mask, whole >> MOST_CELL_BITS & mask, whole >> 2 * MOST_CELL_BITS & mask


def slot_of(topic: str) -> int:
    """Return the slot of a topic."""
    return zlib.crc32(topic.encode("utf-8", "replace")) % _SLOTS


class KeyMap:
    """One map of ``count`` cells. ``is_private``: there was no room for its file, so other processes do not see it."""

    def __init__(self, memory: mmap.mmap, inode: int = 0) -> None:
        self.inode = inode
        self.count = _cells_in(len(memory))
        self._mask = self.count - 1
        self.is_private = inode == 0
        view = memoryview(memory).cast("q")
        self._head = view[:_HEAD]
        self._slots = view[_HEAD : _HEAD + _SLOTS]
        self._cells = view[_HEAD + _SLOTS :]

    @classmethod
    def make(cls, path: Path, count: int = 0) -> KeyMap:
        """Open the map of the database at ``path``, or make one of ``count`` cells; 0: as many as there are, or the
        least. Without room for the file it is private. In place of a map of another size comes one in which every key
        waits, until ``fill``."""
        place = path.with_suffix(SUFFIX)
        there = place.stat().st_size if place.exists() else 0
        size = _bytes_of(count or _cells_in(there) or LEAST_CELLS)
        try:
            if there not in (0, size):
                place.unlink()  # Cutting it would end the processes that have it open with SIGBUS.
            fd = os.open(place, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as failed:
            return cls._private(place, size, failed)
        try:
            os.posix_fallocate(fd, 0, size)
            made = cls(mmap.mmap(fd, size), os.fstat(fd).st_ino)
        except OSError as failed:
            return cls._private(place, size, failed)
        finally:
            os.close(fd)
        if there != size or made[Mark.LAYOUT] != LAYOUT:
            if there:
                made._cells[:] = memoryview(_WAITS * made.count).cast("q")
            made[Mark.LAYOUT] = LAYOUT
        return made

    @classmethod
    def _private(cls, place: Path, size: int, failed: OSError) -> KeyMap:
        _logger.warning("no room for %s (%s): other workers do not see the keys of this spool", place, failed)
        made = cls(mmap.mmap(-1, size))
        made[Mark.LAYOUT] = LAYOUT
        return made

    @classmethod
    def see(cls, path: Path, *, is_written: bool = False) -> KeyMap | None:
        """Open the map of a database, to read it or as the replay (``is_written``); None while it is being made."""
        try:
            with path.with_suffix(SUFFIX).open("r+b" if is_written else "rb") as file:
                status = os.fstat(file.fileno())
                if not _cells_in(status.st_size):
                    return None
                access = mmap.PROT_READ | (mmap.PROT_WRITE if is_written else 0)
                return cls(mmap.mmap(file.fileno(), status.st_size, prot=access), status.st_ino)
        except OSError:
            return None

    def __getitem__(self, mark: Mark) -> int:
        return self._head[mark]

    def __setitem__(self, mark: Mark, number: int) -> None:
        self._head[mark] = number

    def is_at(self, path: Path) -> bool:
        """Whether this is still the map of the database at ``path``."""
        return self.inode == _inode(path.with_suffix(SUFFIX))

    def copy(self, other: KeyMap) -> None:
        """Take over the contents of another map. The cells come first, so that meanwhile a key may wait without need,
        but none is let through too early."""
        self._cells[:] = other._cells
        self._slots[:] = other._slots
        self._head[:] = other._head

    # The worker that holds the database.

    def fill(self, cells: dict[int, int], last: int, newest: int) -> None:
        """Set what the database held when it was opened. Until then the map keeps what a killed worker has written
        there, so that no event overtakes those of that worker. A map that cannot be of this database is begun again."""
        if not self.is_likely(last):
            for number in [number for number in range(_HEAD) if number not in (Mark.BROKEN, Mark.LAYOUT)]:
                self._head[number] = 0
            self._slots[:] = memoryview(bytes(8 * _SLOTS)).cast("q")
        mine: dict[int, int] = {}
        for cell, seq in cells.items():
            mine[cell & self._mask] = max(seq, mine.get(cell & self._mask, 0))
        for first in range(0, self.count, _CHUNK):
            chunk = self._cells[first : first + _CHUNK]
            if chunk.tobytes() != _NO_CELLS:
                for cell, seq in enumerate(chunk.tolist(), first):
                    if seq and cell not in mine:
                        self._cells[cell] = 0
        for cell, seq in mine.items():
            self._cells[cell] = seq
        self._head[Mark.NEWEST] = max(newest, self._head[Mark.NEWEST])
        self._head[Mark.LAST] = self._head[Mark.COMMITTED] = self._head[Mark.VOID] = last
        self._head[Mark.WAITING] = self._head[Mark.LOWEST] = self._head[Mark.DOUBT_UNTIL_NS] = 0

    def is_likely(self, last: int) -> bool:
        """Whether the head can be that of a database whose last sequence number is this: the disk may have damaged it,
        and the database may be a new one."""
        numbers = self._head.tolist()
        numbers[Mark.BROKEN] = 0
        is_bounded = all(0 <= number < NONE for number in numbers) and numbers[Mark.IS_AWAY] <= 1
        return is_bounded and is_likely(numbers[Mark.NEWEST]) and numbers[Mark.HORIZON] <= last

    def add(self, topic: str, key: bytes | None, number: int) -> int:
        """Count in an event that is on its way to the disk. Returns its sequence number."""
        head = self._head
        if self.pending() == 0:
            head[Mark.SINCE] = number
        seq = head[Mark.LAST] + 1
        if key is not None:
            for cell in cells_of(topic, key):
                self._cells[cell & self._mask] = seq
        head[Mark.WAITING] += 1
        head[Mark.LAST] = seq
        head[Mark.NEWEST] = max(number, head[Mark.NEWEST])
        if not 0 < head[Mark.LOWEST] <= number:
            head[Mark.LOWEST] = number
        return seq

    def set_waiting(self, count: int, lowest: int) -> None:
        """Set how many events are on their way to the disk, and their lowest number. Without any, what was put and is
        not on disk never will be."""
        self._head[Mark.LOWEST] = lowest
        self._head[Mark.WAITING] = count
        if count == 0:
            self._head[Mark.VOID] = self._head[Mark.LAST]

    # The replay.

    def publish(self, slots: dict[int, int], horizon: int) -> None:
        """Set how far the replay is. It has seen all events up to ``horizon``. Those of the topics of ``slots`` are
        gone up to the sequence number that is given there, and those of all other topics up to ``horizon``. Events that
        are gone stay so: a worker that begins to replay, or has opened the file again, knows less at first, and a key
        that waited again would send younger events into the spool while older ones are in the sink."""
        gone = {slot: max(done, self.done(slot)) for slot, done in slots.items()}
        for slot in [slot for slot, done in enumerate(self._slots.tolist()) if done and slot not in slots]:
            self._slots[slot] = 0
        for slot, done in gone.items():
            self._slots[slot] = done + 1
        self._head[Mark.HORIZON] = max(horizon, self._head[Mark.HORIZON])

    # All processes.

    def done(self, slot: int) -> int:
        """Return the sequence number up to which the events of a topic are gone."""
        head = self._head
        horizon = head[Mark.HORIZON]
        done = self._slots[slot] - 1
        if done < 0:
            done = horizon
        committed, void = head[Mark.COMMITTED], head[Mark.VOID]
        return void if done >= committed and void > committed else done

    def holds(self, cells: tuple[int, int, int], slot: int) -> bool:
        """Whether an event of a key with these cells may wait. In a map of another layout every key does."""
        newest, mask = self._cells, self._mask
        if self._head[Mark.LAYOUT] != LAYOUT:
            return True
        return min(newest[cells[0] & mask], newest[cells[1] & mask], newest[cells[2] & mask]) > self.done(slot)

    def pending(self) -> int:
        """Return how many events wait, including those that are set aside for their size."""
        head = self._head
        unseen = max(0, head[Mark.COMMITTED] - head[Mark.HORIZON])
        return head[Mark.WAITING] + head[Mark.REMAINING] + unseen + head[Mark.ASIDE]

    def front(self) -> int:
        """Return the number of the oldest event; 0 if none waits."""
        fronts = [number for number in (self._head[Mark.FRONT], self._head[Mark.LOWEST]) if number]
        if not fronts and self.pending():  # The replay has not looked yet.
            return self._head[Mark.SINCE]
        return min(fronts, default=0)

    def front_on_disk(self) -> int:
        """Return a number that no event on the disk is below; 0 if none waits there."""
        head = self._head
        return 1 if head[Mark.COMMITTED] > head[Mark.HORIZON] else head[Mark.FRONT]  # 1: the replay has not looked yet.

    def is_doubtful(self) -> bool:
        """Whether the worker may still put events that are older than those that it has put."""
        return self._head[Mark.DOUBT_UNTIL_NS] > time.monotonic_ns()


def _bytes_of(count: int) -> int:
    return 8 * (_HEAD + _SLOTS + count)


def _cells_in(size: int) -> int:
    """Return how many cells a file of this size has; 0: it is no map."""
    count = size // 8 - _HEAD - _SLOTS
    return count if size == _bytes_of(count) and count.bit_count() == 1 and count <= MOST_CELLS else 0


class KeyMaps:
    """All maps of a directory: this worker's own, and the others that ``look`` found last."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._others: dict[str, KeyMap] = {}
        self._all: list[KeyMap] = []
        self._own: tuple[str, KeyMap] | None = None
        self._looked_ns = -1

    def set_own(self, path: Path, own: KeyMap) -> None:
        """Set the map of the database that this process holds."""
        self._own = path.with_suffix(SUFFIX).name, own
        self._all = [own, *self._others.values()]

    def look(self) -> None:
        """Open maps that are new, and drop those that are gone. While the directory is unchanged nothing is done."""
        changed_ns = _changed_ns(self._directory)
        if changed_ns == self._looked_ns:
            return
        # A change within the grain of its clock after a look would not be seen: such a look does not count.
        self._looked_ns = changed_ns if time.time_ns() - changed_ns > _GRAIN_NS else -1
        found: dict[str, KeyMap] = {}
        own = self._own[0] if self._own is not None else ""
        try:
            names = os.listdir(self._directory)  # An idle worker does this too, and pathlib takes three times as long.
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            names = []
        for name in names:
            if not name.endswith(SUFFIX) or name == own:
                continue
            path, seen = f"{self._directory}/{name}", self._others.get(name)
            if seen is None or seen.inode != _inode(path):
                seen = KeyMap.see(Path(path))
            if seen is not None:
                found[name] = seen
            else:
                self._looked_ns = -1  # It is being made.
        self._others = found
        self._all = [*found.values()] if self._own is None else [self._own[1], *found.values()]

    def pending(self) -> int:
        """Return the number of events that wait on this host, as far as is known."""
        return sum(one.pending() for one in self._all)

    def aside(self) -> int:
        """Return how many of them are set aside."""
        return sum(one[Mark.ASIDE] for one in self._all)

    def newest(self) -> int:
        """Return the highest number on this host; numbers of new events must be higher, even if the clock is behind."""
        return max((number for one in self._all if is_likely(number := one[Mark.NEWEST])), default=0)

    def front(self) -> int:
        """Return the number of the oldest event that waits on this host; 0 if none does."""
        return min((front for one in self._all if (front := one.front())), default=0)

    def front_on_disk(self) -> int:
        """Return a number that no event on a disk of this host is below; 0 if none waits there."""
        return min((front for one in self._all if (front := one.front_on_disk())), default=0)

    def catch_up_s(self) -> float:
        """Return the estimated seconds until the replay has caught up: until the spool of this host is empty."""
        return max((one[Mark.CATCH_UP_MS] for one in self._all), default=0) / 1000

    def sheds(self) -> bool:
        """Whether hasty events of keys that wait are to be refused, as the replay has found."""
        return any(one[Mark.SHEDS] == 1 for one in self._all)

    def is_any_in_contact(self) -> bool:
        """Whether the sink of another worker, as far as it has told, has contact with a broker."""
        return any(one[Mark.LAST] and not one[Mark.IS_AWAY] for one in self._others.values())

    def holds(self, topic: str, key: bytes) -> bool:
        """Whether an older event of this key may wait: a live one must not overtake it."""
        cells, slot = cells_of(topic, key), slot_of(topic)
        return any(one.holds(cells, slot) for one in self._all)

    def done(self, topic: str) -> tuple[int, ...]:
        """Return the sequence numbers up to which the events of a topic are gone, one for each map. As long as they are
        the same, no key of the topic can have become free."""
        slot = slot_of(topic)
        return tuple(one.done(slot) for one in self._all)


def _changed_ns(directory: Path) -> int:
    """Return when a file was last made, deleted or renamed in a directory; 0 if there is none."""
    try:
        return os.stat(directory).st_mtime_ns
    except OSError:
        return 0


def _inode(path: Path | str) -> int:
    try:
        return os.stat(path).st_ino
    except OSError:
        return -1
