"""Tell a schema that every value meets, or none, by its form alone: it judges nothing.

Place: expectations → HERE.
Rules: True is a proof, False says nothing: a schema that no value meets because its keywords contradict each other is
not found. Keywords of later drafts count, as they do everywhere in this package.
Not here: what a keyword means (words.invalid).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

# Keywords that hold other schemas, and judge nothing where every value meets these.
_VALUES: Final = ("additionalItems", "additionalProperties", "propertyNames")
_MAPS: Final = ("dependencies", "patternProperties", "properties")
_OTHERS: Final = frozenset(
    {
        *("$ref", "const", "contains", "enum", "exclusiveMaximum", "exclusiveMinimum", "format", "maxItems"),
        *("maxLength", "maxProperties", "maximum", "minItems", "minLength", "minProperties", "minimum", "multipleOf"),
        *("pattern", "type", "uniqueItems"),
    }
)


def is_always_met(schema: Any) -> bool:
    """Whether every value surely meets a schema."""
    if not isinstance(schema, dict):
        return schema is True
    if not _OTHERS.isdisjoint(schema) or schema.get("required"):
        return False
    inside = [schema[key] for key in _VALUES if key in schema]
    inside += [each for key in _MAPS for each in schema.get(key, {}).values()]
    items = schema.get("items", True)
    inside += items if isinstance(items, list) else [items]
    return (
        all(map(is_always_met, inside))
        and all(map(is_always_met, schema.get("allOf", ())))
        and ("anyOf" not in schema or any(map(is_always_met, schema["anyOf"])))
        and ("oneOf" not in schema or _is_one(schema["oneOf"]))
        and ("not" not in schema or is_never_met(schema["not"]))
        and ("if" not in schema or _is_condition(schema, is_always_met))
    )


def is_never_met(schema: Any) -> bool:
    """Whether surely no value meets a schema."""
    if not isinstance(schema, dict):
        return schema is False
    return (
        ("not" in schema and is_always_met(schema["not"]))
        or any(map(is_never_met, schema.get("allOf", ())))
        or any(key in schema and all(map(is_never_met, schema[key])) for key in ("anyOf", "oneOf"))
        or ("if" in schema and _is_condition(schema, is_never_met))
    )


def _is_one(branches: list[Any]) -> bool:
    return sum(map(is_always_met, branches)) == 1 and sum(map(is_never_met, branches)) == len(branches) - 1


def _is_condition(schema: dict[str, Any], is_met: Callable[[Any], bool]) -> bool:
    """Whether what follows from ``if`` is surely met, or surely not, in each case that can occur."""
    cases = []
    if not is_never_met(schema["if"]):
        cases.append(schema.get("then", True))
    if not is_always_met(schema["if"]):
        cases.append(schema.get("else", True))
    return all(map(is_met, cases))
