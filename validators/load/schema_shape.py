"""Tell which properties a schema declares.

Place: bundle → HERE → validator, which asks once for each path.
Rule: only ``properties`` (and ``additionalProperties`` as a map) count, through ``$ref`` and ``allOf``. Keywords that
may or may not apply (anyOf, oneOf, not, if) declare nothing.
Not here: which defaults a schema writes (defaults).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from validators.load.bundle import target_of


def declares(whole: dict[str, Any], path: tuple[str, ...]) -> bool:
    """Return True when the schema declares this property, or its parent as a map: an object with any properties."""
    level: list[Any] = [whole]
    for name in path[:-1]:
        level = [child for part in _parts(whole, level) for child in _below(part, name)]
    return bool(path) and any(
        path[-1] in part.get("properties", ()) or _is_map(part.get("additionalProperties"))
        for part in _parts(whole, level)
    )


def _parts(whole: dict[str, Any], schemas: list[Any]) -> Iterator[dict[str, Any]]:
    """Yield the schemas that certainly apply: these, the schemas that they refer to, and those of their allOf."""
    waiting, seen = list(reversed(schemas)), set()
    while waiting:
        schema = waiting.pop()
        if not isinstance(schema, dict) or id(schema) in seen:
            continue
        seen.add(id(schema))
        if "$ref" in schema:
            waiting.append(target_of(whole, schema["$ref"]))
        else:
            yield schema
            waiting += reversed(schema.get("allOf", ()))


def _below(schema: dict[str, Any], name: str) -> Iterator[Any]:
    if name in schema.get("properties", ()):
        yield schema["properties"][name]
    elif "additionalProperties" in schema:
        yield schema["additionalProperties"]


def _is_map(rest: Any) -> bool:
    return rest is True or isinstance(rest, dict)
