"""Merge the schemas of ``allOf`` into the schema that holds them, as json-schema-merge-allof does.

Place: materialize → HERE.
Rules: the schema itself comes first, then those of ``allOf`` in their order. An annotation is that of the first schema
which has it; a constraint becomes the strictest; ``additionalProperties: false`` of one schema does not remove the
properties of others. ``examples`` of the whole schema are its own, since those of a fragment are no such events.
Expectations (``x-expect``) become a list of all of them, and of annotations (``x-privacy``) the strictest counts.
Source: json-schema-merge-allof 0.8 with ``ignoreAdditionalProperties``, which knows no expectations.
Not here: references (materialize has resolved them).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from server.errors import PenstockError
from server.schemas.repository import ACTIONS

_MAPS: Final = frozenset({"properties", "patternProperties", "definitions"})
_SCHEMAS: Final = frozenset({"additionalProperties", "items", "propertyNames", "contains", "additionalItems"})
_IN_LISTS: Final = frozenset({"anyOf", "oneOf"})


class MergeError(PenstockError):
    """Schemas of one ``allOf`` contradict each other, or need what this program does not merge."""


def merged(schema: Any, *, is_root: bool = False) -> Any:
    """Return a schema without ``allOf``, at any depth. Raises MergeError."""
    if not isinstance(schema, dict):
        return schema
    own, *others = _parts(schema)
    parts = [own, *({key: value for key, value in part.items() if key != "examples" or not is_root} for part in others)]
    keys = dict.fromkeys(key for part in parts for key in part)
    return {key: _keyword(key, [part[key] for part in parts if key in part]) for key in keys}


def _parts(schema: dict[str, Any]) -> list[dict[str, Any]]:
    own = {key: value for key, value in schema.items() if key != "allOf"}
    return [own, *(part for each in schema.get("allOf", ()) if isinstance(each, dict) for part in _parts(each))]


def _keyword(key: str, values: list[Any]) -> Any:
    values = [value for index, value in enumerate(values) if value not in values[:index]]
    if key in _MAPS and all(isinstance(value, dict) for value in values):
        names = dict.fromkeys(name for value in values for name in value)
        return {name: _schema([value[name] for value in values if name in value]) for name in names}
    if key in _SCHEMAS and all(isinstance(value, dict | bool) for value in values):
        return _schema(values)
    if len(values) == 1:
        return [merged(each) for each in values[0]] if key in _IN_LISTS else values[0]
    if key == "x-expect":
        return [each for value in values for each in (value if isinstance(value, list) else [value])]
    if key == "x-privacy" and all(value in ACTIONS for value in values):
        return min(values, key=ACTIONS.index)
    if key in _STRICTEST:
        return _STRICTEST[key](values)
    if key in _CONSTRAINTS:
        raise MergeError(f"the keyword {key} stands in several schemas of an allOf, with different values")
    return values[0]


def _schema(values: list[Any]) -> Any:
    if any(value is False for value in values):
        return False
    schemas = [value for value in values if value is not True]
    return merged({"allOf": schemas} if len(schemas) > 1 else schemas[0]) if schemas else True


def _required(values: list[list[str]]) -> list[str]:
    return sorted({name for value in values for name in value})


def _type(values: list[Any]) -> Any:
    lists = [value if isinstance(value, list) else [value] for value in values]
    common = [each for each in lists[0] if all(each in value for value in lists)]
    if not common:
        raise MergeError(f"schemas of an allOf have no type in common: {values}")
    return common[0] if len(common) == 1 else common


def _enum(values: list[list[Any]]) -> list[Any]:
    common = [each for each in values[0] if all(each in value for value in values)]
    if not common:
        raise MergeError(f"schemas of an allOf have no value in common: {values}")
    return sorted(common, key=str)


_STRICTEST: Final[dict[str, Callable[[list[Any]], Any]]] = {
    "required": _required,
    "type": _type,
    "enum": _enum,
    "uniqueItems": any,
    **dict.fromkeys(("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"), max),
    **dict.fromkeys(("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"), min),
}
_CONSTRAINTS: Final = frozenset(
    {"anyOf", "oneOf", "const", "pattern", "multipleOf", "not", "if", "then", "else", "dependencies", "format"}
)
