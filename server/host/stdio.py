"""Standard input, output and error: always open, and in the service never waited for.

Place: __main__ calls ``hold_open`` before anything is opened, commands.serve calls ``never_wait``; the log writes HERE.
Rules: a text that is not taken at once is kept in memory, up to ``MOST_BYTES``, and written as soon as it is taken;
beyond that, whole texts are dropped and counted, and the log says so when it goes on. Nothing here raises an OSError,
waits (except ``finish``, for a bounded time), or changes an open file that another program has too.
Not here: what a line looks like (log), standard output of commands that print and end (commands.output).
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

MOST_BYTES: Final = 256 << 10  # Of each process: four times what a pipe of Linux holds (pipe(7)).
FINISH_S: Final = 0.5  # At the end of a process, for a reader that is slow.

_INPUT, _OUTPUT, _ERROR = 0, 1, 2


def hold_open() -> None:
    """Open the null device as whichever of the three is closed (``serve 2>&-``).

    The next file or socket would get its number otherwise, and a stack or a message of a C library would go into it.
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
    # Python has None in place of what was closed when it began.
    sys.stdin = sys.stdin or os.fdopen(_INPUT, closefd=False)
    sys.stdout = sys.stdout or os.fdopen(_OUTPUT, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(_ERROR, "w", closefd=False)


class Unwaited(io.TextIOBase):
    """A text stream to a descriptor. ``dropped`` counts texts, one for each line of the log. ``on_resumed`` is called
    with the number of those that were dropped, once what was kept has been written."""

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
        """Take a text. What ends without a line break is joined with the next one."""
        with self._lock:
            self._part += text
            if not self._part.endswith("\n"):
                return len(text)
            whole, self._part = self._part.encode("utf-8", "backslashreplace"), ""
            if self._kept_bytes + len(whole) > MOST_BYTES:
                self.dropped += 1
                self._unsaid += 1
            else:
                self._kept.append(whole)
                self._kept_bytes += len(whole)
        self.flush()
        return len(text)

    def flush(self) -> None:
        """Write what can be written at once. To be called now and then while something is kept."""
        with self._lock:
            if not self._is_written():
                return
            unsaid, self._unsaid = self._unsaid, 0
        if unsaid:  # Not under the lock: a handler of the log has one of its own, and takes them the other way round.
            self._on_resumed(unsaid)

    def _is_written(self) -> bool:
        """Write what is kept. False: not all of it was taken."""
        try:
            while self._kept:
                taken = self._take(self._kept[0])
                self._kept_bytes -= taken
                rest = self._kept.popleft()[taken:]
                if rest:  # The next piece goes on in the middle of it.
                    self._kept.appendleft(rest)
        except OSError:  # Nobody reads, nobody reads any more, or the disk has no room: it stays for the next time.
            return False
        return True

    def finish(self) -> None:
        """The process is about to end: wait for a slow reader, FINISH_S at the most."""
        if self._part:
            self.write("\n")
        deadline = time.monotonic() + FINISH_S
        waiting = select.poll()
        waiting.register(self._fd, select.POLLOUT)
        self.flush()
        while self._kept and (left_s := deadline - time.monotonic()) > 0:
            found = waiting.poll(left_s * 1000)
            if not all(events & select.POLLOUT and not events & select.POLLERR for _, events in found):
                return  # Its reader has gone.
            before = self._kept_bytes
            self.flush()
            if self._kept_bytes == before:
                return  # There is room, by its own word, and nothing is taken: a full disk.

    def begin_child(self) -> None:
        """After a fork: what is kept is the parent's to write, and what was dropped is its to count."""
        self._part = ""
        self._kept.clear()
        self._kept_bytes = self._unsaid = self.dropped = 0


def never_wait(on_resumed: Callable[[int], None]) -> None:
    """From now on nobody in this process, or in its children, waits for a reader of standard output or error."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    sys.stdout = Unwaited(_OUTPUT, on_resumed)
    sys.stderr = Unwaited(_ERROR, on_resumed)


def dropped() -> int:
    """Texts that this process has dropped."""
    return sum(stream.dropped for stream in _ours())


def flush() -> None:
    """Write what has been kept, as far as it is taken at once."""
    for stream in _ours():
        stream.flush()


def finish() -> None:
    """At the end of a process."""
    for stream in _ours():
        stream.finish()


def begin_child() -> None:
    """In a child, just after the fork."""
    for stream in _ours():
        stream.begin_child()


def _ours() -> list[Unwaited]:
    return [stream for stream in (sys.stdout, sys.stderr) if isinstance(stream, Unwaited)]


def _taker(fd: int) -> Callable[[bytes], int]:
    """Write to it without waiting, whatever it is. A disk may be waited for."""
    mode = os.fstat(fd).st_mode
    if stat.S_ISSOCK(mode):  # systemd's journal: it cannot be opened a second time, but can be asked not to wait.
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
    they must not find their terminal or pipe changed. Also C code that writes to ``fd``, such as faulthandler's, does
    not wait then.
    """
    try:
        own = os.open(f"/proc/self/fd/{fd}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError:  # No /proc, the pipe is another user's, or the reader of a named one has gone.
        if not is_terminal:
            os.set_blocking(fd, False)
        return
    os.dup2(own, fd)
    os.close(own)
