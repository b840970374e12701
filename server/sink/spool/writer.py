"""Write spooled events to disk, from a queue in memory, on one thread that touches the files.

Place: sink.spool.spool → HERE → sink.spool.store, sink.spool.file.
Rules: the loop never waits for the disk. The thread writes the queue in transactions with an fsync each; the outcome is
reported on the loop. After an error, events that a request waits for are refused, the others stay in memory, and
writing is tried again every ``RETRY_S``; errors are logged at a limited rate. While nothing is written, the thread
looks every ``WATCH_S`` whether the files still exist and the disk takes writes.
Not here: limits (sink.spool.spool), reading and deleting (sink.spool.reader).
"""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import msgspec

from server.log import Limited
from server.record import Record
from server.sink.salvage import is_broken
from server.sink.spool.event import Row, row_of, size_of
from server.sink.spool.keys import Mark
from server.sink.spool.lowest import Lowest
from server.sink.spool.store import Census, Store
from server.timing import timers

# Called once, on the loop: with None when the event is on disk, with an ``error_type`` when it will not be kept.
OnKept = Callable[[str | None], None]

# Their acks take 8 ms of the loop. A transaction takes at least one round of the loop, and on a busy one these last for
# tenths of a second: with 500 rows at once, 2,000 events a second reached the disk.
ROWS_AT_ONCE: Final = 4000
HOLD_S: Final = 0.25  # Time between looks at lock and room while transactions follow each other.
RETRY_S: Final = 1.0
WATCH_S: Final = 0.5
LEAST_FREE_BYTES: Final = 1 << 20  # With less room than this no events are written, because deleting needs some too.

_logger = logging.getLogger("sink.spool")
_limited = Limited(_logger)


class _Waiting(msgspec.Struct):
    """An event in memory, on its way to the disk."""

    row: Row
    size: int
    is_awaited: bool
    on_kept: OnKept
    record: Record


class Writer:
    """Writes to the database ``own``. ``written``, ``refused`` and ``failed_commits`` are for metrics."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._thread = ThreadPoolExecutor(1, "spool")
        self._waiting: list[_Waiting] = []
        self._lowest = Lowest()  # Of their numbers.
        self._is_writing = False  # A transaction is under way or scheduled.
        self._is_at_disk = False  # A transaction is under way.
        self._is_watching = False
        self._is_closed = False
        self._broken = 0
        self._hold_at = 0.0
        self._unseen: list[tuple[int, int]] = []  # (id of the last row, bytes) of commits that the replay has not seen.
        self.own: Store
        self.waiting_bytes = 0
        self.is_usable = False
        self.written = 0
        self.refused = 0
        self.failed_commits = 0

    async def open(self, own: Store) -> None:
        """Open the database. If the disk is full or fails, the writer is open and not usable."""
        self._loop = asyncio.get_running_loop()
        self.own = own
        self._broken = own.keys[Mark.BROKEN]
        self.hear(await self.load(own))

    def put(self, number: int, stream: str, record: Record, on_kept: OnKept, *, is_awaited: bool) -> int:
        """Take an event for the next transaction. Returns its sequence number."""
        seq = self.own.keys.add(record.topic, record.key, number)
        row = row_of(seq, number, stream, record)
        size = size_of(row)
        self._waiting.append(_Waiting(row, size, is_awaited, on_kept, record))
        self._lowest.add(number)
        self.waiting_bytes += size
        if not self._is_writing:
            self._is_writing = True
            self._loop.call_soon(self._write)
        return seq

    def waiting(self) -> int:
        """Return the number of events that are not on disk yet."""
        return len(self._waiting)

    def unseen_bytes(self) -> int:
        """Return the bytes on disk that the replay has not counted yet."""
        horizon = self.own.keys[Mark.HORIZON]
        while self._unseen and self._unseen[0][0] <= horizon:
            self._unseen.pop(0)
        return sum(size for _, size in self._unseen)

    def take_back(self, below: float) -> list[tuple[Record, OnKept]]:
        """Take the events out of memory that are not on disk and have no key, or a number below ``below``, and return
        them in the order of their numbers. They are not written any more."""
        taken = self._take_out(lambda one: one.record.key is None or one.row[1] < below)
        return [(one.record, one.on_kept) for one in sorted(taken, key=lambda one: one.row[1])]

    def withdraw(self, is_unwanted: Callable[[Record], bool]) -> list[Record]:
        """Take those events out of memory that are not wanted any more, and return them. They are not written."""
        return [one.record for one in self._take_out(lambda one: is_unwanted(one.record))]

    def _take_out(self, is_out: Callable[[_Waiting], bool]) -> list[_Waiting]:
        if self._is_at_disk:
            return []  # A transaction with the first of them is under way.
        taken: list[_Waiting] = []
        left: list[_Waiting] = []
        for one in self._waiting:
            (taken if is_out(one) else left).append(one)
        if taken:
            self.waiting_bytes = sum(one.size for one in left)
            self._set_waiting(left)
            self._tell_map()
        return taken

    async def flush(self, deadline: float) -> int:
        """Wait until all events are on disk, until ``deadline`` at the latest. Returns the number that are not."""
        while self._waiting and self._loop.time() < deadline:  # noqa: ASYNC110 - many places change it
            await asyncio.sleep(0.002)
        return len(self._waiting)

    def give_up(self) -> None:
        """Refuse all events that are still in memory; their ``on_kept`` is called."""
        waiting = self._waiting
        self._set_waiting([])
        self._refuse(waiting)
        self._tell_map()

    def stop(self) -> None:
        """Write no more events. The thread still runs functions that are passed to ``attempt``."""
        self._is_closed = True

    def end(self) -> None:
        """Let the thread end when it is idle."""
        self._thread.shutdown(wait=False)

    def watch(self) -> None:
        """Have the thread look at the files and the disk, unless it is busy. Called every WATCH_S."""
        if self._is_writing or self._is_watching or self._is_closed or not self.own.is_loaded:
            return
        self._is_watching = True
        self.attempt(self._look).add_done_callback(self._on_watched)

    def _on_watched(self, done: asyncio.Future[Exception | None]) -> None:
        self._is_watching = False
        if not done.cancelled() and done.result() is not None:
            self.hear(done.result())

    def _look(self) -> None:
        if self.own.keys[Mark.BROKEN] != self._broken:
            self._broken = self.own.keys[Mark.BROKEN]
            self.own.file.replace(sqlite3.DatabaseError("the replay cannot read it"))
        self.own.hold()
        self.own.file.check()
        disk = os.statvfs(self._directory)
        if disk.f_flag & os.ST_RDONLY:
            raise OSError(f"{self._directory} is mounted read-only")
        if disk.f_bavail * disk.f_frsize < LEAST_FREE_BYTES:
            raise OSError(f"less than {LEAST_FREE_BYTES >> 20} MiB are free on the disk of {self._directory}")

    # Running on the thread.

    def attempt(self, function: Callable[..., object], *arguments: object) -> asyncio.Future[Exception | None]:
        """Run a function on the thread. The result is its exception, or None; it never raises."""
        return self._loop.run_in_executor(self._thread, _try, function, *arguments)

    async def load(self, store: Store) -> Exception | None:
        """Open a database and take over its counts."""
        found: list[Census] = []
        failed = await self.attempt(lambda: found.append(store.census()))
        if failed is None:
            store.load(found[0])
            # Until the replay has looked, its count may be that of the worker before, or none.
            unseen = found[0].size - store.keys[Mark.REMAINING_BYTES]
            self._unseen = [(found[0].last, max(0, unseen))]
            self._number_again()
        return failed

    def _number_again(self) -> None:
        """Give events that were put before the database could be opened ids that no row in it has."""
        waiting, self._waiting = self._waiting, []
        for one in waiting:
            _, number, *_, stream, _ = one.row
            seq = self.own.keys.add(one.record.topic, one.record.key, number)
            one.row = row_of(seq, number, stream.decode("utf-8", "surrogatepass"), one.record)
        self._waiting = waiting

    def hear(self, failed: Exception | None) -> None:
        """Note whether the disk works, log a change, and schedule a retry while it does not."""
        if failed is None:
            if not self.is_usable:
                _logger.info("the spool %s can be used", self._directory)
            self.is_usable = True
            return
        self.is_usable = False
        _limited.error("disk", "the spool %s cannot be used: %s", self._directory, failed)
        if not self._is_writing:
            self._is_writing = True
            self._loop.call_later(RETRY_S, self._write)

    def _write(self) -> None:
        """Pass a batch to the thread. After an exception this is scheduled again, because otherwise nothing would reach
        the disk any more."""
        try:
            self._hand_over()
        except Exception:
            timers.failed("Writer._write")
            self._loop.call_later(RETRY_S, self._write)

    def _hand_over(self) -> None:
        """Pass a batch to the thread, or test whether the disk works again."""
        if self._is_closed:
            return
        self._is_writing = True
        if not self.own.is_loaded:
            loading = asyncio.ensure_future(self.load(self.own))
            loading.add_done_callback(lambda done: self._on_written([], done.result()))
            return
        self._is_at_disk = True
        batch = self._waiting[:ROWS_AT_ONCE]
        # Without any event the highest id is written, which tests whether the disk works again.
        last = 0 if batch else self.own.keys[Mark.LAST]
        writing = self.attempt(self._commit, [one.row for one in batch], last)
        writing.add_done_callback(lambda done: self._on_written(batch, done.result()))

    def _commit(self, rows: Sequence[Row], last: int) -> None:
        now = time.monotonic()
        if not rows or now >= self._hold_at:  # Each look at a file gives the interpreter's lock away.
            self._hold_at = now + HOLD_S
            self._look()
        else:
            self.own.file.check()
        try:
            self._store(rows, last)
        except sqlite3.Error as failed:
            if not is_broken(failed):
                raise
            self.own.file.replace(failed)
            self._store(rows, last)

    def _store(self, rows: Sequence[Row], last: int) -> None:
        if rows:
            self.own.file.append(rows)
        else:
            self.own.file.skip_to(last)

    def _on_written(self, batch: list[_Waiting], failed: Exception | None) -> None:
        """Report the outcome of a batch, which is the beginning of ``_waiting``."""
        self._is_writing = self._is_at_disk = False
        rest = self._waiting[len(batch) :]
        if failed is None:
            self._waiting = rest
            self._lowest.drop(len(batch))
            self._on_stored(batch)
        else:
            self.failed_commits += 1
            self._set_waiting([one for one in batch if not one.is_awaited] + rest)
            self._refuse([one for one in batch if one.is_awaited])
            self._tell_map()
        self.hear(failed)
        if failed is None and self._waiting and not self._is_writing:
            self._write()

    def _on_stored(self, batch: list[_Waiting]) -> None:
        if batch:
            last, size = batch[-1].row[0], sum(one.size for one in batch)
            self._unseen.append((last, size))
            self.own.keys[Mark.COMMITTED] = last
            self.waiting_bytes -= size
            self.written += len(batch)
        self._tell_map()
        for one in batch:
            _tell(one, None)

    def _tell_map(self) -> None:
        self.own.keys.set_waiting(len(self._waiting), self._lowest.number())

    def _set_waiting(self, waiting: list[_Waiting]) -> None:
        self._waiting, self._lowest = waiting, Lowest(one.row[1] for one in waiting)

    def _refuse(self, batch: list[_Waiting]) -> None:
        """Report to each event's ``on_kept`` that it is not kept."""
        for one in batch:
            self.waiting_bytes -= one.size
            self.refused += 1
            _tell(one, "queue_full")


def _tell(one: _Waiting, error_type: str | None) -> None:
    """Call the event's ``on_kept``. An exception in it must not affect the others."""
    try:
        one.on_kept(error_type)
    except Exception:
        timers.failed("Writer._tell")


def _try(function: Callable[..., object], *arguments: object) -> Exception | None:
    try:
        function(*arguments)
    except (sqlite3.Error, OSError) as failed:
        return failed
    except Exception as failed:  # This is a bug of ours, and the loop still needs an answer.
        timers.failed("Writer._try")
        return failed
    return None
