"""Read the service's standard error into a file, unless told to stall or to close the pipe.

Place: soak.service → HERE (a thread) → the log file.
Rule: the pipe is as small as the kernel allows, so that the service soon notices a reader that stalls.
Not here: what the log says (soak.service).
"""

from __future__ import annotations

import fcntl
import os
import threading
from pathlib import Path
from typing import Final

PIPE_BYTES: Final = 4096


class LogReader(threading.Thread):
    """The reader. ``write_fd`` is for the process that is read; close it in this process once the other one runs."""

    def __init__(self, path: Path) -> None:
        super().__init__(daemon=True)
        self._file = path.open("ab", buffering=0)
        self._read_fd, self.write_fd = os.pipe()
        fcntl.fcntl(self._read_fd, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        self._may_read = threading.Event()
        self._may_read.set()
        self._is_gone = False

    def run(self) -> None:
        try:
            while self._may_read.wait() and not self._is_gone and (said := os.read(self._read_fd, PIPE_BYTES)):
                self._file.write(said)
        finally:
            os.close(self._read_fd)
            self._file.close()

    def stall(self) -> None:
        """Stop reading until told to go on. A read that is under way is finished first."""
        self._may_read.clear()

    def go_on(self) -> None:
        self._may_read.set()

    def vanish(self) -> None:
        """Close the pipe after the next read."""
        self._is_gone = True
