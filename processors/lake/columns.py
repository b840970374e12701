"""The columns of a table, from the JSON Schema of its events.

Place: catalog → HERE → convert (values), arrow (types of the file format).
Rules: types come from the schema and never from events, so that an integer never becomes a double because one event
had a fraction. A schema that a column cannot express is a column of JSON text. In names, characters other than letters,
digits and ``_`` are ``_``, as in ``_schema``; two names that are the same then, or differ only in case, are an error,
because most engines cannot tell them apart. A member with an empty name has no column.
Not here: values (convert).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import Enum
from typing import Any, Final

from msgspec import Struct

from server.errors import PenstockError

_FOREIGN: Final = re.compile(r"\W")
DEEPEST: Final = 20  # A schema that refers to itself would have no end; what is deeper is JSON text.


class Plain(Enum):
    """A type without parts. JSON is text that holds a JSON value; LOOSE is text in which a string stands as it is, and
    any other value as JSON."""

    TEXT = "text"
    INSTANT = "instant"
    LONG = "long"
    DOUBLE = "double"
    BOOLEAN = "boolean"
    JSON = "json"
    LOOSE = "loose"


class ListOf(Struct, frozen=True):
    """A list of items of one type."""

    item: Kind


class MapOf(Struct, frozen=True):
    """A map from text to values of one type."""

    value: Kind


class Field(Struct, frozen=True):
    """A member of an object: its name in events, and that of its column."""

    name: str
    column: str
    kind: Kind


class Record(Struct, frozen=True):
    """An object with known members."""

    fields: tuple[Field, ...]


Kind = Plain | ListOf | MapOf | Record

# The columns that every table has besides those of the schema.
OWN: Final = ("_topic", "_partition", "_offset", "_timestamp", "_ingested_at", "_extra")
_PLAIN: Final = {
    "string": Plain.TEXT,
    "integer": Plain.LONG,
    "number": Plain.DOUBLE,
    "boolean": Plain.BOOLEAN,
}


def columns_of(schema: Mapping[str, Any]) -> Record:
    """Return the columns of a schema. Raises PenstockError if two names clash, or one with a column of our own."""
    found = _record(schema, schema, 0)
    _refuse_clashes([*OWN, *(field.column for field in found.fields)], "")
    return found


def _kind(schema: Any, root: Mapping[str, Any], depth: int) -> Kind:
    if not isinstance(schema, Mapping) or depth > DEEPEST:
        return Plain.JSON
    schema = _resolved(schema, root)
    name = _type_of(schema)
    if name == "string" and schema.get("format") == "date-time":
        return Plain.INSTANT
    if name == "array":
        items = schema.get("items")
        return ListOf(_kind(items, root, depth + 1)) if isinstance(items, Mapping) and items else Plain.JSON
    if name == "object":
        others = schema.get("additionalProperties")
        if isinstance(others, Mapping) and others:
            return _map(others, schema, root, depth + 1)
        record = _record(schema, root, depth)
        return record if record.fields else Plain.JSON
    return _PLAIN.get(name or "", Plain.JSON)


def _map(others: Mapping[str, Any], schema: Mapping[str, Any], root: Mapping[str, Any], depth: int) -> Kind:
    """Return the map of ``additionalProperties``. Properties are keys of it like any other; where one of them has
    another type, the values are text."""
    value = _kind(others, root, depth)
    if all(_kind(inner, root, depth) == value for inner in (schema.get("properties") or {}).values()):
        return MapOf(value)
    return MapOf(Plain.LOOSE if value is Plain.TEXT else Plain.JSON)


def _type_of(schema: Mapping[str, Any]) -> str | None:
    """Return the one type that values have apart from null; None for a union."""
    named = schema.get("type")
    names = [name for name in (named if isinstance(named, list) else [named]) if name != "null"]
    return names[0] if len(names) == 1 and isinstance(names[0], str) else None


def _record(schema: Mapping[str, Any], root: Mapping[str, Any], depth: int) -> Record:
    members: dict[str, Any] = {}
    for part in (schema, *(schema.get("allOf") or ())):
        if isinstance(part, Mapping):
            members |= _resolved(part, root).get("properties") or {}
    members.pop("", None)  # A file format takes no empty name; its values are in ``_extra``.
    fields = tuple(Field(name, _column(name), _kind(inner, root, depth + 1)) for name, inner in members.items())
    _refuse_clashes([field.column for field in fields], f" of {schema.get('title') or 'an object'}")
    return Record(fields)


def _column(name: str) -> str:
    """Return a name that Avro, and so pyiceberg, takes. pyiceberg would write another one in its files by itself, and
    lose the values of such members of structs in lists in maps (0.12)."""
    column = _FOREIGN.sub("_", name)
    return column if column[0] == "_" or column[0].isalpha() else f"_{column}"


def _resolved(schema: Mapping[str, Any], root: Mapping[str, Any]) -> Mapping[str, Any]:
    """Follow references inside the document; one that leads nowhere is a schema that says nothing."""
    for _ in range(DEEPEST):
        reference = schema.get("$ref")
        if not isinstance(reference, str):
            return schema
        found: Any = root
        for part in reference.removeprefix("#").split("/")[1:]:
            found = found.get(part.replace("~1", "/").replace("~0", "~")) if isinstance(found, Mapping) else None
        schema = found if isinstance(found, Mapping) else {}
    return {}


def _refuse_clashes(names: list[str], where: str) -> None:
    seen: dict[str, str] = {}
    for name in names:
        other = seen.setdefault(name.lower(), name)
        if other != name or names.count(name) > 1:
            raise PenstockError(f"the columns {other!r} and {name!r}{where} clash: engines do not tell them apart")
