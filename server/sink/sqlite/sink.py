"""Keep events in SQLite: the sink of the embedded default, where there is no Kafka.

Place: intake.pipeline → HERE → intake.pending. The contract is in sink.base.
Rules: the records of a loop turn are one transaction, many of them several; acks come after their commit. While the
file cannot be written (locked, full, being opened) records wait in memory, in their order and within the bounds, and
are tried again; one that somebody waits for fails after ``settle_s`` and is not stored afterwards. The loop never waits
for a lock.
Not here: the file (sink.sqlite.file), opening and replacing it (sink.sqlite.upkeep), reading it (commands.events).
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
from server.sink.base import OnAck, Record
from server.sink.salvage import is_broken
from server.sink.sqlite.file import GoneError, Row
from server.sink.sqlite.upkeep import RETRY_S, Upkeep, can_pass

# A transaction of 500 rows takes 2.5 ms of the loop; what is more waits for its next turn.
ROWS_AT_ONCE: Final = 500
ROWS_TRIED: Final = 20  # While nothing can be written: a disk that is full takes them all, and fails at the end.
BYTES_AT_ONCE: Final = 4 << 20
CLOSE_S: Final = 2.0
DRAIN_LOOK_S: Final = 0.005
CLOCK_S: Final = 0.001  # uvloop's clock counts milliseconds.

_BEING_OPENED: Final = "a database is being opened"

_logger = logging.getLogger("sink.sqlite")
_limited = Limited(_logger)

# Row, ack, whether somebody waits for it, since when (loop time), bytes.
_Waiting = tuple[Row, OnAck, bool, float, int]


class OverdueError(Exception):
    """The file could not be written for as long as the sender waits."""


class SqliteSink:
    """The contract is in sink.base. ``failed_commits`` and ``callback_failures`` are counts for metrics, as are those
    of ``upkeep``."""

    def __init__(
        self, directory: Path, *, max_outstanding: int, max_outstanding_bytes: int, settle_s: float = 5.0
    ) -> None:
        self._directory = directory
        self._max_outstanding = max_outstanding
        self._max_outstanding_bytes = max_outstanding_bytes
        self._settle_s = settle_s
        self._waiting: list[_Waiting] = []
        self._bytes = 0
        # Those of the record before, and their text. All events of one route have the same list, and it is not changed.
        self._headers: list[tuple[str, bytes]] = []
        self._headers_text = b"{}"
        self._since = 0.0  # Loop time of what is submitted now.
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
        """Claim a database and make it ready; while it is locked or has no room, records wait."""
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
            self._stored_ns = max(self._stored_ns, self._file.last_stored_ns, time.time_ns())  # Never back.
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
        self._waiting.append((row, on_ack, record.pending is not None, self._since, size))
        self._bytes += size
        return None

    def is_full(self) -> bool:
        """Usually everything is written by the end of the loop turn, so one mark is enough: the answer cannot flap."""
        return len(self._waiting) >= self._max_outstanding or self._bytes >= self._max_outstanding_bytes

    def outstanding(self) -> int:
        return len(self._waiting)

    def oldest(self) -> float:  # cold: on a tick
        """Loop time up to which everything that was submitted has an outcome."""
        return self._waiting[0][3] - CLOCK_S if self._waiting else self._loop.time()

    def is_away(self) -> bool:
        """Whether records wait for a file that cannot be written."""
        return self._is_behind or not self.upkeep.is_usable

    def recall(self) -> None:
        """Nothing: what fails is not kept before what waits behind it."""

    def separate(self, topic: str, *, is_keyed: bool) -> bool:
        """Nothing: SQLite weighs each value, never a transaction."""
        return True

    def classify(self, error: Any) -> str:
        """By SQLite's own code; extended ones have the plain one in their low byte. Without one it is not SQLite's."""
        if isinstance(error, OverdueError):
            return "broker_timeout"
        code = getattr(error, "sqlite_errorcode", None)
        if code is None:
            return "internal"
        if code & 0xFF == sqlite3.SQLITE_TOOBIG:
            return "event_too_large"
        return "broker_timeout" if can_pass(error) else "broker_rejected"

    async def drain(self, deadline: float) -> int:  # cold: once
        """Write what is outstanding, and what its acks submit; wait for a file that cannot be written."""
        while self._waiting and self._loop.time() < deadline:
            self._flush()
            await asyncio.sleep(DRAIN_LOOK_S if self._is_behind else 0)
        return len(self._waiting)

    async def close(self) -> None:  # cold: once
        """Write what is left, fail what cannot be written, then let another worker have the file."""
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
        """One transaction for the loop turn, or for ROWS_AT_ONCE of it, then its acks.

        In the loop, not on a thread: measured on a virtual disk (ext4), a commit of 1–20 rows takes 0.3–0.4 ms (99 %:
        1.3 ms), of 1000 rows 5 ms. A hand-over to a thread and back costs 0.1 ms of both and a second busy thread far
        more; whoever needs more than this disk gives has Kafka.
        """
        self._is_scheduled = False
        if not self._waiting:
            return
        if not self.upkeep.is_usable:
            self._fall_behind(_BEING_OPENED)
            return
        count = len(self._waiting)
        if count > ROWS_AT_ONCE or self._bytes > BYTES_AT_ONCE or self._is_behind:
            count = self._turn()
        if self._commit(self._waiting[:count]):
            self._catch_up()

    def _turn(self) -> int:  # cold: more than a turn's worth
        """How many of those that wait are written at once."""
        size = 0
        batch = self._waiting[: ROWS_TRIED if self._is_behind else ROWS_AT_ONCE]
        for count, one in enumerate(batch, 1):
            size += one[4]
            if size >= BYTES_AT_ONCE:
                return count
        return len(batch)

    def _commit(self, batch: list[_Waiting]) -> bool:  # cold: logs only what failed
        """Write the first of those that wait, and ack them. False: they go on waiting."""
        rows = [one[0] for one in batch]
        errors: list[Exception | None] | None = None
        try:
            self._file.commit(rows)
        except Exception as failed:  # Not SQLite's alone: a row that cannot be bound, no memory. The acks are owed.
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
        """Without the rows that cannot be stored: what each came to. None: they go on waiting."""
        detail = error if isinstance(error, sqlite3.Error) else "".join(traceback.format_exception(error))
        _limited.warning("commit", "%d events cannot be stored in %s at once: %s", len(rows), self._directory, detail)
        try:
            return self._file.commit_each(rows)
        except (sqlite3.Error, MemoryError) as failed:
            return None if can_pass(failed) else [error] * len(rows)

    def _fall_behind(self, why: object) -> None:  # cold: the file cannot be written
        """Try again in a while; meanwhile those that have waited too long are told so."""
        now = self._loop.time()
        if not self._is_behind:
            self._is_behind = True
            self._behind_since = now
        text = "%d events wait in memory, for nothing can be stored in %s: %s"
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
        """A commit has succeeded: what waits behind it is next."""
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
            except Exception:  # The callback is not ours; the others must be called all the same.
                self.callback_failures += 1
                _limited.warning("callback", "an ack callback failed: %s", traceback.format_exc())
