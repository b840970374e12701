"""What a schema looks at: which groups of keywords it uses, in AJV's order.

Place: invalid → HERE.
Rule: worked out once for a schema, not for every value.
Source: ajv 6.12.6, ``lib/compile/rules.js``.
Not here: what a keyword means (invalid).
"""

from __future__ import annotations

from typing import Any, NamedTuple

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


class Plan(NamedTuple):
    """Of one schema: the type it wants and whether its group says so, the groups it uses, whether it has any other."""

    wanted: str | list[str] | None
    is_in_place: bool
    used: tuple[str, ...]
    combines: bool


def plan_of(schema: dict[str, Any]) -> Plan:
    """What to look at in a schema."""
    wanted = schema.get("type")
    if isinstance(wanted, list) and len(wanted) == 1:
        wanted = wanted[0]
    used = tuple(group for group, keywords in _GROUPS.items() if not schema.keys().isdisjoint(keywords))
    return Plan(wanted, wanted in used, used, not schema.keys().isdisjoint(_LAST))


def asserts(schema: Any) -> bool:
    """AJV's ``schemaHasRules``: a schema that can refuse something, as far as its keywords tell."""
    return not schema if isinstance(schema, bool) else not _ASSERTING.isdisjoint(schema)
