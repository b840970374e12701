"""Keep the database of the embedded sink usable: open it, reopen it after a failure, check it, start its recovery.

Place: sink.sqlite → HERE → sink.sqlite.file, sink.sqlite.recovery.
Rules: the loop waits for none of this: files are opened on one thread and checked on another. While a file is being
opened ``is_usable`` is False, and nothing else touches it. After a failure it is tried again every ``RETRY_S``, for
ever.
Not here: the events that wait meanwhile (sink.sqlite).
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from threading import Lock
from typing import Final

from server.errors import BootError
from server.log import Limited
from server.sink.salvage import files_of, is_broken
from server.sink.sqlite.file import EventFile, GoneError, OtherLayoutError
from server.sink.sqlite.recovery import recover, unrecovered
from server.timing.timers import Timer

LOOK_S: Final = 0.5  # A missing file is noticed before the next commit, or within this time.
RETRY_S: Final = 0.05
INTERRUPT_S: Final = 0.01
CHECK_EVERY_S: Final = 600.0
MAX_CHECKED_BYTES: Final = 1 << 30  # A check takes some seconds of a core for each gigabyte.

# Errors by the disk or another process, not by the settings: busy, full, failing, out of descriptors.
CAN_PASS: Final = frozenset(
    {
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_INTERRUPT,
    }
)
_SETTINGS: Final = frozenset({sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM})
_PASSING: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM})

_logger = logging.getLogger("sink.sqlite")
_limited = Limited(_logger)


class Upkeep:
    """Keeps one worker's file usable. ``on_usable`` is called on the loop whenever it can be written again."""

    def __init__(self, directory: Path, on_usable: Callable[[], None]) -> None:
        self._directory = directory
        self._on_usable = on_usable
        self._opener = ThreadPoolExecutor(1, "sqlite")
        self._reader = ThreadPoolExecutor(1, "sqlite-check")
        self._checked: sqlite3.Connection | None = None
        # Held while the check has a connection. The file is not closed before: another connection to it keeps SQLite
        # from emptying the log, and lends the index of that log to whatever is opened next.
        self._check_lock = Lock()
        self._interrupt_lock = Lock()
        self._is_opening = False
        self._is_reading = False
        self._is_stopped = False
        self._why: Exception | None = None
        self._opened = 0  # How often the file was opened. It tells whether a check was of the current file.
        self._next_reading: asyncio.TimerHandle | None = None
        self.file = EventFile(directory)
        self.is_usable = False
        self.recovered = 0

    async def open(self) -> None:
        """Open the file. Raises BootError if the settings can never work. With a lock, or a disk that is full or
        failing, the service starts and waits."""
        self._loop = asyncio.get_running_loop()
        failed = await self._loop.run_in_executor(self._opener, self._open, None)
        if failed is not None and _is_lasting(failed):
            raise BootError(self._hint(failed)) from None
        self._on_opened(failed)
        self._timer = Timer(self._loop, LOOK_S, self._look)
        self._timer.start()

    def renew(self, why: Exception) -> None:
        """Continue with another file, since this one is damaged or gone. The reason is logged once."""
        if self._is_opening or self._is_stopped:
            return
        if isinstance(why, GoneError):
            self.file.gone += 1
            _logger.error("%s: events go into a new database", why)
        self._begin(why)

    def stop(self) -> None:
        """Start nothing more, and interrupt a check."""
        self._is_stopped = True
        if hasattr(self, "_timer"):
            self._timer.cancel()
        self._stop_check()

    async def close(self, deadline_s: float) -> None:
        """Close the file. It waits for ``deadline_s`` at most: a disk that hangs must not keep the worker alive."""
        self.stop()
        self.is_usable = False
        closing_file = asyncio.get_running_loop().run_in_executor(self._opener, self._close)
        await asyncio.wait([closing_file], timeout=deadline_s)
        self._opener.shutdown(wait=False)
        self._reader.shutdown(wait=False)

    # The file.

    def _begin(self, why: Exception | None) -> None:
        self.is_usable = False
        self._is_opening = True
        self._why = why  # It is kept for the retry: a damaged file that cannot be set aside must not be written.
        self._stop_check()
        opening = self._loop.run_in_executor(self._opener, self._open, why)
        opening.add_done_callback(lambda done: self._on_opened(done.exception() or done.result()))

    def _open(self, why: Exception | None) -> Exception | None:
        self._await_check()
        try:
            if why is not None and is_broken(why):
                self.file.set_aside(why)
                self._why = None
            self.file.open()
        except (sqlite3.Error, OSError, OtherLayoutError) as failed:
            return failed
        finally:
            self._check_lock.release()
        return None

    def _close(self) -> None:
        self._await_check()
        try:
            self.file.close()
        finally:
            self._check_lock.release()

    def _await_check(self) -> None:
        """Take the lock of the check, and interrupt the check until it lets go. An interrupt that comes between two
        statements is lost, so there may be several."""
        while not self._check_lock.acquire(timeout=INTERRUPT_S):
            self._stop_check()

    def _on_opened(self, failed: BaseException | None) -> None:
        self._is_opening = False
        if failed is None:
            self._why = None
            self.is_usable = True
            self._opened += 1
            self._on_usable()
            self._read_through()
            return
        _limited.warning(
            "open",
            "cannot open the database in %s: %s; events are not stored until a retry succeeds",
            self._directory,
            failed,
        )
        if not self._is_stopped:
            self._loop.call_later(RETRY_S, self._retry)

    def _retry(self) -> None:
        if not self._is_opening and not self.is_usable and not self._is_stopped:
            self._begin(self._why)

    def _look(self) -> None:
        if not self.is_usable:
            return
        try:
            self.file.check()
            self.file.check_head()
        except (GoneError, sqlite3.DatabaseError, OSError) as failed:
            self.renew(failed)

    # The check.

    def _read_through(self) -> None:
        """Recover files that were set aside, then check every page of the file; repeat it after CHECK_EVERY_S."""
        if self._is_reading or self._is_stopped or not self.is_usable:
            return
        self._is_reading = True
        opened = self._opened
        reading = self._loop.run_in_executor(self._reader, self._read, self.file.path)
        reading.add_done_callback(lambda done: self._on_read(done.exception() or done.result(), opened))

    def _on_read(self, found: BaseException | None, opened: int) -> None:
        self._is_reading = False
        if self._is_stopped or self._is_opening:
            return  # The file that is being opened is checked afterwards.
        if opened != self._opened:
            self._read_through()
            return
        if isinstance(found, sqlite3.Error) and is_broken(found):
            self.renew(found)
            return
        if found is not None:
            _limited.warning("check", "the databases in %s cannot be checked: %s", self._directory, found)
        if self._next_reading is not None:
            self._next_reading.cancel()
        self._next_reading = self._loop.call_later(CHECK_EVERY_S, self._read_through)

    def _read(self, path: Path) -> Exception | None:
        """Recover and check, on a thread of its own. Returns the error in the file, or in reading it."""
        try:
            for aside in unrecovered(path.parent, path.stem):
                self.recovered += max(0, recover(aside, lambda: self._is_stopped))
        except (sqlite3.Error, OSError) as failed:
            return OSError(f"a file that was set aside cannot be recovered: {failed}")
        try:
            return self._check(path)
        except (sqlite3.Error, OSError) as failed:
            return failed

    def _check(self, path: Path) -> Exception | None:
        if path.stat().st_size > MAX_CHECKED_BYTES:
            _limited.warning("large", "%s is too large to be checked for damage as a whole", path)
            return None
        with (
            self._check_lock,
            closing(sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)) as database,
        ):
            self._checked = database
            try:
                if self._is_stopped or self._is_opening:
                    return None
                (verdict,) = database.execute("PRAGMA quick_check(1)").fetchone()
            finally:
                with self._interrupt_lock:
                    self._checked = None
        return None if verdict == "ok" else sqlite3.DatabaseError(verdict)

    def _stop_check(self) -> None:
        with self._interrupt_lock:  # A closed connection cannot be interrupted.
            if self._checked is not None:
                self._checked.interrupt()

    def _hint(self, failed: Exception) -> str:
        if isinstance(failed, OtherLayoutError):
            advice = "start the version that wrote it, or move the file away"
        elif (blocking := self._blocking(failed)) is not None:
            advice = f"{blocking} is not a regular file: move it away"
        else:
            advice = "name a directory that this user may write, on a disk with room"
        reason = failed.strerror if isinstance(failed, OSError) else str(failed)
        return f"sink.sqlite.path: cannot keep events in {self._directory}: {reason}; {advice}"

    def _blocking(self, failed: Exception) -> Path | None:
        """Find an object that is not a regular file in the place of one of the files: a directory, a pipe, a dangling
        link."""
        named = getattr(failed, "filename", None)
        places = [Path(named)] if named else files_of(self.file.path)
        is_blocked = (path != self._directory and os.path.lexists(path) and not path.is_file() for path in places)
        return next((path for path, found in zip(places, is_blocked, strict=True) if found), None)


def can_pass(error: Exception) -> bool:
    """Whether the same events may be stored later, in the same file."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in CAN_PASS


def _is_lasting(failed: Exception) -> bool:
    """Whether an operator has to change something before the service can start."""
    if isinstance(failed, OSError):
        return failed.errno not in _PASSING
    return isinstance(failed, OtherLayoutError) or getattr(failed, "sqlite_errorcode", 0) & 0xFF in _SETTINGS
