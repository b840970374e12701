"""Notice that a file was replaced.

Place: auth.key_follower, privacy.keys → HERE, on every beat.
Rule: a mark changes when the file is written in place, or another one takes its name.
Not here: what is read from the file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def mark_of(path: Path) -> tuple[int, int, int] | None:
    """Return a value that changes when the file is replaced; None when it cannot be told."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size
