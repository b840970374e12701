"""Follow the file of fetched public keys in a worker, and use newer keys.

Place: worker calls ``look`` on its beat → HERE → auth.access.
Rules: there is one ``stat`` per beat. A file that cannot be used changes nothing: the earlier keys stay, and the log
says so once. A file that cannot be read now, for want of a descriptor for instance, is read again on the next beat.
Not here: fetching (fetch.public_keys), verifying (auth.tokens).
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from server.auth.public_keys import PublicKeysError, read
from server.host.marks import FileMark

if TYPE_CHECKING:
    from server.auth.access import Access
    from server.auth.credentials import Credentials

_logger = logging.getLogger("worker")


class KeyFollower:
    """Follows the file of public keys; does nothing where none are fetched."""

    def __init__(self, credentials: Credentials, access: Access) -> None:
        self._mark = None if credentials.followed is None else FileMark(credentials.followed)
        self._text = credentials.public_keys
        self._access = access

    def look(self) -> None:
        """Use newer keys, if there are any. This is called on every beat."""
        if self._mark is None or not self._mark.is_due():
            return
        try:
            text = read(self._mark.path)
            if text != self._text:
                self._access.use_public_keys(text)
                self._text = text
                _logger.info("public keys of tokens are now those that were fetched last")
        except PublicKeysError as error:
            if self._mark.failed(error):
                _logger.warning("public keys of tokens: %s %s; the previous ones stay in force", self._mark.path, error)
