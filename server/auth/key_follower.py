"""A worker's end of fetched public keys: it looks at their file, and takes up newer ones.

Place: worker calls ``look`` on its beat → HERE → auth.access.
Rules: one ``stat`` a beat. A file that cannot be used changes nothing: the keys before stay, and that is said once. One
that cannot be read now, for want of a descriptor for instance, is read again on the next beat.
Not here: fetching (fetch.public_keys), verifying (auth.tokens).
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from server.auth.public_keys import PublicKeysError, read

if TYPE_CHECKING:
    from server.auth.access import Access
    from server.auth.credentials import Credentials

_logger = logging.getLogger("worker")


class KeyFollower:
    """Does nothing where no public keys are fetched."""

    def __init__(self, credentials: Credentials, access: Access) -> None:
        self._path = credentials.followed
        self._text = credentials.public_keys
        self._access = access
        self._seen: tuple[int, int] | None = None
        self._is_unread = False

    def look(self) -> None:
        """On every beat."""
        if self._path is None:
            return
        seen = _mark(self._path)
        if seen == self._seen and not self._is_unread:
            return
        was_unread, self._is_unread, self._seen = self._is_unread, False, seen
        try:
            text = read(self._path)
            if text != self._text:
                self._access.use_public_keys(text)
                self._text = text
                _logger.info("public keys of tokens are now those that were fetched last")
        except PublicKeysError as error:
            self._is_unread = isinstance(error.__cause__, OSError)
            if was_unread and self._is_unread:
                return
            _logger.warning("public keys of tokens: %s %s; those before stay in force", self._path, error)


def _mark(path: Path) -> tuple[int, int] | None:
    """Changes when the file is replaced."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino
