"""Find the newest version of a title's schema for events whose own schema is not known.

Place: intake.router → HERE → schemas.repository.
Rule: clients choose titles: what is found is cached for ``CACHED_S``, for ``MAX_TITLES`` at most.
Not here: the schemas that events name (schemas.repository).
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from server.intake.route import LatestLookup
    from server.schemas.repository import Validator

CACHED_S: Final = 10.0  # Directories are listed at most this often for one title.
MAX_TITLES: Final = 1_000


class Latest:
    """The newest versions. ``find`` None: no schema is found by its title alone."""

    def __init__(self, find: LatestLookup | None) -> None:
        self._find = find
        self._found: dict[str, tuple[float, Validator | None]] = {}

    def of(self, title: str | None) -> Validator | None:
        """Return the newest version of a title that can be used, if there is one."""
        if self._find is None or not title:
            return None
        now_s = time.monotonic()
        found = self._found.get(title)
        if found is None or now_s >= found[0]:
            if len(self._found) >= MAX_TITLES:
                self._found.clear()
            found = self._found[title] = (now_s + CACHED_S, self._find(title))
        return found[1]
