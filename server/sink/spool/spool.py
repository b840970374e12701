"""Keep accepted events on local disk while the broker cannot take them.

Place: intake.delivery → HERE → sink.spool.writer, which writes them; sink.spool.replay takes them out again.
Rules: the loop never waits for the disk: everything that touches a file runs on the writer's thread. The spool is
limited in bytes, on disk and in memory, for events that are not owed. Owed are those for which a 202 was answered, or
which the broker may have already. A share of the limit is reserved for them, and they are taken beyond it: they were in
the memory of this worker before, which is limited. While its disk is full, read-only or gone, the spool refuses events
that are not owed and keeps the others in memory.
Not here: which events go to the spool (intake.delivery), how they leave it (sink.spool.replay).
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Final

from server.errors import BootError
from server.record import Record
from server.sink.spool import claim
from server.sink.spool.event import ROW_BYTES
from server.sink.spool.file import SUFFIX
from server.sink.spool.keys import KeyMaps, Mark, cells_for, slot_of
from server.sink.spool.store import Store
from server.sink.spool.writer import WATCH_S, OnKept, Writer
from server.timing.timers import Timer

STEM: Final = "spool"
MAX_WAITING_BYTES: Final = 32 << 20  # In memory, on the way to a disk that is slower than the clients.
MAX_OWED_BYTES: Final = 1 << 30  # The same for owed events: what the queues of several producers hold at most.
CLOSE_S: Final = 2.0
MOST_WATCHED: Final = 100_000  # The most events whose receipts are updated when they are delivered.
LOOK_S: Final = 0.2  # Time between looks for maps of other workers, a little less than the rest of intake.delivery.
# The share of ``max_bytes`` that is reserved for owed events, so that a full spool seldom exceeds it.
_OWED_SHARE: Final = 0.25

_logger = logging.getLogger("sink.spool")


class Spool:
    """The database that this worker writes, and the maps of all of this host."""

    def __init__(self, directory: Path, *, max_bytes: int) -> None:
        self.directory = directory
        self._max_bytes = max_bytes
        self._max_unowed_bytes = int(max_bytes * (1 - _OWED_SHARE))
        self._look_at = 0.0
        self._writer = Writer(directory)
        self.maps = KeyMaps(directory)
        self._watching: Timer | None = None
        self._watched: dict[int, deque[tuple[int, int]]] = {}  # By slot of the topic: sequence number, number.
        self._count = 0
        self.on_waits: Callable[[], None] = _ignore  # Told, again and again, that events wait on this host.

    async def open(self, on_gone: Callable[[int], None] = lambda _: None) -> None:
        """Claim a database and count its events. If the disk is full or fails, the spool is open and refuses events.
        ``on_gone`` is called with the number of each event that this worker has put and the replay has delivered."""
        self._on_gone = on_gone
        self._loop = asyncio.get_running_loop()
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            path, lock_fd = claim.first_free(self.directory, STEM, SUFFIX)
            own = self._own = Store(path, lock_fd, cells_for(self._max_bytes))
        except OSError as failed:
            raise BootError(
                f"spool.path: cannot keep events in {self.directory}: {failed.strerror}; "
                "name a directory that this user may write, on a disk with room"
            ) from None
        path.with_suffix(".keys").unlink(missing_ok=True)  # The map of an earlier version.
        self.maps.set_own(path, own.keys)
        await self._writer.open(own)
        self.maps.look()
        if waiting := own.keys.pending():
            _logger.info("%d events of an earlier run wait in %s", waiting, path)
        self._watching = Timer(self._loop, WATCH_S, self._watch)
        self._watching.start()

    # Counts for metrics.

    @property
    def written(self) -> int:
        """The number of events that are, or were, on disk."""
        return self._writer.written

    @property
    def refused(self) -> int:
        """The number of events that found no room, or whose disk failed while a request waited."""
        return self._writer.refused

    @property
    def failed_commits(self) -> int:
        return self._writer.failed_commits

    @property
    def damaged(self) -> int:
        """The number of events that could be read from a damaged file and were not as they were written."""
        return 0 if self._watching is None else self._own.file.damaged

    @property
    def broken(self) -> int:
        """The number of files that were found broken and set aside."""
        return 0 if self._watching is None else self._own.file.broken

    @property
    def broken_held(self) -> int:
        """The number of events that these files held, as far as is known."""
        return 0 if self._watching is None else self._own.file.broken_held

    # Putting events in.

    def is_usable(self) -> bool:
        """Whether the last write to the disk succeeded."""
        return self._writer.is_usable

    def has_room(self, size: int) -> bool:
        """Whether an event of ``size`` bytes would be taken that is not owed."""
        return (
            self._writer.is_usable
            and self.used_bytes() + size <= self._max_unowed_bytes
            and self._writer.waiting_bytes + size <= MAX_WAITING_BYTES
        )

    def put(
        self, number: int, stream: str, record: Record, on_kept: OnKept, *, is_owed: bool, is_awaited: bool
    ) -> bool:
        """Take an event, unless there is no room for it; returns whether it was taken. ``on_kept`` is called with None
        when it is on disk. If a request waits for that (``is_awaited``) and the disk fails, it is called with an
        ``error_type`` instead; the writing of other events is tried again until it succeeds."""
        size = len(record.value) + ROW_BYTES
        if not self.has_room(size) and not (is_owed and self._writer.waiting_bytes + size <= MAX_OWED_BYTES):
            self._writer.refused += 1
            return False
        seq = self._writer.put(number, stream, record, on_kept, is_awaited=is_awaited)
        if self._count < MOST_WATCHED:
            self._count += 1
            self._watched.setdefault(slot_of(record.topic), deque()).append((seq, number))
        self.on_waits()
        return True

    def take_back(self, below: float = math.inf) -> list[tuple[Record, OnKept]]:
        """Return the events that are not on disk and have no key, or a number below ``below``, in the order of their
        numbers; they are not written."""
        return self._writer.take_back(below)

    def withdraw(self, is_unwanted: Callable[[Record], bool]) -> list[Record]:
        """Return the events that are not on disk and are not wanted any more; they are not written."""
        return self._writer.withdraw(is_unwanted)

    def doubt(self, until_s: float) -> None:
        """Tell the replay until when (loop time) this worker may still put events that are older than those in the
        spool; 0: it will not put any."""
        left_ns = int((until_s - self._loop.time()) * 1e9) if until_s else 0
        self._own.keys[Mark.DOUBT_UNTIL_NS] = time.monotonic_ns() + left_ns if left_ns > 0 else 0

    def tell(self, *, is_away: bool, acked: int) -> None:
        """Tell the replay whether this worker's sink has lost contact with the brokers, and how many events of requests
        it has delivered so far."""
        self._own.keys[Mark.IS_AWAY] = is_away
        self._own.keys[Mark.ACKED] = acked

    def is_any_in_contact(self) -> bool:
        """Whether another worker of this host has contact with a broker."""
        return self.maps.is_any_in_contact()

    def waits(self) -> bool:
        """Whether any event waits in a spool of this host. Maps of other workers are looked for every LOOK_S."""
        now = self._loop.time()
        if now >= self._look_at:
            self._look_at = now + LOOK_S
            self.maps.look()
        waits = self.maps.pending() > 0
        if waits:
            self.on_waits()
        return waits

    def holds(self, topic: str, key: bytes) -> bool:
        """Whether an event of this key may wait in a spool of this host."""
        return self.maps.holds(topic, key)

    def done(self, topic: str) -> tuple[int, ...]:
        """Return something that stays the same while no key of the topic can have become free."""
        return self.maps.done(topic)

    def catch_up_s(self) -> float:
        """Return the estimated seconds until the spool of this host is empty."""
        return self.maps.catch_up_s()

    def sheds(self) -> bool:
        """Whether hasty events of keys that wait are to be refused, as the replay of this host has found."""
        return self.maps.sheds()

    def last_put(self) -> int:
        """Return the sequence number of the last event that was put."""
        return self._own.keys[Mark.LAST]

    def is_on_disk(self, seq: int) -> bool:
        """Whether all events up to this sequence number are on disk, or will never be."""
        return self._own.keys[Mark.COMMITTED] >= seq or self._writer.waiting() == 0

    def waiting(self) -> int:
        """Return the number of events that are not on disk yet."""
        return self._writer.waiting()

    def pending(self) -> int:
        """Return the number of events that wait in this worker's database or on their way there."""
        return self._own.keys.pending()

    def used_bytes(self) -> int:
        """Return the bytes that count against the limit, on disk and on the way there."""
        if self._watching is None:  # It is not open yet.
            return 0
        return self._writer.waiting_bytes + self._writer.unseen_bytes() + self._own.keys[Mark.REMAINING_BYTES]

    def first_number(self) -> int:
        """Return the first number for new events, so that they follow those of earlier runs."""
        return self.newest() + 1

    def front_on_disk(self) -> int:
        """Return a number that no event on a disk of this host is below; 0 if none waits there."""
        return self.maps.front_on_disk()

    def newest(self) -> int:
        """Return the highest number of any event that was put into a spool of this host, as far as is known."""
        return self.maps.newest()

    async def flush(self, deadline: float) -> int:
        """Wait until all events are on disk, until ``deadline`` at the latest. Returns the number that are not."""
        return await self._writer.flush(deadline)

    def give_up(self) -> None:
        """Refuse all events that are still in memory."""
        self._writer.give_up()

    async def close(self) -> None:
        """Close the file. Its events wait for the replay of another worker, or for the next start."""
        if self._watching is not None:
            self._watching.cancel()
        self._writer.stop()
        self.doubt(0.0)
        # A disk that hangs must not keep the worker alive; the kernel then releases the lock.
        await asyncio.wait([self._writer.attempt(self._own.file.close)], timeout=CLOSE_S)
        self._own.release()
        self._writer.end()

    def _watch(self) -> None:
        """Make the map's file again if it is missing, look whether the disk works, and report delivered events."""
        if self._writer.is_usable and not self._own.keys.is_at(self._own.path):  # Private, or deleted.
            self._own.share_keys()
            self.maps.set_own(self._own.path, self._own.keys)
        self._writer.watch()
        if self._watched and not self._own.keys[Mark.ASIDE]:  # Events that are set aside are gone, but not delivered.
            self._tell_gone()

    def _tell_gone(self) -> None:
        for slot, watched in list(self._watched.items()):
            done = self._own.keys.done(slot)
            while watched and watched[0][0] <= done:
                self._count -= 1
                self._on_gone(watched.popleft()[1])
            if not watched:
                del self._watched[slot]


def _ignore() -> None:
    """Do nothing: this process replays no events."""
