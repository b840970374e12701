"""One database for each worker: the first number in a directory that no living process holds.

Place: sink.sqlite, sink.spool.spool → HERE.
Rule: the lock is on a file beside the database: opening and closing the database itself a second time would drop the
locks that SQLite holds on it (POSIX locks belong to the process). The kernel lets go of it when its process dies.
Not here: what is in the files.
"""

from __future__ import annotations

import fcntl
import itertools
import os
from pathlib import Path


def first_free(directory: Path, stem: str, suffix: str) -> tuple[Path, int]:
    """Lock ``stem-N`` of the smallest free N: its database's path, and the descriptor that holds the lock."""
    for number in itertools.count():
        path = directory / f"{stem}-{number}{suffix}"
        fd = take(path)
        if fd is not None:
            return path, fd
    raise AssertionError("itertools.count never ends")


def take(path: Path) -> int | None:
    """Lock this one: the descriptor that holds it, or None when somebody else does."""
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
        os.close(fd)  # Whoever had it has deleted it in the meantime: a lock that nobody else can meet.


def _is_named(fd: int, lock: Path) -> bool:
    try:
        return os.fstat(fd).st_ino == lock.stat().st_ino
    except FileNotFoundError:
        return False
