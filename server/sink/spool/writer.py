"""Write spooled events to disk: the queue in memory, the one thread that touches files, and whether the disk works.

Place: sink.spool.spool → HERE → sink.spool.store, sink.spool.file.
Rules: the loop never waits for the disk. One thread writes the queue in transactions and fsyncs; the outcome is
reported on the loop. Errors are values, logged at a limited rate, and writing is tried again every ``RETRY_S``: events
that a request waits for are refused then, owed events stay in memory.
Not here: limits, reading and deleting (sink.spool.spool).
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import msgspec

from server.log import Limited
from server.sink.salvage import is_broken
from server.sink.spool.file import Row
from server.sink.spool.keys import NONE
from server.sink.spool.store import Census, Store
from server.timing import timers

# It is called once, on the loop, with None when the event is on disk, else with an ``error_type``: it is not kept.
OnKept = Callable[[str | None], None]

# A transaction of 500 rows of 500 bytes takes some 4 ms of the thread, their acks 1 ms of the loop.
ROWS_AT_ONCE: Final = 500
RETRY_S: Final = 1.0

_logger = logging.getLogger("sink.spool")
_limited = Limited(_logger)


class _Waiting(msgspec.Struct):
    """An event in memory, on its way to the disk."""

    row: Row
    size: int
    is_awaited: bool
    on_kept: OnKept


class Writer:
    """Writes to the database ``own``. ``written``, ``refused`` and ``failed_commits`` are for metrics."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._thread = ThreadPoolExecutor(1, "spool")
        self._waiting: list[_Waiting] = []
        self._is_writing = False
        self._is_closed = False
        self._lowest_written = NONE  # The lowest number of an event written since ``forget_lowest``.
        self.own: Store
        self.waiting_bytes = 0
        self.is_usable = False
        self.written = 0
        self.refused = 0
        self.failed_commits = 0

    async def open(self, own: Store) -> None:
        """Open the database. A disk that is full or failing only makes the spool refuse."""
        self._loop = asyncio.get_running_loop()
        self.own = own
        self.hear(await self.load(own))

    def put(self, row: Row, size: int, on_kept: OnKept, *, is_awaited: bool) -> None:
        """Take an event for the next transaction."""
        self._waiting.append(_Waiting(row, size, is_awaited, on_kept))
        self.waiting_bytes += size
        if not self._is_writing:
            self._is_writing = True
            self._loop.call_soon(self._write)

    def waiting(self) -> int:
        """Return the number of events that are not on disk yet."""
        return len(self._waiting)

    def forget_lowest(self) -> None:
        """Reset ``lowest`` before the thread reads the oldest events: only later writes may be older than those."""
        self._lowest_written = NONE

    def lowest(self) -> int:
        """Return the lowest number on its way to the disk, or written since ``forget_lowest``."""
        return min([self._lowest_written, *(one.row[0] for one in self._waiting)])

    async def flush(self, deadline: float) -> int:
        """Wait until all events are on disk, until ``deadline`` at the latest. Returns the number that are not."""
        while self._waiting and self._loop.time() < deadline:  # noqa: ASYNC110 - many places change it
            await asyncio.sleep(0.002)
        return len(self._waiting)

    def give_up(self) -> None:
        """Refuse all events that are still in memory."""
        waiting, self._waiting = self._waiting, []
        self._refuse(waiting)

    def stop(self) -> None:
        """Write nothing more; the thread still runs ``attempt``."""
        self._is_closed = True

    def end(self) -> None:
        """Let the thread end when it is idle."""
        self._thread.shutdown(wait=False)

    # The thread.

    def attempt(self, function: Callable[..., object], *arguments: object) -> asyncio.Future[Exception | None]:
        """Run a function on the thread. An error of the disk or of SQLite is the result."""
        return self._loop.run_in_executor(self._thread, _try, function, *arguments)

    async def load(self, store: Store) -> Exception | None:
        """Open a database and take over its counts."""
        found: list[Census] = []
        failed = await self.attempt(lambda: found.append(store.census()))
        if failed is None:
            store.load(found[0])
            for one in self._waiting if store is self.own else ():  # Taken while the disk had no room for the file.
                store.keys.add(one.row[1], one.row[2], one.row[0])
        return failed

    def hear(self, failed: Exception | None) -> None:
        """Note whether the disk works, log a change, and schedule a retry while it does not."""
        if failed is None:
            if not self.is_usable:
                _logger.info("the spool %s can be used", self._directory)
            self.is_usable = True
            return
        self.is_usable = False
        _limited.warning("disk", "the spool %s cannot be used: %s", self._directory, failed)
        if not self._is_writing:
            self._is_writing = True
            self._loop.call_later(RETRY_S, self._write)

    def _write(self) -> None:
        """Pass a batch to the thread. After an exception it runs again later: otherwise nothing would reach the disk
        any more."""
        try:
            self._hand_over()
        except Exception:
            timers.failed("Writer._write")
            self._loop.call_later(RETRY_S, self._write)

    def _hand_over(self) -> None:
        """Pass a batch to the thread; an empty one tests whether the disk works again."""
        if self._is_closed:
            return
        self._is_writing = True
        if not self.own.is_loaded:
            loading = asyncio.ensure_future(self.load(self.own))
            loading.add_done_callback(lambda done: self._on_written([], done.result()))
            return
        batch = self._waiting[:ROWS_AT_ONCE]
        writing = self.attempt(self._commit, [one.row for one in batch])
        writing.add_done_callback(lambda done: self._on_written(batch, done.result()))

    def _commit(self, rows: Sequence[Row]) -> None:
        if not rows:
            self.own.file.probe()
            return
        try:
            self.own.file.append(rows)
        except sqlite3.Error as failed:
            if not is_broken(failed):
                raise
            self.own.file.replace(failed)
            self.own.file.append(rows)

    def _on_written(self, batch: list[_Waiting], failed: Exception | None) -> None:
        """Report the outcome of a batch, which is the beginning of ``_waiting``."""
        self._is_writing = False
        rest = self._waiting[len(batch) :]
        if failed is None:
            self._waiting = rest
            self._lowest_written = min([self._lowest_written, *(one.row[0] for one in batch)])
            for one in batch:
                self.waiting_bytes -= one.size
                self.own.count += 1
                self.own.size += one.size
                self.written += 1
                _tell(one, None)
        else:
            self.failed_commits += 1
            self._waiting = [one for one in batch if not one.is_awaited] + rest
            self._refuse([one for one in batch if one.is_awaited])
        self.hear(failed)
        if failed is None and self._waiting and not self._is_writing:
            self._write()

    def _refuse(self, batch: list[_Waiting]) -> None:
        """Report to each event's ``on_kept`` that it is not kept."""
        for one in batch:
            self.waiting_bytes -= one.size
            self.own.keys.remove(one.row[1], one.row[2])
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
    except Exception as failed:  # A bug: the loop waits for an answer all the same.
        timers.failed("Writer._try")
        return failed
    return None
