"""Notice that a file was replaced, or that it has to be read once more.

Place: auth.key_follower, privacy.keys → HERE, on every beat.
Rules: there is one ``stat`` per beat. A file that cannot be read now, for want of a descriptor for instance, is read
again on the next beat, and that is told once.
Not here: what is read from the file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class FileMark:
    """The state in which one file was last seen."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._seen: tuple[int, int, int] | None = None
        self._is_unread = self._was_unread = False

    def is_due(self) -> bool:
        """Whether the file has to be read: it was written in place or replaced, or could not be read before."""
        seen = _mark_of(self.path)
        if seen == self._seen and not self._is_unread:
            return False
        self._was_unread, self._is_unread, self._seen = self._is_unread, False, seen
        return True

    def failed(self, error: Exception) -> bool:
        """Note that what was due could not be used. If ``error`` was caused by an OSError, it is due again. Returns
        whether that is news."""
        self._is_unread = isinstance(error.__cause__, OSError)
        return not (self._was_unread and self._is_unread)


def _mark_of(path: Path) -> tuple[int, int, int] | None:
    """Return a value that changes when the file is replaced; None when it cannot be told."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size
