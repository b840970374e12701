"""Claim one database for each worker: the first number in a directory that no living process holds.

Place: sink.sqlite, sink.spool.spool → HERE; canary, plausibility → Lock, where one process of the host works for all.
Rule: the lock is on a file next to the database: opening and closing the database itself a second time would drop the
locks that SQLite holds on it (POSIX locks belong to the process). The kernel releases the lock when its process dies.
Not here: the content of the files.
"""

from __future__ import annotations

import fcntl
import itertools
import os
from collections.abc import Callable
from pathlib import Path


class Lock:
    """A lock next to a path, for work that one process of the host does at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd: int | None = None

    @property
    def is_held(self) -> bool:
        """Whether this process had the lock when it last asked for it."""
        return self._fd is not None

    def take(self, on_taken: Callable[[], None] | None = None) -> bool:
        """Take the lock if no other process has it, also again if its file was deleted. Returns whether this process
        holds it. ``on_taken`` is called when it did not before; if that raises, the lock is released. Raises OSError.
        """
        if self._fd is not None and not is_held(self._fd, self._path):
            self.release()
        if self._fd is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._fd = take(self._path)
            if self._fd is not None and on_taken is not None:
                try:
                    on_taken()
                except BaseException:
                    self.release()
                    raise
        return self._fd is not None

    def release(self) -> None:
        """Let another process have it."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


def first_free(directory: Path, stem: str, suffix: str) -> tuple[Path, int]:
    """Lock ``stem-N`` with the smallest free N. Returns its database's path, and the descriptor of the lock."""
    for number in itertools.count():
        path = directory / f"{stem}-{number}{suffix}"
        fd = take(path)
        if fd is not None:
            return path, fd
    raise AssertionError("itertools.count never ends")


def take(path: Path) -> int | None:
    """Lock this database. Returns the descriptor of the lock, or None if another process holds it."""
    lock = path.with_suffix(".lock")
    while True:
        fd = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            return None
        if _is_named(fd, lock):
            return fd
        os.close(fd)  # Its holder has deleted the file meanwhile, so other processes do not see this lock.


def is_held(fd: int, path: Path) -> bool:
    """Whether the lock behind ``fd`` is still that of this database: its file may have been deleted."""
    return _is_named(fd, path.with_suffix(".lock"))


def _is_named(fd: int, lock: Path) -> bool:
    try:
        return os.fstat(fd).st_ino == lock.stat().st_ino
    except FileNotFoundError:
        return False
