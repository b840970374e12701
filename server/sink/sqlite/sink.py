"""Keep events in SQLite: the sink of the embedded default, where there is no Kafka.

Place: intake.pipeline → HERE → intake.pending. The contract is in sink.base.
Rules: the records of a loop turn are one transaction, or several if they are many; acks come after their commit. While
the file cannot be written (locked, full, being opened) records wait in memory, in their order and within the limits,
and are tried again; one that a request waits for fails after ``settle_s`` and is not stored afterwards. The loop never
waits for a lock.
Not here: the file (sink.sqlite.file), opening and replacing it (sink.sqlite.upkeep), reading it (sink.sqlite.reader).
"""

# hot path

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import orjson

from server.log import Limited
from server.record import Record
from server.sink.base import OnAck, Sink, SinkCounts
from server.sink.salvage import is_broken
from server.sink.sqlite.file import GoneError, Row
from server.sink.sqlite.upkeep import RETRY_S, Upkeep, can_pass

# A transaction of 500 rows takes 2.5 ms of the loop; further rows wait for the next turn.
ROWS_AT_ONCE: Final = 500
ROWS_TRIED: Final = 20  # Rows of a retry: with a full disk, all are written before the transaction fails at its end.
BYTES_AT_ONCE: Final = 4 << 20
CLOSE_S: Final = 2.0
DRAIN_LOOK_S: Final = 0.005
CLOCK_S: Final = 0.001  # uvloop's clock counts milliseconds.

_BEING_OPENED: Final = "a database is being opened"

_logger = logging.getLogger("sink.sqlite")
_limited = Limited(_logger)

# Row, ack, whether a request waits for it, since when (loop time), bytes.
_Waiting = tuple[Row, OnAck, bool, float, int]


class OverdueError(Exception):
    """The file could not be written for as long as a request waits."""


class SqliteSink(Sink):
    """The contract is in sink.base."""

    knows_oldest = True

    def __init__(
        self, directory: Path, *, max_outstanding: int, max_outstanding_bytes: int, settle_s: float = 5.0
    ) -> None:
        self._directory = directory
        self._max_outstanding = max_outstanding
        self._max_outstanding_bytes = max_outstanding_bytes
        self._settle_s = settle_s
        self._waiting: list[_Waiting] = []
        self._bytes = 0
        # The headers of the record before, and their text. All events of one route have the same list, which is not
        # changed.
        self._headers: list[tuple[str, bytes]] = []
        self._headers_text = b"{}"
        self._since = 0.0  # Loop time of the records that are being submitted.
        self._stored_ns = 0
        self._is_scheduled = False
        self._is_behind = False
        self._is_closed = False
        self._behind_since = 0.0
        self._retry: asyncio.TimerHandle | None = None
        self.upkeep = Upkeep(directory, self._on_usable)
        self._file = self.upkeep.file
        self.failed_commits = 0
        self.callback_failures = 0

    async def open(self) -> None:  # cold: once
        """Claim a database and open it; while it is locked or has no room, records wait."""
        self._loop = asyncio.get_running_loop()
        try:
            await self.upkeep.open()
        except BaseException:
            await self.close()
            raise

    def submit(self, record: Record, on_ack: OnAck) -> str | None:
        """Put the record into this loop turn's transaction."""
        if self.is_full():
            return "queue_full"
        if not self._is_scheduled or self._is_behind:
            self._since = self._loop.time()
            self._stored_ns = max(self._stored_ns, self._file.last_stored_ns, time.time_ns())  # It never decreases.
        if not self._is_scheduled:
            self._is_scheduled = True
            self._loop.call_soon(self._flush)
        value, key = record.value, record.key
        if record.headers is not self._headers:
            texts = {name: text.decode("utf-8", "replace") for name, text in record.headers}
            self._headers_text = orjson.dumps(texts)
            self._headers = record.headers
        headers = self._headers_text
        size = len(value) + len(headers) + (len(key) if key else 0)
        row = (self._stored_ns, record.topic, key, record.timestamp_ms, headers, value)
        self._waiting.append((row, on_ack, record.is_awaited(), self._since, size))
        self._bytes += size
        return None

    def is_full(self) -> bool:
        """Whether a limit is reached. One mark is enough: everything is usually written by the end of the loop turn, so
        the answer does not flap."""
        return len(self._waiting) >= self._max_outstanding or self._bytes >= self._max_outstanding_bytes

    def outstanding(self) -> int:
        return len(self._waiting)

    def oldest(self) -> float:  # cold: on a tick
        """Return the loop time up to which all submitted records have an outcome."""
        return self._waiting[0][3] - CLOCK_S if self._waiting else self._loop.time()

    def is_away(self) -> bool:
        """Whether records wait for a file that cannot be written."""
        return self._is_behind or not self.upkeep.is_usable

    def counts(self) -> SinkCounts:  # cold: on a beat
        file = self.upkeep.file
        return SinkCounts(
            failed_commits=self.failed_commits,
            damaged=file.damaged,
            gone=file.gone,
            recovered=self.upkeep.recovered,
        )

    def recall(self) -> None:
        """Do nothing: the records wait in order, and none can overtake another."""

    def separate(self, topic: str, *, is_keyed: bool) -> bool:
        """Do nothing: SQLite limits the size of each value, never of a transaction."""
        return True

    def classify(self, error: Any) -> str:
        """Name the ``error_type`` by SQLite's code; extended codes have the plain one in their low byte. An error
        without a code is not SQLite's."""
        if isinstance(error, OverdueError):
            return "broker_timeout"
        code = getattr(error, "sqlite_errorcode", None)
        if code is None:
            return "internal"
        if code & 0xFF == sqlite3.SQLITE_TOOBIG:
            return "event_too_large"
        return "broker_timeout" if can_pass(error) else "broker_rejected"

    async def drain(self, deadline: float) -> int:  # cold: once
        """Write all records, and those that their acks submit; wait for a file that cannot be written."""
        while self._waiting and self._loop.time() < deadline:
            self._flush()
            await asyncio.sleep(DRAIN_LOOK_S if self._is_behind else 0)
        return len(self._waiting)

    async def close(self) -> None:  # cold: once
        """Write the remaining records, fail those that cannot be written, then release the file to other workers."""
        self.upkeep.stop()
        if self.upkeep.is_usable:
            self._flush()
        while self._waiting and self.upkeep.is_usable and not self._is_behind:
            self._flush()
        self._is_closed = True
        left, self._waiting, self._bytes = self._waiting, [], 0
        self._ack(left, [OverdueError("the database could not be written before the end")] * len(left))
        if self._retry is not None:
            self._retry.cancel()
        await self.upkeep.close(CLOSE_S)

    def _flush(self) -> None:
        """Write the records of a loop turn, at most ROWS_AT_ONCE, in one transaction, then call their acks.

        It runs on the loop, not on a thread: measured on a virtual disk (ext4), a commit of 1–20 rows takes 0.3–0.4 ms
        (99 %: 1.3 ms), of 1000 rows 5 ms. A hand-over to a thread and back costs 0.1 ms of both, and a second busy
        thread far more. Kafka is the sink for loads that such a disk cannot carry.
        """
        self._is_scheduled = False
        if not self._waiting:
            self._try_again()
            return
        if not self.upkeep.is_usable:
            self._fall_behind(_BEING_OPENED)
            return
        count = len(self._waiting)
        if count > ROWS_AT_ONCE or self._bytes > BYTES_AT_ONCE or self._is_behind:
            count = self._turn()
        if self._commit(self._waiting[:count]):
            self._catch_up()

    def _try_again(self) -> None:  # cold: those that waited have been told that they waited too long
        """Find out whether the file can be written, though nothing is left to write: else it would pass for away until
        the next record comes."""
        if not self._is_behind or self._is_closed:
            return
        try:
            if self.upkeep.is_usable:
                self._file.try_to_write()
                self._catch_up()
                return
        except (sqlite3.Error, GoneError, OSError) as failed:
            if isinstance(failed, GoneError) or is_broken(failed):
                self.upkeep.renew(failed)
        self._is_scheduled = True
        self._retry = self._loop.call_later(RETRY_S, self._flush)

    def _turn(self) -> int:  # cold: more than a turn's worth
        """Return how many of the waiting records are written in one transaction."""
        size = 0
        batch = self._waiting[: ROWS_TRIED if self._is_behind else ROWS_AT_ONCE]
        for count, one in enumerate(batch, 1):
            size += one[4]
            if size >= BYTES_AT_ONCE:
                return count
        return len(batch)

    def _commit(self, batch: list[_Waiting]) -> bool:  # cold: logs only what failed
        """Write the first of the waiting records, and ack them. False: they still wait."""
        rows = [one[0] for one in batch]
        errors: list[Exception | None] | None = None
        try:
            self._file.commit(rows)
        except Exception as failed:  # Also a row that cannot be bound, or a lack of memory: the acks must follow.
            self.failed_commits += 1
            if isinstance(failed, GoneError) or is_broken(failed):
                self.upkeep.renew(failed)
            elif not can_pass(failed):
                errors = self._commit_each(rows, failed)
            if errors is None:
                self._fall_behind(failed if self.upkeep.is_usable else _BEING_OPENED)
                return False
        del self._waiting[: len(batch)]
        self._bytes -= sum(one[4] for one in batch)
        self._ack(batch, errors or [None] * len(batch))
        return True

    def _commit_each(self, rows: list[Row], error: Exception) -> list[Exception | None] | None:  # cold: a row is bad
        """Store all rows that can be stored. Returns the outcome of each; None: they still wait."""
        detail = error if isinstance(error, sqlite3.Error) else "".join(traceback.format_exception(error))
        _limited.warning(
            "commit",
            "%d events could not be stored in %s in one transaction; trying them one by one: %s",
            len(rows),
            self._directory,
            detail,
        )
        try:
            return self._file.commit_each(rows)
        except (sqlite3.Error, MemoryError) as failed:
            return None if can_pass(failed) else [error] * len(rows)

    def _fall_behind(self, why: object) -> None:  # cold: the file cannot be written
        """Schedule a retry, and fail the records that have waited too long."""
        now = self._loop.time()
        if not self._is_behind:
            self._is_behind = True
            self._behind_since = now
        text = "%d events wait in memory, because nothing can be stored in %s: %s"
        _limited.warning("behind", text, len(self._waiting), self._directory, why)
        overdue = [one for one in self._waiting if one[2] and one[3] + self._settle_s <= now]
        if overdue:
            self._waiting = [one for one in self._waiting if not (one[2] and one[3] + self._settle_s <= now)]
            self._bytes -= sum(one[4] for one in overdue)
            self._ack(overdue, [OverdueError(str(why))] * len(overdue))
        if self._retry is not None:
            self._retry.cancel()
        if not self._is_closed:
            self._is_scheduled = True
            self._retry = self._loop.call_later(RETRY_S, self._flush)

    def _catch_up(self) -> None:  # cold: logs only what is over
        """Schedule the next commit after one has succeeded."""
        if self._is_behind:
            self._is_behind = False
            waited_s = self._loop.time() - self._behind_since
            _logger.warning("events are stored in %s again, after %.1f s", self._directory, waited_s)
        if self._waiting and not self._is_scheduled:
            self._is_scheduled = True
            self._loop.call_soon(self._flush)

    def _on_usable(self) -> None:  # cold: the file was opened
        self._stored_ns = max(self._stored_ns, self._file.last_stored_ns)
        if self._waiting and not self._is_closed:
            self._flush()

    def _ack(self, batch: Sequence[_Waiting], errors: Sequence[Exception | None]) -> None:  # cold: logs what raised
        for one, error in zip(batch, errors, strict=True):
            try:
                one[1](error, None)
            except Exception:  # The callback is not ours; the others must still be called.
                self.callback_failures += 1
                _limited.warning("callback", "an ack callback failed: %s", traceback.format_exc())
