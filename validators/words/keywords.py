"""What a schema looks at: which groups of keywords it uses, in AJV's order.

Place: invalid and passes → HERE.
Rule: worked out once for a schema, not for every value and every event: it was two thirds of a refusal.
Source: ajv 6.12.6, ``lib/compile/rules.js``.
Not here: what a keyword means (invalid), what surely passes (passes).
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

MAX_SEARCHED = 4_096  # Characters. Beyond it even a harmless pattern, quadratic in the text, holds up a worker; a text
# that is longer is searched once, and not at all when it is too long.


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
    combines = not schema.keys().isdisjoint(_LAST)
    return Plan(wanted, wanted in used, used, combines)


def asserts(schema: Any) -> bool:
    """AJV's ``schemaHasRules``: a schema that can refuse something, as far as its keywords tell."""
    return not schema if isinstance(schema, bool) else not _ASSERTING.isdisjoint(schema)
