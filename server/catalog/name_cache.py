"""Cache names that clients chose in two generations, so that strangers' names do not push out those in use.

Place: catalog.snapshot, auth.access → HERE.
Rules: the entries are in the owner's own table, where a cached name costs one look-up. When there are ``limit`` young
names, they become the old ones and leave the table; an old name that is asked for again becomes young without being
matched. So a name in use stays, however many others come: it is asked for at least once while ``limit`` others come. A
name that is not in use is dropped after two generations.
Not here: what a name stands for (catalog.snapshot).
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

Name = TypeVar("Name", bound=Hashable)
Found = TypeVar("Found")


class NameCache(Generic[Name, Found]):
    """Names and the values found for them; ``table`` is the owner's dict that holds the young entries."""

    __slots__ = ("_limit", "_old", "_table", "_young")

    def __init__(self, table: dict[Name, Found], limit: int) -> None:
        self._table = table
        self._limit = limit
        self._young: dict[Name, Found] = {}
        self._old: dict[Name, Found] = {}

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def recall(self, name: Name) -> bool:
        """Put an old name back into the table. Returns whether there was one."""
        if name not in self._old:
            return False
        self.put(name, self._old.pop(name))
        return True

    def put(self, name: Name, found: Found) -> None:
        """Cache a name that the table does not have."""
        if len(self._young) >= self._limit:
            for each in self._young:
                del self._table[each]
            self._old, self._young = self._young, {}
        self._young[name] = self._table[name] = found
