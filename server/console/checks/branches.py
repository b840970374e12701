"""Which alternatives of ``oneOf`` and ``anyOf`` in a schema an event takes.

Place: console.checks.coverage → HERE.
Rule: an alternative counts as taken if the value has its type, the members that it requires, and the constants and
enumerations that it names for them. Alternatives that differ in other keywords alone are taken together.
Not here: validation (validators).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

MAX_LEVELS: Final = 12
MAX_ELEMENTS: Final = 20  # Of a list.
_TYPES: Final[dict[str, tuple[type, ...]]] = {
    "object": (dict,), "array": (list,), "string": (str,), "null": (type(None),), "boolean": (bool,),
    "integer": (int,), "number": (int, float),
}  # fmt: skip


def branches(schema: Any, path: str = "", level: int = 0) -> Iterator[str]:
    """Yield the place of every alternative that a schema has: ``page.oneOf[1]``."""
    if not isinstance(schema, dict) or level > MAX_LEVELS:
        return
    for place, _, alternative in _alternatives(schema, path):
        yield place
        yield from branches(alternative, place, level + 1)
    for name, inner, _ in _inner(schema, path):
        yield from branches(inner, name, level + 1)


def taken(value: Any, schema: Any, path: str = "", level: int = 0) -> Iterator[str]:
    """Yield the place of every alternative that a value takes."""
    if not isinstance(schema, dict) or level > MAX_LEVELS:
        return
    for place, _, alternative in _alternatives(schema, path):
        if _fits(value, alternative):
            yield place
            yield from taken(value, alternative, place, level + 1)
    for name, inner, member in _inner(schema, path):
        if member == "":
            yield from taken(value, inner, name, level + 1)
        elif member is None:
            for element in value[:MAX_ELEMENTS] if isinstance(value, list) else ():
                yield from taken(element, inner, name, level + 1)
        elif isinstance(value, dict) and member in value:
            yield from taken(value[member], inner, name, level + 1)


def _alternatives(schema: dict[str, Any], path: str) -> Iterator[tuple[str, str, Any]]:
    for keyword in ("oneOf", "anyOf"):
        found = schema.get(keyword)
        for at, alternative in enumerate(found if isinstance(found, list) else []):
            yield f"{path}.{keyword}[{at}]".lstrip("."), keyword, alternative


def _inner(schema: dict[str, Any], path: str) -> Iterator[tuple[str, Any, str | None]]:
    """Yield the parts of a schema that are for a member, for elements (None), or for the same value ("")."""
    properties = schema.get("properties")
    for name, inner in properties.items() if isinstance(properties, dict) else ():
        yield f"{path}.{name}".lstrip("."), inner, name
    if isinstance(schema.get("items"), dict):
        yield path, schema["items"], None
    for part in schema.get("allOf") or []:
        yield path, part, ""


def _fits(value: Any, schema: Any) -> bool:
    if not isinstance(schema, dict):
        return schema is True
    kinds = schema.get("type")
    if kinds is not None and not any(_is_of(value, kind) for kind in ([kinds] if isinstance(kinds, str) else kinds)):
        return False
    if "const" in schema and value != schema["const"]:
        return False
    if isinstance(schema.get("enum"), list) and value not in schema["enum"]:
        return False
    if not isinstance(value, dict):
        return not schema.get("required") and not schema.get("properties")
    if any(name not in value for name in schema.get("required") or []):
        return False
    properties = schema.get("properties")
    named = properties.items() if isinstance(properties, dict) else ()
    return all(_is_named(value[name], inner) for name, inner in named if name in value)


def _is_named(value: Any, schema: Any) -> bool:
    """Whether a member has the type, the constant and the enumeration that an alternative names for it."""
    narrow = {name: schema[name] for name in ("type", "const", "enum") if name in schema} if schema else {}
    return _fits(value, narrow) if isinstance(schema, dict) else True


def _is_of(value: Any, kind: str) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    if kind == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, _TYPES.get(kind, (object,)))
