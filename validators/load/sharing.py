"""Hold equal parts of JSON values once: schemas of one site, and streams of one team, mostly repeat one another.

Place: code that holds many values for long → HERE.
Rules: the result equals the argument. It must never be changed, because other values share its parts. 1, 1.0 and true
stay distinct. The table of parts is bounded; when it is full a new one begins, and later parts are shared among
themselves.
Not here: how long values are kept.
"""

from __future__ import annotations

from typing import Any

MAX_PARTS = 100_000


class Sharing:
    """``of(value)`` returns an equal value that reuses equal parts of earlier values."""

    __slots__ = ("_parts",)

    def __init__(self) -> None:
        self._parts: dict[Any, Any] = {}

    def of(self, value: Any) -> Any:
        """Return an equal value that shares its parts."""
        if len(self._parts) > MAX_PARTS:
            self._parts = {}
        return self._of(value)

    def _of(self, value: Any) -> Any:
        """Share parts from the inside out. Inner parts are compared by identity: equal ones are one object by then,
        and the table keeps them alive."""
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
