"""Warn of an event's fields that its schema does not declare, or declares without a description.

Place: console.console calls it with each row of a strict session → HERE.
Rules: a warning is no verdict. Fields below a part of the schema that declares none are free, such as a map, and need
no declaration.
Not here: validation (validators), the coverage of a test run (console.checks.coverage).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from server.console.checks.coverage import MAX_LEVELS

MAX_WARNINGS: Final = 50
MAX_ELEMENTS: Final = 20  # Of a list.


def warnings(event: Any, schema: Any) -> list[str]:
    """Return sentences, each once."""
    found: dict[str, None] = {}
    for text in _look(event, [schema], "", 0):
        found[text] = None
        if len(found) >= MAX_WARNINGS:
            break
    return list(found)


def _look(value: Any, schemas: list[Any], path: str, level: int) -> Iterator[str]:
    parts = list(_parts(schemas))
    if level > MAX_LEVELS:
        return
    if isinstance(value, list):
        items = [part["items"] for part in parts if isinstance(part.get("items"), dict)]
        for element in value[:MAX_ELEMENTS] if items else ():
            yield from _look(element, items, path, level + 1)
    if not isinstance(value, dict):
        return
    declared: dict[str, list[Any]] = {}
    for part in parts:
        properties = part.get("properties")
        for name, inner in properties.items() if isinstance(properties, dict) else ():
            declared.setdefault(name, []).append(inner)
    if not declared:
        return
    for name, inner in value.items():
        place = f"{path}.{name}" if path else name
        if name not in declared:
            yield f"The schema does not declare `{place}`."
            continue
        if not any(one.get("description") for one in _parts(declared[name])):
            yield f"The schema does not describe `{place}`."
        yield from _look(inner, declared[name], place, level + 1)


def _parts(schemas: list[Any]) -> Iterator[dict[str, Any]]:
    """Yield schemas with the branches that they are made of."""
    todo = [(schema, 0) for schema in schemas]
    while todo:
        schema, level = todo.pop()
        if not isinstance(schema, dict) or level > MAX_LEVELS:
            continue
        yield schema
        todo += [(inner, level + 1) for name in ("allOf", "anyOf", "oneOf") for inner in schema.get(name) or []]
