"""Standard output of the commands whose reader may leave early: ``penstock events | head -1``.

Place: beside the commands that print many lines.
Rule: a reader that has seen enough is no failure; the command ends quietly.
Not here: what is printed (commands.events, commands.validate).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def until_nobody_reads() -> Iterator[None]:
    """Leave the block, without an exception, when nobody reads standard output any more; flush it at the end."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        # The interpreter flushes standard output once more at its end; give that nowhere to fail.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
