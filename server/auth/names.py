"""The streams that a key or a token may write to: names, and regular expressions as streams are declared by.

Place: auth.credentials, auth.tokens → HERE → auth.guard asks ``in``.
Rules: names alone are a plain frozenset. What a regex said of a name is remembered, in bounded number: where streams
are declared by regexes, clients choose names.
Not here: what a regex may be (catalog.regex).
"""

# hot path

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from server.catalog.regex import compiled, is_regex

MAX_KEPT: Final = 256  # Names of 249 bytes at most, of each key that has a regex.


class StreamNames:
    """Exact names, and what any of the regexes matches."""

    __slots__ = ("_exact", "_kept", "_patterns")

    def __init__(self, exact: frozenset[str], regexes: Iterable[str]) -> None:
        """Raises RegexError (a ValueError) on one that cannot be used."""
        self._exact = exact
        self._patterns = tuple(compiled(text) for text in regexes)
        self._kept: dict[str, bool] = {}

    def __contains__(self, name: str) -> bool:
        found = self._kept.get(name)
        if found is None:
            if len(self._kept) >= MAX_KEPT:
                self._kept.clear()
            found = name in self._exact or any(pattern.search(name) for pattern in self._patterns)
            self._kept[name] = found
        return found


def names_of(texts: Iterable[str]) -> frozenset[str] | StreamNames:  # cold: once a key or a token
    """Raises RegexError (a ValueError) when one of the texts is a regular expression that cannot be used."""
    given = frozenset(texts)
    regexes = sorted(text for text in given if is_regex(text))
    return StreamNames(given - {*regexes}, regexes) if regexes else given
