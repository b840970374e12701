"""Find the groups of keywords that a schema uses, in AJV's order.

Place: invalid and passes → HERE.
Rule: a plan is made once for a schema, not for every value and every event: that took two thirds of a refusal.
Source: ajv 6.12.6, ``lib/compile/rules.js``.
Not here: what a keyword means (invalid), what surely passes (passes).
"""

from __future__ import annotations

from typing import Any, NamedTuple

from validators.steps import Weight, format_cost, weigh

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

# Characters. On longer texts even a harmless pattern that is quadratic in the text holds up a worker. So a longer text
# is searched once, and not at all when it is too long for its schema.
MAX_SEARCHED = 4_096


DEAR_NS = 50  # A format that takes less for a character is not worth counting.
FEW = 8  # So many steps more than one are not worth counting, nor are so many members of an object.


class Plan(NamedTuple):
    """The plan of one schema: the type that it wants, whether a used group reports that type, the groups that it uses,
    whether it has keywords of no group, and what applying it takes beyond one step and searches (None: nothing)."""

    wanted: str | list[str] | None
    is_in_place: bool
    used: tuple[str, ...]
    combines: bool
    more: Weight | None


def plan_of(schema: dict[str, Any]) -> Plan:
    """Make the plan of a schema."""
    wanted = schema.get("type")
    if isinstance(wanted, list) and len(wanted) == 1:
        wanted = wanted[0]
    used = tuple(group for group, keywords in _GROUPS.items() if not schema.keys().isdisjoint(keywords))
    combines = not schema.keys().isdisjoint(_LAST)
    weight = weigh(schema)
    # Not every text is searched, and members are counted where they are looked at: most schemas take no more steps.
    form = format_cost(schema.get("format")).character
    more = weight._replace(
        fixed=weight.fixed - 1,
        text=form >> 3 if form >= DEAR_NS else 0,  # As searches: see there.
        form=0,
        member=weight.member if weight.name else 0,
        longest=max(weight.longest, MAX_SEARCHED),
    )
    return Plan(wanted, wanted in used, used, combines, more if more.fixed >= FEW or more.depends else None)


def asserts(schema: Any) -> bool:
    """Whether a schema can refuse a value, as far as its keywords tell (AJV's ``schemaHasRules``)."""
    return not schema if isinstance(schema, bool) else not _ASSERTING.isdisjoint(schema)
