"""Reduce a schema to the shapes of its events, as far as a type can express them.

Place: commands.types → HERE → event_types.python, event_types.typescript.
Rules: the same schema gives the same shapes, in the order of the schema. Patterns, bounds and conditions, which a type
cannot express, are left out; where a schema contains itself, any type is allowed. Members that the intake or the client
library fills in are optional, even if the schema requires them. Members that a schema allows without declaring them are
no part of a type: in a program they are misspelt names more often than not.
Not here: how a language writes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal, NamedTuple

MAX_DEPTH: Final = 24
FILLED: Final = frozenset({"$schema", "meta", "dt"})  # By client libraries, or by the intake.

Plain = Literal["any", "null", "boolean", "integer", "number", "string"]


class Literals(NamedTuple):
    """One of these values of JSON, none of them an array or an object."""

    values: tuple[str | int | bool | None, ...]


class Items(NamedTuple):
    """An array."""

    item: Shape


class Member(NamedTuple):
    """One member of an object. ``description`` is of one line, or empty."""

    name: str
    shape: Shape
    is_required: bool
    description: str


class Fields(NamedTuple):
    """An object with known members. ``path`` names it among the objects of its event."""

    path: tuple[str, ...]
    members: tuple[Member, ...]


class Values(NamedTuple):
    """An object of any names, whose values are alike."""

    value: Shape


class OneOf(NamedTuple):
    """One of several shapes."""

    shapes: tuple[Shape, ...]


Shape = Plain | Literals | Items | Fields | Values | OneOf

_PLAIN: Final[Mapping[str, Plain]] = {
    "null": "null",
    "boolean": "boolean",
    "integer": "integer",
    "number": "number",
    "string": "string",
}


def shape_of(whole: Mapping[str, Any]) -> Fields:
    """Return the shape of a schema's events; ``whole`` has references within itself alone."""
    found = _Reader(whole).read(whole, (), ())
    return found if isinstance(found, Fields) else Fields((), ())


class _Reader:
    def __init__(self, whole: Mapping[str, Any]) -> None:
        self._whole = whole

    def read(self, schema: Any, path: tuple[str, ...], above: tuple[int, ...]) -> Shape:
        if not isinstance(schema, Mapping) or id(schema) in above or len(above) > MAX_DEPTH:
            return "any"
        above = (*above, id(schema))
        reference = schema.get("$ref")
        if isinstance(reference, str):
            return self.read(self._target(reference), path, above)
        schema = self._merged(schema, above)
        if "const" in schema:
            return _literals([schema["const"]])
        if isinstance(schema.get("enum"), list):
            return _literals(schema["enum"])
        kinds = schema.get("type", "object" if "properties" in schema else None)
        if kinds is None:
            alternatives = schema.get("oneOf") or schema.get("anyOf")
            if isinstance(alternatives, list):
                return _one_of(
                    self.read(each, (*path, str(number)), above) for number, each in enumerate(alternatives, 1)
                )
            return "any"
        names = kinds if isinstance(kinds, list) else [kinds]
        return _one_of(self._of_kind(name, schema, path, above) for name in names)

    def _of_kind(self, kind: Any, schema: Mapping[str, Any], path: tuple[str, ...], above: tuple[int, ...]) -> Shape:
        if kind == "array":
            return Items(self.read(schema.get("items"), (*path, "item"), above))
        if kind == "object":
            return self._object(schema, path, above)
        return _PLAIN.get(kind, "any")

    def _object(self, schema: Mapping[str, Any], path: tuple[str, ...], above: tuple[int, ...]) -> Shape:
        properties = schema.get("properties")
        others = schema.get("additionalProperties", True)
        if not isinstance(properties, Mapping) or not properties:
            return Values(self.read(others, (*path, "value"), above) if isinstance(others, Mapping) else "any")
        required = schema.get("required")
        names = set(required) if isinstance(required, list) else set()
        is_filled = path == ("meta",)
        members = tuple(
            Member(
                str(name),
                self.read(inner, (*path, str(name)), above),
                name in names and not is_filled and not (not path and name in FILLED),
                _line(inner),
            )
            for name, inner in properties.items()
        )
        return Fields(path, members)

    def _merged(self, schema: Mapping[str, Any], above: tuple[int, ...]) -> Mapping[str, Any]:
        """Put the properties of ``allOf`` into one object: an event has all of them."""
        parts = schema.get("allOf")
        if not isinstance(parts, list):
            return schema
        merged = dict(schema)
        properties: dict[str, Any] = {}
        required = list(schema.get("required") or [])
        for part in parts:
            while isinstance(part, Mapping) and isinstance(part.get("$ref"), str) and id(part) not in above:
                above = (*above, id(part))
                part = self._target(part["$ref"])
            if isinstance(part, Mapping):
                part = self._merged(part, (*above, id(part))) if id(part) not in above else part
                properties |= part.get("properties") or {}
                required += part.get("required") or []
                merged.setdefault("type", part.get("type", "object"))
        properties |= schema.get("properties") or {}
        return merged | ({"properties": properties} if properties else {}) | {"required": required}

    def _target(self, reference: str) -> Any:
        found: Any = self._whole
        if not reference.startswith("#"):
            return None
        for step in reference[1:].split("/")[1:]:
            step = step.replace("~1", "/").replace("~0", "~").replace("%24", "$").replace("%25", "%")
            if isinstance(found, list) and step.isdecimal() and int(step) < len(found):
                found = found[int(step)]
            else:
                found = found.get(step) if isinstance(found, Mapping) else None
        return found


def _literals(values: list[Any]) -> Shape:
    if any(isinstance(value, float | list | dict) for value in values):
        return "any"  # Neither language has types of single decimals.
    return Literals(tuple(values)) if values else "any"


def _one_of(shapes: Any) -> Shape:
    found = tuple(dict.fromkeys(shapes))
    if not found or "any" in found:
        return "any"
    return found[0] if len(found) == 1 else OneOf(found)


def _line(schema: Any) -> str:
    text = schema.get("description") if isinstance(schema, Mapping) else None
    return " ".join(text.split()) if isinstance(text, str) else ""
