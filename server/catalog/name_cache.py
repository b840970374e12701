"""Names that clients chose, remembered in two generations, so that strangers' names do not push out those in use.

Place: catalog.snapshot, auth.access → HERE.
Rules: what is remembered is in the owner's own table, where a known name costs one look. When the young are
``most``, they become the old and leave the table; an old name that is asked for once more is young again, without being
matched. So a name in use stays, whatever passes by: it is asked for at least once while ``most`` others come. One that
is not is gone after two turns.
Not here: what a name stands for (catalog.snapshot).
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

Name = TypeVar("Name", bound=Hashable)
Found = TypeVar("Found")


class Remembered(Generic[Name, Found]):
    """Names and what they stand for; ``table`` is whose entries they are."""

    __slots__ = ("_most", "_old", "_table", "_young")

    def __init__(self, table: dict[Name, Found], most: int) -> None:
        self._table = table
        self._most = most
        self._young: dict[Name, Found] = {}
        self._old: dict[Name, Found] = {}

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def recall(self, name: Name) -> bool:
        """Whether an old name is in the table again."""
        if name not in self._old:
            return False
        self.put(name, self._old.pop(name))
        return True

    def put(self, name: Name, found: Found) -> None:
        """Remember a name that the table does not have."""
        if len(self._young) >= self._most:
            for each in self._young:
                del self._table[each]
            self._old, self._young = self._young, {}
        self._young[name] = self._table[name] = found
