"""Keep equal parts of JSON values once: schemas of one site, and streams of one team, mostly repeat one another.

Place: whoever keeps many values for long → HERE.
Rules: what comes out equals what went in, and is never changed by anybody, for others hold it too. 1 and 1.0 and true
stay what they are. The table of parts is bounded; when it is full a new one begins, and later parts are shared among
themselves.
Not here: how long values are kept.
"""

from __future__ import annotations

from typing import Any

MAX_PARTS = 100_000


class Sharing:
    """``of(value)`` is the value, made of parts that were seen before where there are such."""

    __slots__ = ("_parts",)

    def __init__(self) -> None:
        self._parts: dict[Any, Any] = {}

    def of(self, value: Any) -> Any:
        """The same value."""
        if len(self._parts) > MAX_PARTS:
            self._parts = {}
        return self._of(value)

    def _of(self, value: Any) -> Any:
        """Parts are told apart by their identity: equal ones are one by then, and the table keeps them alive."""
        parts = self._parts
        if isinstance(value, str):
            return parts.setdefault(value, value)
        if isinstance(value, dict):
            fields = {parts.setdefault(name, name): self._of(inner) for name, inner in value.items()}
            key = ("map", *(part for name, inner in fields.items() for part in (name, id(inner))))
            return parts.setdefault(key, fields)
        if isinstance(value, list):
            items = [self._of(inner) for inner in value]
            return parts.setdefault(("list", *map(id, items)), items)
        return parts.setdefault((type(value), repr(value)), value)
