"""The streams that a key or a token may write to: names, and regular expressions as in declarations of streams.

Place: auth.credentials, auth.tokens → HERE → auth.guard asks ``in``.
Rules: names alone are a plain frozenset. The answers of regexes are cached in bounded number, because clients choose
names where streams are declared by regexes.
Not here: what a regex may be (catalog.regex).
"""

# hot path

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from server.catalog.regex import compiled, is_regex

MAX_CACHED: Final = 256  # Names of 249 bytes at most, for each key that has a regex.


class StreamNames:
    """Exact names, and all names that any of the regexes matches."""

    __slots__ = ("_cache", "_exact", "_patterns")

    def __init__(self, exact: frozenset[str], regexes: Iterable[str]) -> None:
        """Compile the regexes. Raises RegexError (a ValueError) on one that cannot be used."""
        self._exact = exact
        self._patterns = tuple(compiled(text) for text in regexes)
        self._cache: dict[str, bool] = {}

    def __contains__(self, name: str) -> bool:
        found = self._cache.get(name)
        if found is None:
            if len(self._cache) >= MAX_CACHED:
                self._cache.clear()
            found = name in self._exact or any(pattern.search(name) for pattern in self._patterns)
            self._cache[name] = found
        return found


def names_of(texts: Iterable[str]) -> frozenset[str] | StreamNames:  # cold: once a key or a token
    """Return the names as a set. Raises RegexError (a ValueError) when one of the texts is a regular expression that
    cannot be used."""
    given = frozenset(texts)
    regexes = sorted(text for text in given if is_regex(text))
    return StreamNames(given - {*regexes}, regexes) if regexes else given
