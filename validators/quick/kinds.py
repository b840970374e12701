"""Make msgspec types of parts of a schema, and refuse the parts that no type can express.

Place: HERE → structs, which combines the types.
Rule: no type accepts a value that its part of the schema refuses; a part without such a type raises UnsaidError.
Not here: objects and arrays of other parts (structs), the checks that remain (checks).
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET

from validators.quick import ranges
from validators.words.invalid import problems

OF_STRINGS = frozenset({"format", "maxLength", "minLength", "pattern"})
OF_NUMBERS = frozenset({"exclusiveMaximum", "exclusiveMinimum", "maximum", "minimum", "multipleOf"})
OF_ARRAYS = frozenset({"additionalItems", "contains", "items", "maxItems", "minItems", "uniqueItems"})
OF_OBJECTS = frozenset(
    {
        "additionalProperties",
        "dependencies",
        "maxProperties",
        "minProperties",
        "patternProperties",
        "properties",
        "propertyNames",
        "required",
    }
)
OF_ANYTHING = frozenset({"allOf", "anyOf", "else", "if", "not", "oneOf", "then"})
SCALAR = frozenset({"const", "enum", "type"}) | OF_STRINGS | OF_NUMBERS
ASSERTING = frozenset({"$ref"}) | SCALAR | OF_ARRAYS | OF_OBJECTS | OF_ANYTHING


class UnsaidError(Exception):
    """A part of the schema cannot be expressed as a type and a check."""


def unsaid(place: str, what: str) -> UnsaidError:
    return UnsaidError(f"{what} at {place or '/'}")


def refuse(schema: dict[str, Any], words: set[str] | frozenset[str], place: str) -> None:
    found = words & schema.keys()
    if found:
        raise unsaid(place, ", ".join(sorted(found)))


def is_free(schema: Any) -> bool:
    return schema is True or (isinstance(schema, dict) and ASSERTING.isdisjoint(schema))


def is_hashable(items: Any) -> bool:
    """Whether items that are equal in JSON are equal in Python, and can be put into a set."""
    kinds = items.get("type") if isinstance(items, dict) else None
    return kinds is not None and {"string", "integer", "null"} >= ({kinds} if isinstance(kinds, str) else set(kinds))


def sizes_of(schema: dict[str, Any], low: str, high: str) -> dict[str, int]:
    words = {"min_length": schema.get(low, 0) or None, "max_length": schema.get(high)}
    return {word: int(size) for word, size in words.items() if size is not None}


def limited(kind: Any, limits: dict[str, Any]) -> Any:
    return Annotated[kind, msgspec.Meta(**limits)] if limits else kind


def number(kind: type, limits: dict[str, float] | None, place: str) -> Any:
    if limits is None:
        raise unsaid(place, "bounds of numbers that msgspec cannot hold")
    return limited(kind, limits)


def literal(schema: dict[str, Any], place: str) -> Any:
    """Return a type of the enum's values that pass the rest of the schema and compare in Python as they do in JSON."""
    refuse(schema, ASSERTING - SCALAR, place)
    values: Sequence[Any] = schema["enum"] if "enum" in schema else [schema["const"]]
    rest = {word: value for word, value in schema.items() if word != "enum"}  # Else each value would search the enum.
    held = [each for each in values if _is_comparable(each) and not problems(rest, each)]
    if not held:
        raise unsaid(place, "enum or const without texts and integers")
    return Literal[tuple(held)]


def _is_comparable(value: Any) -> bool:
    return value is None or type(value) is str or (type(value) is int and ranges.LOWEST <= value <= ranges.HIGHEST)


@functools.lru_cache(maxsize=4_096)  # Versions of a schema, and schemas of one site, share most of their parts.
def struct(fields: tuple[tuple[str, Any, bool], ...], is_closed: bool) -> type[msgspec.Struct]:
    # Fields are in the schema's order, which most events follow. Their names are made here, so a property may have any.
    return msgspec.defstruct(
        "Object",
        [(f"f{i}", kind) if required else (f"f{i}", kind, UNSET) for i, (_, kind, required) in enumerate(fields)],
        rename={f"f{i}": name for i, (name, _, _) in enumerate(fields)},
        forbid_unknown_fields=is_closed,
        kw_only=True,
        gc=False,
        eq=False,
    )
