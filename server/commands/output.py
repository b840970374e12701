"""Standard output and error of the commands: their reader may leave early (``penstock events | head -1``).

Place: beside the commands that print many lines, and around all of them (__main__).
Rule: a reader that has seen enough is no failure; the command ends quietly. A disk without room is one, and is said.
Not here: what is printed (commands.events, commands.validate), the output of the service (stdio).
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
    """Leave the block, without an exception, when nobody reads standard output any more; flush it at the end. Raises
    PenstockError when it cannot be written for another reason."""
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
    """Print a line to standard error. Where nobody reads that, the exit code has to do."""
    try:
        print(text, file=sys.stderr, flush=True)
    except OSError:
        _forget(sys.stderr.fileno())


def _forget(fd: int) -> None:
    """The interpreter flushes its streams once more at its end: give that nowhere to fail."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, fd)
    os.close(nowhere)
