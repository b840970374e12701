"""Facts: values about an event that are not in the event, such as its verdict.

Place: a program that uses filters declares its facts → HERE → filter.language checks the values compared with them.
Rule: a fact has a type, and a value that cannot be of this type is a fault of the filter, so no filter matches nothing
because of a typing error in a word of a closed set.
Not here: which facts there are (the programs).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from enum import Enum
from typing import NamedTuple


class Kind(Enum):
    """The types of facts."""

    TEXT = "a text"
    NUMBER = "a number"
    TIME = "a date or a time, such as 2026-11-28 or 2026-11-28T10:00:00Z"
    WORD = "one of a closed set of words"
    FLAG = "true or false"


class Fact(NamedTuple):
    """A fact: its name, its type, for a WORD the words, and a sentence for the documentation."""

    name: str
    kind: Kind
    words: tuple[str, ...] = ()
    meaning: str = ""


class Facts:
    """All facts of a program, by name."""

    def __init__(self, facts: Iterable[Fact] = ()) -> None:
        self._facts = {fact.name: fact for fact in facts}

    def find(self, name: object) -> Fact | None:
        """Return the fact of this name."""
        return self._facts.get(name) if isinstance(name, str) else None

    def all(self) -> list[Fact]:
        """Return all facts, in the order of their declaration."""
        return list(self._facts.values())


def nearest(word: str, words: Iterable[str]) -> str | None:
    """Return the word that was probably meant."""
    found = difflib.get_close_matches(word, list(words), 1, 0.6)
    return found[0] if found else None
