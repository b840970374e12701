"""What a schema looks at: which groups of keywords it uses, in AJV's order.

Place: invalid → HERE.
Rule: worked out once for a schema, not for every value and every event: it was two thirds of a refusal.
Source: ajv 6.12.6, ``lib/compile/rules.js``.
Not here: what a keyword means (invalid).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from validators import pattern
from validators.formats import FORMATS
from validators.json_values import IS

_GROUPS: dict[str, tuple[str, ...]] = {
    "number": ("maximum", "exclusiveMaximum", "minimum", "exclusiveMinimum", "multipleOf", "format"),
    "string": ("maxLength", "minLength", "pattern", "format"),
    "array": ("maxItems", "minItems", "items", "contains", "uniqueItems"),
    "object": (
        "maxProperties",
        "minProperties",
        "required",
        "dependencies",
        "propertyNames",
        "properties",
        "additionalProperties",
        "patternProperties",
    ),
}
_LAST = ("$ref", "const", "enum", "not", "anyOf", "oneOf", "allOf", "if")
_ASSERTING = frozenset({"type", "$comment", *_LAST}.union(*_GROUPS.values()))


MAX_RECENT = 64  # Bundles.


class Plan(NamedTuple):
    """Of one schema: the type it wants and whether its group says so, the groups it uses, whether it has any other, and
    for a schema of one scalar type what tells at once that a value passes it."""

    wanted: str | list[str] | None
    is_in_place: bool
    used: tuple[str, ...]
    combines: bool
    passes: Callable[[Any], Any] | None


def plans_of(whole: dict[str, Any]) -> dict[int, Plan]:
    """The plans of a bundle's schemas so far, by identity. Those of the last bundles that refused are kept."""
    found = _recent.pop(id(whole), None)
    if found is None or found[0] is not whole:
        found = whole, {}
    _recent[id(whole)] = found  # With the bundle itself: what an identity stands for must stay.
    if len(_recent) > MAX_RECENT:
        del _recent[next(iter(_recent))]
    return found[1]


_recent: dict[int, tuple[dict[str, Any], dict[int, Plan]]] = {}


def plan_of(schema: dict[str, Any]) -> Plan:
    """What to look at in a schema."""
    wanted = schema.get("type")
    if isinstance(wanted, list) and len(wanted) == 1:
        wanted = wanted[0]
    used = tuple(group for group, keywords in _GROUPS.items() if not schema.keys().isdisjoint(keywords))
    combines = not schema.keys().isdisjoint(_LAST)
    passes = None if combines or not isinstance(wanted, str) else _passes(schema, wanted, used)
    return Plan(wanted, wanted in used, used, combines, passes)


def _passes(schema: dict[str, Any], wanted: str, used: tuple[str, ...]) -> Callable[[Any], Any] | None:
    if not used:
        return IS[wanted]
    if not {"number", "string"}.issuperset(used):
        return None
    if wanted == "string":
        return _string_passes(schema)
    if wanted in ("integer", "number") and _INEXACT.isdisjoint(schema):
        return _number_passes(schema, IS[wanted])
    return None


def _string_passes(schema: dict[str, Any]) -> Callable[[Any], Any]:
    low, high = schema.get("minLength", 0), schema.get("maxLength", math.inf)
    search = pattern.compiled(schema["pattern"]).search if "pattern" in schema else _anything
    is_formed = FORMATS.get(schema.get("format", ""), _anything)
    return lambda value: isinstance(value, str) and low <= len(value) <= high and search(value) and is_formed(value)


def _number_passes(schema: dict[str, Any], is_wanted: Callable[[Any], bool]) -> Callable[[Any], Any]:
    low, high = schema.get("minimum", -math.inf), schema.get("maximum", math.inf)
    return lambda value: is_wanted(value) and low <= value <= high


def _anything(_text: str) -> bool:
    return True


_INEXACT = frozenset({"exclusiveMaximum", "exclusiveMinimum", "multipleOf"})


def asserts(schema: Any) -> bool:
    """AJV's ``schemaHasRules``: a schema that can refuse something, as far as its keywords tell."""
    return not schema if isinstance(schema, bool) else not _ASSERTING.isdisjoint(schema)
