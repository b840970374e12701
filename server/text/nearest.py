"""Find the known name that an unknown one was probably meant to be, in a few microseconds.

Place: intake.text.name_hints → HERE.
Rules: names differ by one letter that is missing, added, changed or swapped with its neighbour, or by capitals,
separators or a version at the end; or the unknown name is the beginning of a single known one. The cost depends on the
length of the unknown name alone, since clients choose it.
Not here: the words around a name.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable
from typing import Final

MAX_NAMES: Final = 1_000  # The index of these takes 3 MB and 20 ms. Of more names there are no hints.
MAX_CHARS: Final = 100
_LEAST_BEGINNING: Final = 4  # Characters: a shorter beginning is no name that was meant.
_SEPARATORS: Final = re.compile(r"[-_./\s]+")
_VERSION: Final = re.compile(r"\.v\d+$")


class Nearest:
    """An index of known names, which is made when it is first asked."""

    __slots__ = ("_index", "_names", "_sorted")

    def __init__(self, names: Iterable[str]) -> None:
        self._names = list(names)
        self._index: dict[str, str] | None = None
        self._sorted: list[str] = []

    def of(self, name: str) -> str | None:
        """Return the known name that is nearest, or None. A name that is known itself is not asked for."""
        if len(name) > MAX_CHARS or len(self._names) > MAX_NAMES:
            return None
        if self._index is None:
            self._index = self._make()
        plain = _plain(name)
        found = (self._index.get(each) for each in (plain, *_without_one(plain)))
        near = next((each for each in found if each is not None and each != name), None)
        return near or self._begun_by(plain)

    def _begun_by(self, plain: str) -> str | None:
        if len(plain) < _LEAST_BEGINNING or self._index is None:
            return None
        at = bisect_left(self._sorted, plain)
        begun = [each for each in self._sorted[at : at + 2] if each.startswith(plain)]
        return self._index[begun[0]] if len(begun) == 1 else None

    def _make(self) -> dict[str, str]:
        index: dict[str, str] = {}
        for name in self._names:
            plain = _plain(name)
            for each in (plain, *_without_one(plain)):
                index.setdefault(each, name)
        for name in self._names:
            index[_plain(name)] = name
        self._sorted = sorted({_plain(name) for name in self._names})
        return index


def _plain(name: str) -> str:
    return _SEPARATORS.sub(".", _VERSION.sub("", name.casefold()))


def _without_one(plain: str) -> list[str]:
    return [plain[:at] + plain[at + 1 :] for at in range(len(plain))] if len(plain) > 3 else []
