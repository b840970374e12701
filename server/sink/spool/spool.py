"""Keep accepted events on local disk while the broker cannot take them.

Place: intake.delivery → HERE → sink.spool.writer, which writes them; sink.spool.replay takes them out again.
Rules: the loop never waits for the disk: everything that touches a file runs on the writer's thread. The spool is
bounded in bytes, on disk and in memory. An event that is owed already (a 202 was answered, or the broker may have it)
is taken beyond that limit rather than lost. With a disk that is full, read-only or gone, the spool refuses events; it
loses none.
Not here: which events go to the spool (intake.delivery), how fast they leave it (sink.spool.replay).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from server.errors import BootError
from server.log import Limited
from server.sink.base import Record
from server.sink.spool import claim
from server.sink.spool.event import Spooled, row_of, size_of, spooled
from server.sink.spool.file import SUFFIX, Row
from server.sink.spool.keys import NONE, Elders
from server.sink.spool.keys import SUFFIX as KEYS_SUFFIX
from server.sink.spool.store import Store
from server.sink.spool.writer import OnKept, Writer

STEM: Final = "spool"
MAX_WAITING_BYTES: Final = 32 << 20  # In memory, on the way to a disk that is slower than the clients.
ADOPT_EVERY_S: Final = 5.0
CLOSE_S: Final = 2.0
LOOK_S: Final = 0.25  # Time between looks for maps of other workers; a glob of a small directory takes 20 µs.
# The share of ``max_bytes`` that is reserved for owed events, so that a full spool still takes those that the broker
# fails.
_OWED_SHARE: Final = 0.25

_logger = logging.getLogger("sink.spool")
_limited = Limited(_logger)


class Spool:
    """All databases that this worker holds: its own, and those that it adopted from dead workers."""

    def __init__(self, directory: Path, *, max_bytes: int) -> None:
        self._directory = directory
        self._max_bytes = max_bytes
        self._max_unowed_bytes = int(max_bytes * (1 - _OWED_SHARE))
        self._adopt_at = self._look_at = 0.0
        self._writer = Writer(directory)
        self._stores: list[Store] = []
        self.elders = Elders(directory)

    async def open(self) -> None:
        """Claim a database and count its events. A disk that is full or failing only makes the spool refuse."""
        self._loop = asyncio.get_running_loop()
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            path, lock_fd = claim.first_free(self._directory, STEM, SUFFIX)
            own = self._own = Store(path, lock_fd)
        except OSError as failed:
            raise BootError(
                f"spool.path: cannot keep events in {self._directory}: {failed.strerror}; "
                "name a directory that this user may write, on a disk with room"
            ) from None
        self._stores = [own]
        self.elders.own = {path.with_suffix(KEYS_SUFFIX).name: own.keys}
        await self._writer.open(own)
        if own.count:
            _logger.info("%d events of an earlier run wait in %s", own.count, path)
        self.elders.look()

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

    # Putting events in.

    def has_room(self, size: int) -> bool:
        """Whether ``size`` bytes more would be taken of an event that can still be refused."""
        return (
            self._writer.is_usable
            and self.used_bytes() + size <= self._max_unowed_bytes
            and self._writer.waiting_bytes + size <= MAX_WAITING_BYTES
        )

    def put(
        self, number: int, stream: str, record: Record, on_kept: OnKept, *, is_owed: bool, is_awaited: bool
    ) -> bool:
        """Take an event, unless there is no room for it. ``on_kept`` is called when it is on disk. If a request waits
        for that (``is_awaited``), it may be called with an ``error_type`` instead when the disk fails; other events are
        tried for ever."""
        row = row_of(number, stream, record)
        size = size_of(row)
        if not self.has_room(size) and not (is_owed and self.used_bytes() + size <= self._max_bytes):
            self._writer.refused += 1
            return False
        self._own.keys.add(record.topic, record.key, number)
        self._own.lower(record.topic, number)
        self._writer.put(row, size, on_kept, is_awaited=is_awaited)
        return True

    def waits(self) -> bool:
        """Whether any event waits in a spool of this host, as far as is known. It is cheap enough to call often."""
        now = self._loop.time()
        if now >= self._look_at:
            self._look_at = now + LOOK_S
            self.elders.look()
        return self.elders.pending() > 0

    def holds(self, topic: str, key: bytes) -> bool:
        """Whether an event of this key may wait in a spool of this host."""
        return self.elders.holds(topic, key)

    def waiting(self) -> int:
        """Return the number of events that are not on disk yet."""
        return self._writer.waiting()

    def pending(self) -> int:
        """Return the number of events of this worker's databases, on disk or on the way there."""
        return self._writer.waiting() + sum(store.count for store in self._stores)

    def used_bytes(self) -> int:
        """Return the bytes that count against the limit, on disk and on the way there."""
        return self._writer.waiting_bytes + sum(store.size for store in self._stores)

    def first_number(self) -> int:
        """Return the first number for new events, so that they follow those of earlier runs."""
        return max(self._own.last, self.newest()) + 1

    def newest(self) -> int:
        """Return the highest number of the events that wait on this host, as far as is known."""
        return self.elders.newest()

    async def flush(self, deadline: float) -> int:
        """Wait until all events are on disk, until ``deadline`` at the latest. Returns the number that are not."""
        return await self._writer.flush(deadline)

    def give_up(self) -> None:
        """Refuse all events that are still in memory."""
        self._writer.give_up()

    async def close(self) -> None:
        """Close the files. Their events wait for the next worker that claims them."""
        self._writer.stop()
        stores, self._stores = self._stores, []
        closing = [self._writer.attempt(store.file.close) for store in stores]
        if closing:  # A disk that hangs must not keep the worker alive; the kernel then releases the locks.
            await asyncio.wait(closing, timeout=CLOSE_S)
        for store in stores:
            store.release()
        self._writer.end()

    # Taking events out.

    def store(self) -> Store | None:
        """Return the database to replay from: the one with the oldest event whose topic is not paused. None: no event
        is on disk."""
        now = self._loop.time()
        for store in self._stores:  # All of them, since one that waits for another may stay in front of it for ever.
            store.wake(now)
        filled = [store for store in self._stores if store.count]
        return min(filled, key=lambda store: store.keys.front) if filled and self._writer.is_usable else None

    async def oldest(self, store: Store, count: int) -> list[Spooled]:
        """Return the oldest events of a database, except paused topics, and write the first number into its map."""
        rows: list[Row] = []
        without = list(store.resting)
        self._writer.forget_lowest()
        failed = await self._writer.attempt(lambda: rows.extend(store.file.oldest(count, without)))
        self._writer.hear(failed)
        if failed is None and store.keys.pending:
            self._set_front(store, rows[0][0] if rows else NONE)
        return [spooled(row) for row in rows]

    async def forget(self, store: Store, done: Sequence[Spooled], front: int) -> bool:
        """Delete events that were delivered or given up; ``front`` is the oldest number that may remain. Returns False
        if that failed."""
        numbers = [one.number for one in done]
        failed = await self._writer.attempt(store.file.delete, numbers)
        self._writer.hear(failed)
        if failed is not None:
            return False  # They stay in the spool, and are delivered again if the worker ends before a retry succeeds.
        for one in done:
            store.keys.remove(one.topic, one.key)
            store.count -= 1
            store.size -= one.size
        if store.keys.pending:
            self._set_front(store, front)
        elif store is not self._own:
            await self._drop(store)
        return True

    def _set_front(self, store: Store, front: int) -> None:
        """Set the front of a map. An event that is on its way to the disk, or that was written since the thread read,
        may be older than ``front``."""
        if store is self._own:
            front = min(front, self._writer.lowest())
        store.keys.front = front

    async def adopt(self) -> None:
        """Adopt a database that no living worker holds, at most one every ADOPT_EVERY_S."""
        now = self._loop.time()
        if now < self._adopt_at or not self._writer.is_usable:
            return
        self._adopt_at = now + ADOPT_EVERY_S
        self.elders.look()
        held = {store.file.path for store in self._stores}
        for path in sorted(self._directory.glob(f"{STEM}-*{SUFFIX}")):
            if path in held:
                continue
            try:
                lock_fd = claim.take(path)
            except OSError as failed:  # There is no descriptor left, or no permission: the next look tries again.
                _limited.warning("adopt", "the spool %s, which no worker holds, cannot be read: %s", path, failed)
                continue
            if lock_fd is not None:
                await self._take_over(path, lock_fd)
                return

    async def _take_over(self, path: Path, lock_fd: int) -> None:
        store = Store(path, lock_fd)
        failed = await self._writer.load(store)
        if failed is not None:
            _limited.warning("adopt", "the spool %s, which no worker holds, cannot be read: %s", path, failed)
            store.release()
            return
        self.elders.own[path.with_suffix(KEYS_SUFFIX).name] = store.keys
        self._stores.append(store)
        if store.count:
            _logger.warning("took over %s with %d events: no worker holds it any more", path, store.count)
        else:
            await self._drop(store)

    async def _drop(self, store: Store) -> None:
        """Delete the files of an adopted database that is empty."""
        path = store.file.path
        self._stores.remove(store)
        self.elders.own.pop(path.with_suffix(KEYS_SUFFIX).name, None)
        path.with_suffix(KEYS_SUFFIX).unlink(missing_ok=True)
        await self._writer.attempt(store.file.remove)
        store.release()
