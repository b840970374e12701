"""Which event came nearest to what a test expected, and in which places it differs.

Place: console.checks.expect → HERE → server.filter, console.checks.differences.
Rules: an event is nearer the more terms of the filter, and the more values of the example, it has. Of two equally near
ones the younger is chosen.
Not here: whether enough events came (console.checks.expect).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from server.console.rows import Row
from server.filter.language import Filter

MAX_TERMS: Final = 20


class Wanted:
    """The description of an event: a filter, a schema's URI or title, and an example whose values it has."""

    def __init__(self, where: Filter, schema: str, example: dict[str, Any] | None) -> None:
        self.where = where
        self.schema = schema
        self.example = example

    def matches(self, row: Row, decoded: Any) -> bool:
        """Whether a row's event is as described."""
        return (
            self.where.matches(decoded, row.summary)
            and (not self.schema or _has_schema(row, self.schema))
            and (self.example is None or not unlike(self.example, decoded))
        )

    def misses(self, row: Row) -> tuple[float, list[dict[str, Any]]]:
        """Return the share of the description that a row meets, and each part that it does not."""
        decoded = row.decoded()
        misses: list[dict[str, Any]] = []
        parts = 0
        for term in self.where.explain(decoded, row.summary) if self.where.text else []:
            parts += 1
            if not term.is_met:
                misses.append({"term": term.text, "found": term.found})
        if self.schema:
            parts += 1
            if not _has_schema(row, self.schema):
                misses.append({"term": f"schema:{self.schema}", "found": [row.summary.get("schema")]})
        if self.example is not None:
            wrong = unlike(self.example, decoded)
            parts += max(len(wrong), _leaves(self.example))
            misses.extend(wrong)
        return (parts - len(misses)) / max(1, parts), misses[:MAX_TERMS]


def nearest_miss(wanted: Wanted, rows: Sequence[Row]) -> dict[str, Any] | None:
    """Return ``{"facts","event","likeness","misses"}`` of the nearest row; None if there is no row."""
    best: tuple[float, int, Row, list[dict[str, Any]]] | None = None
    for row in rows:
        likeness, misses = wanted.misses(row)
        if best is None or (likeness, row.seq) > best[:2]:
            best = likeness, row.seq, row, misses
    if best is None:
        return None
    likeness, _, row, misses = best
    return {"facts": row.summary, "event": row.decoded(), "likeness": round(likeness, 3), "misses": misses}


def unlike(example: Any, found: Any, path: str = "") -> list[dict[str, Any]]:
    """Return the places in which a value lacks what the example has. Members that the example lacks do not matter;
    lists are compared from their beginnings, and must be as long."""
    if isinstance(example, dict):
        if not isinstance(found, dict):
            return [{"path": path, "expected": example, "found": found}]
        wrong: list[dict[str, Any]] = []
        for name, value in example.items():
            place = f"{path}.{name}" if path else name
            if name in found:
                wrong.extend(unlike(value, found[name], place))
            else:
                wrong.append({"path": place, "expected": value, "found": None, "is_absent": True})
        return wrong
    if isinstance(example, list):
        if not isinstance(found, list) or len(found) != len(example):
            return [{"path": path, "expected": example, "found": found}]
        pairs = zip(example, found, strict=True)
        return [one for at, (want, have) in enumerate(pairs) for one in unlike(want, have, f"{path}[{at}]")]
    is_same = example == found and isinstance(example, bool) == isinstance(found, bool)
    return [] if is_same else [{"path": path, "expected": example, "found": found}]


def _leaves(example: Any) -> int:
    if isinstance(example, dict):
        return sum(_leaves(value) for value in example.values()) or 1
    if isinstance(example, list):
        return sum(_leaves(value) for value in example) or 1
    return 1


def _has_schema(row: Row, wanted: str) -> bool:
    """Whether a row's event is of a schema; ``wanted`` is a URI or a title."""
    found = row.summary.get("schema", "")
    return bool(found) and (found == wanted or found.strip("/").rpartition("/")[0] == wanted.strip("/"))
