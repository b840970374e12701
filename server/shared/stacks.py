"""Get the stacks of any process: on demand, even while it is stuck, and of one that a fault or ABRT has ended.

Place: made by the scoreboard before the first fork; master.child makes a child answer, server.admin asks, and
master.loop reads what a dead child has left.
Rules: a signal (USR2) makes faulthandler write the stacks of all threads into a file in memory that all processes
share; C code does so, even while Python is blocked. One process is asked at a time, and only a living child of our
master, because the signal could end any other process. The master itself ignores the signal, and so does a child that
cannot answer yet. A fatal signal writes into a second file, where every row of the scoreboard has an area of its own:
children may die at the same time, and standard error takes whole records of the log only.
Not here: the record of the log (master.loop).
"""

from __future__ import annotations

import faulthandler
import fcntl
import os
import signal
import tempfile
import time
from pathlib import Path
from typing import Final

ASK: Final = signal.SIGUSR2
WAIT_S: Final = 0.5
_POLL_S: Final = 0.005
_MAX_BYTES: Final = 1 << 20  # Of one process. The files are sparse: only what is written takes memory.
_STDERR: Final = 2


class Stacks:
    """The shared files."""

    def __init__(self) -> None:
        self._fd = _file("penstock-stacks")
        self._dead_fd = _file("penstock-dead")
        # All children share one file offset, and each appends at the end.
        fcntl.fcntl(self._fd, fcntl.F_SETFL, fcntl.fcntl(self._fd, fcntl.F_GETFL) | os.O_APPEND)

    def answer(self) -> None:
        """Write the stacks when asked, in a child."""
        faulthandler.register(ASK, self._fd, all_threads=True)

    def leave_when_dying(self, row: int) -> None:
        """Write the stacks of all threads into the area of this row when a fatal signal comes, in a child. Without
        /proc they go to standard error as plain text."""
        try:
            # An open file of its own has a position of its own.
            fd = os.open(f"/proc/self/fd/{self._dead_fd}", os.O_WRONLY | os.O_CLOEXEC)
        except OSError:
            fd = _STDERR
        else:
            os.lseek(fd, row * _MAX_BYTES, os.SEEK_SET)
        faulthandler.enable(fd)

    def left_by(self, row: int) -> str:
        """Return the stacks that the dead child of this row has left, and clear the area; empty if it left none."""
        found = os.pread(self._dead_fd, _MAX_BYTES, row * _MAX_BYTES).partition(b"\0")[0]
        if found:
            os.pwrite(self._dead_fd, bytes(len(found)), row * _MAX_BYTES)
        return found.decode("utf-8", "replace")

    def ask(self, pid: int, master_pid: int) -> str:
        """Return the stacks of a child, or the reason why there are none."""
        if _parent_of(pid) != master_pid:
            return "the process is gone\n"
        os.ftruncate(self._fd, 0)
        try:
            os.kill(pid, ASK)
        except ProcessLookupError:
            return "the process is gone\n"
        deadline = time.monotonic() + WAIT_S
        size = -1
        while time.monotonic() < deadline:
            time.sleep(_POLL_S)
            before, size = size, os.fstat(self._fd).st_size
            if size and size == before:
                return os.pread(self._fd, _MAX_BYTES, 0).decode("utf-8", "replace")
        return "the process does not answer: it has only just started, or the system has stopped it\n"


def _file(name: str) -> int:
    """Return the descriptor of an empty file that has no name on any disk."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create(name)
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def _parent_of(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, ValueError):
        return 0
