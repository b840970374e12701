"""Standard output and error of the commands: their reader may leave early (``penstock events | head -1``).

Place: used by the commands that print many lines, and around all of them by __main__.
Rule: a reader that leaves early is not a failure; the command ends quietly. A full disk is a failure and is reported.
Not here: the content (commands.events, commands.validate), the output of the service (host.stdio).
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from server.errors import PenstockError

_NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})


@contextmanager
def until_nobody_reads() -> Iterator[None]:
    """Leave the block, without an exception, when standard output has no reader any more; flush it at the end. Raises
    PenstockError if it cannot be written for another reason."""
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        _forget(sys.stdout.fileno())
    except OSError as error:
        if error.errno not in _NO_ROOM or error.filename is not None:
            raise
        _forget(sys.stdout.fileno())
        raise PenstockError(f"standard output cannot be written: {error.strerror}") from None


def say(text: str) -> None:
    """Print a line to standard error. If that has no reader either, only the exit code tells."""
    try:
        print(text, file=sys.stderr, flush=True)
    except OSError:
        _forget(sys.stderr.fileno())


def _forget(fd: int) -> None:
    """Point a stream to the null device, so that the interpreter's flush at its end cannot fail."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, fd)
    os.close(nowhere)
