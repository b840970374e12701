"""Limits how many stream names that only a regex matches one worker accepts.

Place: intake.router, for the first event of a route → HERE.
Rules: if a regex declares streams, clients choose the names, and each becomes a topic that librdkafka keeps for the
life of its producer. It searches all topics for each new one: with 2,000 that takes 0.2 ms, with 10,000 30 ms, and
100,000 names made up by one client stopped a worker for so long that the master ended it. So only the first ``most``
names are accepted, each on an event that may be sent: a client that may not write uses up none. An accepted name stays,
even when streams are read again, because its topic stays too.
Not here: which names a regex matches (catalog.snapshot).
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from server.log import Limited

if TYPE_CHECKING:
    from server.catalog.stream import Stream


class Invented:
    """The set of accepted names, ``names``, and the check for room in it."""

    __slots__ = ("_most", "_trouble", "names")

    def __init__(self, most: int) -> None:
        self.names: set[str] = set()
        self._most = most
        self._trouble = Limited(logging.getLogger("intake"))

    def is_new(self, stream: Stream) -> bool:
        """Whether a regex matches the name, and it has not been accepted yet."""
        return stream.is_invented and stream.name not in self.names

    def has_room(self, stream: Stream) -> bool:
        """Whether events of this stream may be accepted."""
        if not self.is_new(stream) or len(self.names) < self._most:
            return True
        self._trouble.warning(
            "invented",
            "stream %s is refused: regexes have matched %d names already (streams.max_regex_names)",
            stream.name,
            self._most,
        )
        return False
