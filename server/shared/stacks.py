"""Get the stacks of any process on demand, even while it is stuck.

Place: made by the scoreboard before the first fork; master.child makes a child answer, server.admin asks.
Rules: a signal (USR2) makes faulthandler write the stacks of all threads into a file in memory that all processes
share; C code does so, even while Python is blocked. One process is asked at a time, and only a living child of our
master, because the signal could end any other process. The master itself ignores the signal, and so does a child that
cannot answer yet.
Not here: the stacks of a child that is aborted for being late, which go to the log (master.loop).
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
_MAX_BYTES: Final = 1 << 20


class Stacks:
    """The shared file."""

    def __init__(self) -> None:
        if hasattr(os, "memfd_create"):
            self._fd = os.memfd_create("penstock-stacks")
        else:
            self._fd = os.dup(tempfile.TemporaryFile().fileno())  # noqa: SIM115 - kept for the life of the service
        # All children share one file offset, and each appends at the end.
        fcntl.fcntl(self._fd, fcntl.F_SETFL, fcntl.fcntl(self._fd, fcntl.F_GETFL) | os.O_APPEND)

    def answer(self) -> None:
        """Write the stacks when asked, in a child."""
        faulthandler.register(ASK, self._fd, all_threads=True)

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


def _parent_of(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, ValueError):
        return 0
