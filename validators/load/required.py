"""Tell whether every valid object has a property, as far as a schema says so for certain.

Place: code that relies on a property of valid values (server.schemas.repository) → HERE.
Rule: keywords that apply only under conditions (anyOf, oneOf, not, if) require nothing, as they declare nothing for
schema_shape.
Not here: which properties there may be (schema_shape).
"""

from __future__ import annotations

from typing import Any

from validators.load.bundle import target_of


def requires(whole: dict[str, Any], path: tuple[str, ...]) -> bool:
    """Return True when this property, and every object around it, is required."""
    level: list[Any] = [whole]
    for name in path:
        parts = _parts(whole, level)
        if not any(name in part.get("required", ()) for part in parts):
            return False
        level = [part["properties"][name] for part in parts if name in part.get("properties", ())]
    return True


def _parts(whole: dict[str, Any], schemas: list[Any]) -> list[dict[str, Any]]:
    """Return these schemas, the schemas that they refer to, and those of their allOf."""
    found: list[dict[str, Any]] = []
    waiting = list(schemas)
    while waiting:
        schema = waiting.pop()
        if not isinstance(schema, dict) or schema in found:
            continue
        if "$ref" in schema:
            waiting.append(target_of(whole, schema["$ref"]))
        else:
            found.append(schema)
            waiting += schema.get("allOf", ())
    return found
