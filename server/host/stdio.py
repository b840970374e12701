"""Standard input, output and error: keep them open, and never wait for their readers in the service.

Place: __main__ calls ``hold_open`` before anything is opened, commands.serve calls ``never_wait``; the log writes HERE.
Rules: a text that cannot be written at once is held in memory, up to ``MAX_BYTES``, and written as soon as possible.
Beyond that, whole texts are dropped and counted, and the log says so when it resumes. Nothing here raises an OSError,
waits (except ``finish``, for a bounded time), or changes an open file that another program shares.
Not here: the format of a line (log), standard output of commands that print and end (commands.output).
"""

from __future__ import annotations

import io
import os
import select
import socket
import stat
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Final

MAX_BYTES: Final = 256 << 10  # Per process: four times the capacity of a pipe in Linux (pipe(7)).
FINISH_S: Final = 0.5  # How long a process waits for a slow reader at its end.

_INPUT, _OUTPUT, _ERROR = 0, 1, 2


def hold_open() -> None:
    """Open the null device in place of each of the three that is closed (``serve 2>&-``).

    Otherwise the next file or socket would get its number, and a stack or a message of a C library would go into it.
    """
    for fd in (_INPUT, _OUTPUT, _ERROR):
        try:
            os.fstat(fd)
        except OSError:
            nowhere = os.open(os.devnull, os.O_RDWR)
            if nowhere != fd:
                os.dup2(nowhere, fd)
                os.close(nowhere)
            os.set_inheritable(fd, True)
    # Python sets a stream to None if it was closed at the start.
    sys.stdin = sys.stdin or os.fdopen(_INPUT, closefd=False)
    sys.stdout = sys.stdout or os.fdopen(_OUTPUT, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(_ERROR, "w", closefd=False)


class Unwaited(io.TextIOBase):
    """A text stream to a descriptor that never waits. ``dropped`` counts texts, one for each line of the log.
    ``on_resumed`` is called with the number of dropped texts once the held ones have been written."""

    def __init__(self, fd: int, on_resumed: Callable[[int], None]) -> None:
        self._fd = fd
        self._take = _taker(fd)
        self._on_resumed = on_resumed
        self._lock = threading.RLock()  # Threads of a worker log too.
        self._part = ""
        self._kept: deque[bytes] = deque()
        self._kept_bytes = 0
        self._unsaid = 0
        self.dropped = 0

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return "utf-8"

    def fileno(self) -> int:
        return self._fd

    def isatty(self) -> bool:
        return os.isatty(self._fd)

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        """Take a text. A text that does not end with a line break is joined with the next one."""
        with self._lock:
            self._part += text
            if not self._part.endswith("\n"):
                return len(text)
            whole, self._part = self._part.encode("utf-8", "backslashreplace"), ""
            if self._kept_bytes + len(whole) > MAX_BYTES:
                self.dropped += 1
                self._unsaid += 1
            else:
                self._kept.append(whole)
                self._kept_bytes += len(whole)
        self.flush()
        return len(text)

    def flush(self) -> None:
        """Write as much as possible at once. It has to be called regularly while texts are held."""
        with self._lock:
            if not self._is_written():
                return
            unsaid, self._unsaid = self._unsaid, 0
        if unsaid:  # Outside the lock: a log handler has a lock of its own and takes the two in the opposite order.
            self._on_resumed(unsaid)

    def _is_written(self) -> bool:
        """Write the held texts. Return whether all of them were written."""
        try:
            while self._kept:
                taken = self._take(self._kept[0])
                self._kept_bytes -= taken
                rest = self._kept.popleft()[taken:]
                if rest:  # The next call continues in the middle of this text.
                    self._kept.appendleft(rest)
        except OSError:  # The reader is slow or gone, or the disk is full: the rest stays for the next call.
            return False
        return True

    def finish(self) -> None:
        """Wait for a slow reader, at most FINISH_S: the process is about to end."""
        if self._part:
            self.write("\n")
        deadline = time.monotonic() + FINISH_S
        waiting = select.poll()
        waiting.register(self._fd, select.POLLOUT)
        self.flush()
        while self._kept and (left_s := deadline - time.monotonic()) > 0:
            found = waiting.poll(left_s * 1000)
            if not all(events & select.POLLOUT and not events & select.POLLERR for _, events in found):
                return  # The reader is gone.
            before = self._kept_bytes
            self.flush()
            if self._kept_bytes == before:
                return  # The descriptor claims to be writable and takes nothing: the disk is full.

    def begin_child(self) -> None:
        """Start empty after a fork: the parent writes the held texts and counts the dropped ones."""
        self._part = ""
        self._kept.clear()
        self._kept_bytes = self._unsaid = self.dropped = 0


def never_wait(on_resumed: Callable[[int], None]) -> None:
    """Make this process and its children never wait for a reader of standard output or error."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    sys.stdout = Unwaited(_OUTPUT, on_resumed)
    sys.stderr = Unwaited(_ERROR, on_resumed)


def dropped() -> int:
    """Return how many texts this process has dropped."""
    return sum(stream.dropped for stream in _ours())


def flush() -> None:
    """Write the held texts, as far as possible at once."""
    for stream in _ours():
        stream.flush()


def finish() -> None:
    """Call ``Unwaited.finish`` of both streams, at the end of a process."""
    for stream in _ours():
        stream.finish()


def begin_child() -> None:
    """Call ``Unwaited.begin_child`` of both streams, in a child just after the fork."""
    for stream in _ours():
        stream.begin_child()


def _ours() -> list[Unwaited]:
    return [stream for stream in (sys.stdout, sys.stderr) if isinstance(stream, Unwaited)]


def _taker(fd: int) -> Callable[[bytes], int]:
    """Return a function that writes to ``fd`` without waiting. Only a disk may be waited for."""
    mode = os.fstat(fd).st_mode
    if stat.S_ISSOCK(mode):  # systemd's journal cannot be opened a second time, but each call can be told not to wait.
        to = socket.socket(fileno=os.dup(fd))
        return partial(_send, to)
    if stat.S_ISFIFO(mode) or os.isatty(fd):
        _open_again(fd, is_terminal=not stat.S_ISFIFO(mode))
    return partial(os.write, fd)


def _send(to: socket.socket, text: bytes) -> int:
    return to.send(text, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)


def _open_again(fd: int, *, is_terminal: bool) -> None:
    """Give ``fd`` an open file of its own, which does not wait.

    O_NONBLOCK belongs to the open file, which the shell and other programs of a pipeline share (open(2), fcntl(2)):
    their terminal or pipe must not change. C code that writes to ``fd``, such as faulthandler's, then does not wait
    either.
    """
    try:
        own = os.open(f"/proc/self/fd/{fd}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError:  # There is no /proc, the pipe is another user's, or the reader of a named pipe is gone.
        if not is_terminal:
            os.set_blocking(fd, False)
        return
    os.dup2(own, fd)
    os.close(own)
