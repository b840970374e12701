"""What a schema says about an event's shape: which properties it declares, which defaults it writes.

Place: bundle → HERE → validator. Computed once for a schema or once for a path.
Rule: only ``properties`` (and ``additionalProperties`` as a map) count, through ``$ref`` and ``allOf``: what may or may
not apply (anyOf, oneOf, not, if) declares nothing and writes nothing.
Not here: putting values into events.
"""

from __future__ import annotations

import copy
import itertools
import json
from collections.abc import Iterator
from typing import Any

import msgspec

from validators import dialect
from validators.bundle import target_of

MAX_PLACES = 20_000  # 8 µs each. References to what refers to more multiply.


class Default(msgspec.Struct, frozen=True):
    """What to write where a property is missing, and what to look for inside where it is an object.

    ``value`` is JSON text, with the defaults inside it already in place; None: nothing to write.
    """

    value: bytes | None
    inside: dict[str, Default]


class TooManyDefaultsError(ValueError):
    """Through its references the schema has defaults in more places than can be looked at."""


def declares(whole: dict[str, Any], path: tuple[str, ...]) -> bool:
    """True when the schema declares this property, or its parent as a map: an object with any further properties."""
    level: list[Any] = [whole]
    for name in path[:-1]:
        level = [child for part in _parts(whole, level) for child in _below(part, name)]
    return bool(path) and any(
        path[-1] in part.get("properties", ()) or _is_map(part.get("additionalProperties"))
        for part in _parts(whole, level)
    )


def defaults(whole: dict[str, Any]) -> dict[str, Default]:
    """The defaults of every property, by name. A schema inside itself is followed once. Raises TooManyDefaultsError."""
    return _defaults(whole, [whole], frozenset(), itertools.count()) if _has_defaults(whole) else {}


def _has_defaults(whole: dict[str, Any]) -> bool:
    waiting = [whole]
    while waiting:
        schema = waiting.pop()
        if isinstance(schema, dict):
            if "default" in schema:
                return True
            waiting += [child for _, _, child in dialect.children(schema)]
    return False


def _parts(whole: dict[str, Any], schemas: list[Any]) -> Iterator[dict[str, Any]]:
    """The schemas that apply for certain: these, what they refer to, and their allOf."""
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


def _defaults(
    whole: dict[str, Any], schemas: list[Any], above: frozenset[int], count: Iterator[int]
) -> dict[str, Default]:
    if next(count) > MAX_PLACES:
        raise TooManyDefaultsError(f"has properties in more than {MAX_PLACES:,} places where defaults may be")
    parts = [part for part in _parts(whole, schemas) if id(part) not in above]
    above |= {id(part) for part in parts}
    by_name: dict[str, list[Any]] = {}
    for part in parts:
        for name, each in part.get("properties", {}).items():
            by_name.setdefault(name, []).append(each)
    found: dict[str, Default] = {}
    for name, declared in by_name.items():
        inside = _defaults(whole, declared, above, count)
        values = [part["default"] for part in _parts(whole, declared) if "default" in part]
        if values or inside:
            found[name] = Default(_text(_filled(values[0], inside)) if values else None, inside)
    return found


def _filled(value: Any, inside: dict[str, Default]) -> Any:
    """Write the defaults inside a default that is an object."""
    if not isinstance(value, dict) or not inside:
        return value
    filled = copy.copy(value)
    for name, default in inside.items():
        if name in filled:
            filled[name] = _filled(filled[name], default.inside)
        elif default.value is not None:
            filled[name] = json.loads(default.value)
    return filled


def _text(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
