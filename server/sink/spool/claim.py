"""Claim one database for each worker: the first number in a directory that no living process holds.

Place: sink.sqlite, sink.spool.spool → HERE.
Rule: the lock is on a file next to the database: opening and closing the database itself a second time would drop the
locks that SQLite holds on it (POSIX locks belong to the process). The kernel releases the lock when its process dies.
Not here: the content of the files.
"""

from __future__ import annotations

import fcntl
import itertools
import os
from pathlib import Path


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
