"""Keep accepted events on local disk while the broker cannot take them.

Place: intake.delivery → HERE → sink.spool_file (on a thread of its own); sink.replay takes them out again.
Rules: the loop never waits for the disk. What comes in goes to a list; one thread writes the list in transactions,
fsyncs, checkpoints and reads, and what it did is told on the loop. Bounded in bytes, on disk and in memory; what is
owed already (a 202 was answered, or the broker may have it) is taken beyond the bound rather than lost.
A disk that is full, read-only or gone makes the spool refuse, not forget: what is owed stays in memory and is tried
again every second.
Not here: who goes to the spool (intake.delivery), how fast they leave it (sink.replay).
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import msgspec

from server.errors import BootError
from server.log import Limited
from server.sink import claim
from server.sink.base import Record
from server.sink.spool_file import SUFFIX, Row, is_broken
from server.sink.spool_keys import NONE, Elders
from server.sink.spool_keys import SUFFIX as KEYS_SUFFIX
from server.sink.spool_store import ROW_BYTES, Census, Store

# Called once, on the loop: None when the event is on disk, else an ``error_type``; then it is not kept.
OnKept = Callable[[str | None], None]

STEM: Final = "spool"
MOST_WAITING_BYTES: Final = 32 << 20  # In memory, on the way to a disk that is slower than the clients.
ROWS_AT_ONCE: Final = (
    500  # A transaction of 500 rows of 500 bytes takes some 4 ms of the thread, their acks 1 ms of the loop.
)
RETRY_S: Final = 1.0
ADOPT_EVERY_S: Final = 5.0
CLOSE_S: Final = 2.0
LOOK_S: Final = 0.25  # For maps of other workers; a glob of a small directory takes 20 µs.
# Of ``max_bytes``: kept free for what is owed already, so that a full spool still takes what the broker gives back.
_OWED_SHARE: Final = 0.25

_logger = logging.getLogger("sink.spool")
_limited = Limited(_logger)
_headers = msgspec.msgpack.Encoder()
_to_headers = msgspec.msgpack.Decoder(list[tuple[str, bytes]])


class Spooled(msgspec.Struct, eq=False):
    """An event taken out of the spool: a record for the sink."""

    number: int
    topic: str
    key: bytes | None
    timestamp_ms: int
    headers: list[tuple[str, bytes]]
    value: bytes
    stream: str
    size: int


class _Waiting(msgspec.Struct):
    """An event in memory, on its way to the disk."""

    row: Row
    size: int
    is_awaited: bool
    on_kept: OnKept


class Spool:
    """``written``, ``refused`` and ``failed_commits`` are counts for metrics."""

    def __init__(self, directory: Path, *, max_bytes: int) -> None:
        self._directory = directory
        self._most = max_bytes
        self._most_unowed = int(max_bytes * (1 - _OWED_SHARE))
        self._waiting: list[_Waiting] = []
        self._waiting_bytes = 0
        self._is_writing = False
        self._is_usable = False
        self._is_closed = False
        self._adopt_at = self._look_at = 0.0
        self._lowest_written = NONE  # Number of an event, since the thread was asked for the oldest ones.
        self._thread = ThreadPoolExecutor(1, "spool")
        self._stores: list[Store] = []
        self.elders = Elders(directory)
        self.written = 0
        self.refused = 0
        self.failed_commits = 0

    async def open(self) -> None:
        """Claim a database and count what it holds. A disk that is full or failing only makes the spool refuse."""
        self._loop = asyncio.get_running_loop()
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            path, lock_fd = claim.first_free(self._directory, STEM, SUFFIX)
            self._own = Store(path, lock_fd)
        except OSError as failed:
            raise BootError(
                f"spool.path: cannot keep events in {self._directory}: {failed.strerror}; "
                "name a directory that this user may write, on a disk with room"
            ) from None
        self._stores = [self._own]
        self.elders.own = {path.with_suffix(KEYS_SUFFIX).name: self._own.keys}
        self._hear(await self._load(self._own))
        if self._own.count:
            _logger.info("%d events of an earlier run wait in %s", self._own.count, path)
        self.elders.look()

    # In.

    def has_room(self, size: int) -> bool:
        """Whether ``size`` bytes more would be taken from somebody who can still be refused."""
        return (
            self._is_usable
            and self._used() + size <= self._most_unowed
            and self._waiting_bytes + size <= MOST_WAITING_BYTES
        )

    def put(
        self, number: int, stream: str, record: Record, on_kept: OnKept, *, is_owed: bool, is_awaited: bool
    ) -> bool:
        """Take an event, unless there is no room for it. ``on_kept`` follows when it is on disk; only when somebody
        waits for that, it may follow with an ``error_type`` when the disk fails: others are tried for ever."""
        key, value = record.key, record.value
        headers = _headers.encode(record.headers)
        size = len(value) + len(headers) + len(stream) + len(key or b"") + len(record.topic) + ROW_BYTES
        if not self.has_room(size) and not (is_owed and self._used() + size <= self._most):
            self.refused += 1
            return False
        row = (number, record.topic, key, record.timestamp_ms, headers, value, stream)
        self._own.keys.add(record.topic, key, number)
        self._own.lower(record.topic, number)
        self._waiting.append(_Waiting(row, size, is_awaited, on_kept))
        self._waiting_bytes += size
        if not self._is_writing:
            self._is_writing = True
            self._loop.call_soon(self._write)
        return True

    def waits(self) -> bool:
        """Whether any event waits in a spool of this host, as far as is known. To be asked often."""
        now = self._loop.time()
        if now >= self._look_at:
            self._look_at = now + LOOK_S
            self.elders.look()
        return self.elders.pending() > 0

    def holds(self, topic: str, key: bytes) -> bool:
        """Whether an event of this key may be among them."""
        return self.elders.holds(topic, key)

    def waiting(self) -> int:
        """Events that are not on disk yet."""
        return len(self._waiting)

    def pending(self) -> int:
        """Events of this worker's databases, on disk or on the way there."""
        return len(self._waiting) + sum(store.count for store in self._stores)

    def used_bytes(self) -> int:
        """What counts against the bound, on disk and on the way there."""
        return self._used()

    def first_number(self) -> int:
        """Numbers of new events begin here, so that they follow those of earlier runs."""
        return max(self._own.last, self.newest()) + 1

    def newest(self) -> int:
        """The highest number of those that wait on this host, as far as is known."""
        return self.elders.newest()

    async def flush(self, deadline: float) -> int:
        """Wait until everything is on disk, to ``deadline`` at the latest. Returns what is not."""
        while self._waiting and self._loop.time() < deadline:  # noqa: ASYNC110 - told from many places
            await asyncio.sleep(0.002)
        return len(self._waiting)

    def give_up(self) -> None:
        """What is still in memory will not be kept: say so to whoever waits for it."""
        waiting, self._waiting = self._waiting, []
        self._refuse(waiting)

    async def close(self) -> None:
        """Let go of the files. Their events wait for the next worker that claims them."""
        self._is_closed = True
        stores, self._stores = self._stores, []
        closing = [self._run(self._try, store.file.close) for store in stores]
        if closing:  # A disk that hangs must not keep a worker from its end; the kernel lets go of the locks then.
            await asyncio.wait(closing, timeout=CLOSE_S)
        for store in stores:
            store.release()
        self._thread.shutdown(wait=False)

    # Out.

    def store(self) -> Store | None:
        """The database to replay from: the one with the oldest event that does not rest. None: nothing is on disk."""
        now = self._loop.time()
        for store in self._stores:  # All of them: one that waits for another may be in front of it for ever.
            store.wake(now)
        filled = [store for store in self._stores if store.count]
        return min(filled, key=lambda store: store.keys.front) if filled and self._is_usable else None

    async def oldest(self, store: Store, count: int) -> list[Spooled]:
        """The oldest events of a database, without topics that rest. Its map says which is the first."""
        rows: list[Row] = []
        without = list(store.resting)
        self._lowest_written = NONE
        failed = await self._run(self._try, lambda: rows.extend(store.file.oldest(count, without)))
        self._hear(failed)
        if failed is None and store.keys.pending:
            self._set_front(store, rows[0][0] if rows else NONE)
        return [_spooled(row) for row in rows]

    async def forget(self, store: Store, done: Sequence[Spooled], front: int) -> bool:
        """Delete what was delivered or given up; ``front`` is the oldest that may still be there."""
        numbers = [one.number for one in done]
        failed = await self._run(self._try, store.file.delete, numbers)
        self._hear(failed)
        if failed is not None:
            return False  # They are delivered once more: nothing else can be said of them.
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
        """What is on its way to the disk, or was written since the thread looked, may be older."""
        if store is self._own:
            front = min([front, self._lowest_written, *(one.row[0] for one in self._waiting)])
        store.keys.front = front

    async def adopt(self) -> None:
        """Take over a database that no living worker holds, when it is time to look for one."""
        now = self._loop.time()
        if now < self._adopt_at or not self._is_usable:
            return
        self._adopt_at = now + ADOPT_EVERY_S
        self.elders.look()
        held = {store.file.path for store in self._stores}
        for path in sorted(self._directory.glob(f"{STEM}-*{SUFFIX}")):
            if path in held:
                continue
            lock_fd = claim.take(path)
            if lock_fd is not None:
                await self._take_over(path, lock_fd)
                return

    async def _take_over(self, path: Path, lock_fd: int) -> None:
        store = Store(path, lock_fd)
        failed = await self._load(store)
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
        """An adopted database that is empty: its files go."""
        path = store.file.path
        self._stores.remove(store)
        self.elders.own.pop(path.with_suffix(KEYS_SUFFIX).name, None)
        path.with_suffix(KEYS_SUFFIX).unlink(missing_ok=True)
        await self._run(self._try, store.file.remove)
        store.release()

    # The thread.

    def _run(self, function: Callable[..., Any], *arguments: Any) -> asyncio.Future[Any]:
        return self._loop.run_in_executor(self._thread, function, *arguments)

    @staticmethod
    def _try(function: Callable[..., object], *arguments: object) -> Exception | None:
        """Run it; what the disk or SQLite say against it is a value."""
        try:
            function(*arguments)
        except (sqlite3.Error, OSError) as failed:
            return failed
        return None

    async def _load(self, store: Store) -> Exception | None:
        found: list[Census] = []
        failed: Exception | None = await self._run(self._try, lambda: found.append(store.census()))
        if failed is None:
            store.load(found[0])
            for one in self._waiting if store is self._own else ():  # Taken while the disk had no room for the file.
                store.keys.add(one.row[1], one.row[2], one.row[0])
        return failed

    def _write(self) -> None:
        """Give the thread what waits; nothing at all to see whether the disk works again."""
        if self._is_closed:
            return
        self._is_writing = True
        if not self._own.is_loaded:
            loading = asyncio.ensure_future(self._load(self._own))
            loading.add_done_callback(lambda done: self._on_written([], done.result()))
            return
        batch = self._waiting[:ROWS_AT_ONCE]
        writing = self._run(self._try, self._commit, [one.row for one in batch])
        writing.add_done_callback(lambda done: self._on_written(batch, done.result()))

    def _commit(self, rows: Sequence[Row]) -> None:
        if not rows:
            self._own.file.probe()
            return
        try:
            self._own.file.append(rows)
        except sqlite3.Error as failed:
            if not is_broken(failed):
                raise
            self._own.file.replace(failed)
            self._own.file.append(rows)

    def _on_written(self, batch: list[_Waiting], failed: Exception | None) -> None:
        """The thread is done with a batch: the first of ``_waiting``."""
        self._is_writing = False
        rest = self._waiting[len(batch) :]
        if failed is None:
            self._waiting = rest
            self._lowest_written = min([self._lowest_written, *(one.row[0] for one in batch)])
            for one in batch:
                self._waiting_bytes -= one.size
                self._own.count += 1
                self._own.size += one.size
                self.written += 1
                one.on_kept(None)
        else:
            self.failed_commits += 1
            self._waiting = [one for one in batch if not one.is_awaited] + rest
            self._refuse([one for one in batch if one.is_awaited])
        self._hear(failed)
        if failed is None and self._waiting and not self._is_writing:
            self._write()

    def _refuse(self, batch: list[_Waiting]) -> None:
        """These will not be kept; whoever waits is told."""
        for one in batch:
            self._waiting_bytes -= one.size
            self._own.keys.remove(one.row[1], one.row[2])
            self.refused += 1
            one.on_kept("queue_full")

    def _hear(self, failed: Exception | None) -> None:
        """Remember whether the disk works, say when that changes, and try again as long as it does not."""
        if failed is None:
            if not self._is_usable:
                _logger.info("the spool %s can be used", self._directory)
            self._is_usable = True
            return
        self._is_usable = False
        _limited.warning("disk", "the spool %s cannot be used: %s", self._directory, failed)
        if not self._is_writing:
            self._is_writing = True
            self._loop.call_later(RETRY_S, self._write)

    def _used(self) -> int:
        return self._waiting_bytes + sum(store.size for store in self._stores)


def _spooled(row: Row) -> Spooled:
    number, topic, key, timestamp_ms, headers, value, stream = row
    size = len(value) + len(headers) + len(stream) + len(key or b"") + len(topic) + ROW_BYTES
    return Spooled(number, topic, key, timestamp_ms, _to_headers.decode(headers), value, stream, size)
