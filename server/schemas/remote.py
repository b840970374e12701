"""Schemas at URLs, as one worker knows them: where fetched ones are stored, and which have failed.

Place: server.schemas.repository → HERE → fetch.schema_fetcher, which asks the fetcher.
Rules: a fetched schema is a file in ``directory``, like any other schema. Failures are cached for as long as the
fetcher says, in bounded number.
Not here: fetching (fetch.fetched_schemas), waiting (fetch.schema_fetcher).
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

KNOWN_MAX = 10_000  # Some 300 bytes each.


class Remote:
    """The state of schemas at URLs. ``directory`` holds the schemas that were fetched."""

    __slots__ = ("_bases", "_failed", "directory")

    def __init__(self, bases: Sequence[str], directory: Path) -> None:
        """``bases`` are the URLs below which an event may name its schema by an absolute URI."""
        self._bases = [f"{base.rstrip('/')}/" for base in bases]
        self._failed: OrderedDict[str, tuple[float, str, str]] = OrderedDict()
        self.directory = directory

    def relative(self, uri: str) -> str:
        """Turn an absolute URI below one of the URLs into the relative one, as both name the same schema."""
        for base in self._bases:
            if uri.startswith(base):
                return uri[len(base) - 1 :]
        return uri

    def failure(self, uri: str) -> tuple[str, str] | None:
        """Return ``error_type`` and reason of a fetch that failed recently, or None."""
        found = self._failed.get(uri)
        if found is None:
            return None
        if time.monotonic() < found[0]:
            return found[1:]
        del self._failed[uri]
        return None

    def note_failure(self, uri: str, error_type: str, reason: str, for_s: float) -> None:
        self._failed[uri] = (time.monotonic() + for_s, error_type, reason)
        if len(self._failed) > KNOWN_MAX:
            self._failed.popitem(last=False)
