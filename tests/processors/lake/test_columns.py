"""Each rule of the types of columns, and each rule of the values in them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from processors.lake.columns import Field, ListOf, MapOf, Plain, Record, columns_of
from processors.lake.convert import UnfitError, converter
from server.errors import PenstockError

OBJECT = {"type": "object", "properties": {"b": {"type": "integer"}}}
LOOP = {"$ref": "#/definitions/loop"}
RULES: dict[str, tuple[dict[str, Any], Any]] = {
    "a string is text": ({"type": "string"}, Plain.TEXT),
    "a format other than date-time is text": ({"type": "string", "format": "uri"}, Plain.TEXT),
    "a date-time is an instant": ({"type": "string", "format": "date-time"}, Plain.INSTANT),
    "an integer is a long": ({"type": "integer"}, Plain.LONG),
    "a number is a double": ({"type": "number"}, Plain.DOUBLE),
    "a boolean is one": ({"type": "boolean"}, Plain.BOOLEAN),
    "null and one more type is that type": ({"type": ["null", "integer"]}, Plain.LONG),
    "an array is a list": ({"type": "array", "items": {"type": "number"}}, ListOf(Plain.DOUBLE)),
    "an array of anything is JSON": ({"type": "array"}, Plain.JSON),
    "an array of a form for each place is JSON": ({"type": "array", "items": [{"type": "string"}]}, Plain.JSON),
    "an object is a record": (OBJECT, Record((Field("b", "b", Plain.LONG),))),
    "a closed object is a record": (OBJECT | {"additionalProperties": False}, Record((Field("b", "b", Plain.LONG),))),
    "an object of anything is JSON": ({"type": "object"}, Plain.JSON),
    "additionalProperties make a map": (
        {"type": "object", "additionalProperties": {"type": "string"}},
        MapOf(Plain.TEXT),
    ),
    "properties are folded into a map": (OBJECT | {"additionalProperties": {"type": "integer"}}, MapOf(Plain.LONG)),
    "a property of another type makes the values of a map text": (
        OBJECT | {"additionalProperties": {"type": "string"}},
        MapOf(Plain.LOOSE),
    ),
    "a property of another type than numbers makes them JSON": (
        OBJECT | {"additionalProperties": {"type": "number"}},
        MapOf(Plain.JSON),
    ),
    "a union is JSON": ({"type": ["string", "integer"]}, Plain.JSON),
    "no type is JSON": ({"enum": ["a", 1]}, Plain.JSON),
    "null alone is JSON": ({"type": "null"}, Plain.JSON),
    "oneOf without a type is JSON": ({"oneOf": [{"type": "string"}]}, Plain.JSON),
    "parts of allOf are one record": ({"type": "object", "allOf": [OBJECT]}, Record((Field("b", "b", Plain.LONG),))),
    "a reference is followed": ({"$ref": "#/definitions/word"}, Plain.TEXT),
    "a reference that leads nowhere is JSON": ({"$ref": "#/definitions/none"}, Plain.JSON),
    "a reference to itself is JSON": ({"$ref": "#/definitions/self"}, Plain.JSON),
}


def columns(schema: dict[str, Any]) -> Record:
    """Return the columns of an object whose member ``a`` has the schema."""
    definitions = {
        "word": {"type": "string"},
        "self": {"$ref": "#/definitions/self"},
        "loop": {"type": "object", "properties": {"loop": LOOP}},
    }
    return columns_of({"type": "object", "properties": {"a": schema}, "definitions": definitions})


@pytest.mark.parametrize("rule", RULES)
def test_the_type_of_a_column(rule: str) -> None:
    schema, expected = RULES[rule]

    assert columns(schema) == Record((Field("a", "a", expected),))


def test_a_schema_inside_itself_ends_as_json() -> None:
    found: Any = columns(LOOP).fields[0].kind
    depth = 0
    while isinstance(found, Record):
        (found,) = (field.kind for field in found.fields)
        depth += 1

    assert found is Plain.JSON
    assert depth > 10


NAMES = {
    "$schema": "_schema",
    "meta": "meta",
    "camelCase": "camelCase",
    "user-agent": "user_agent",
    "a.b": "a_b",
    "a b": "a_b",
    "1x": "_1x",
    "é日": "é日",
    "😀": "_",
    'q"u': "q_u",
}


@pytest.mark.parametrize("name", NAMES)
def test_the_name_of_a_column(name: str) -> None:
    inner = columns({"type": "object", "properties": {name: {}}}).fields[0].kind
    (outer,) = columns_of({"properties": {name: {}}}).fields

    assert (outer.name, outer.column) == (name, NAMES[name])
    assert inner == Record((Field(name, NAMES[name], Plain.JSON),))


@pytest.mark.parametrize(
    "properties",
    [
        {"pageId": {}, "pageid": {}},
        {"_offset": {}},
        {"_Schema": {}, "$schema": {}},
        {"inner": {"type": "object", "properties": {"x": {}, "X": {}}}},
        {"a-b": {}, "a.b": {}},
        {"1x": {}, "_1X": {}},
    ],
    ids=["case", "our own", "renamed", "inside", "other characters", "a digit"],
)
def test_names_that_engines_do_not_tell_apart_are_refused(properties: dict[str, Any]) -> None:
    with pytest.raises(PenstockError, match="clash"):
        columns_of({"properties": properties})


def test_a_member_without_a_name_has_no_column() -> None:
    assert columns_of({"properties": {"": {"type": "string"}}}) == Record(())


VALUES: dict[str, tuple[dict[str, Any], object, object]] = {
    "text": ({"type": "string"}, "x", "x"),
    "an instant": (
        {"type": "string", "format": "date-time"},
        "2026-01-01T02:00:00.5+01:00",
        datetime(2026, 1, 1, 1, 0, 0, 500_000, UTC),
    ),
    "a time without a zone is UTC": (
        {"type": "string", "format": "date-time"},
        "2026-01-01T02:00:00",
        datetime(2026, 1, 1, 2, tzinfo=UTC),
    ),
    "an integer": ({"type": "integer"}, 2**62, 2**62),
    "an integer that is written with a point": ({"type": "integer"}, 3.0, 3),
    "an integer in a double": ({"type": "number"}, 3, 3.0),
    "a union": ({"type": ["string", "integer"]}, {"k": [1, None]}, '{"k":[1,null]}'),
    "a map": (
        {"type": "object", "additionalProperties": {"type": "number"}},
        {"k": 1, "l": None},
        [("k", 1.0), ("l", None)],
    ),
    "a map with properties of other types": (
        OBJECT | {"additionalProperties": {"type": "string"}},
        {"k": "x", "b": 1},
        [("k", "x"), ("b", "1")],
    ),
    "a list": ({"type": "array", "items": {"type": "number"}}, [1, None], [1.0, None]),
    "null": ({"type": ["null", "integer"]}, None, None),
    "null in a record": (OBJECT, None, None),
}


@pytest.mark.parametrize("case", VALUES)
def test_the_value_of_a_column(case: str) -> None:
    schema, value, expected = VALUES[case]
    extra: dict[str, Any] = {}

    row = converter(columns(schema))({"a": value}, extra)

    assert (row, extra) == ({"a": expected}, {})


UNFIT: dict[str, tuple[dict[str, Any], object]] = {
    "a time that no calendar has": ({"type": "string", "format": "date-time"}, "2026-02-30T00:00:00Z"),
    "a number as a time": ({"type": "string", "format": "date-time"}, 1),
    "a fraction as an integer": ({"type": "integer"}, 1.5),
    "a boolean as an integer": ({"type": "integer"}, True),
    "a text as a number": ({"type": "number"}, "1"),
    "a number larger than a double": ({"type": "number"}, 10**400),
    "a text as a list": ({"type": "array", "items": {"type": "string"}}, "abc"),
    "a list as a map": ({"type": "object", "additionalProperties": {"type": "string"}}, []),
    "a text as a record": (OBJECT, "x"),
}


@pytest.mark.parametrize("case", UNFIT)
def test_a_value_that_does_not_fit_is_never_null(case: str) -> None:
    schema, value = UNFIT[case]

    with pytest.raises(UnfitError, match=r"^a: "):
        converter(columns(schema))({"a": value}, {})


def test_unknown_members_of_all_items_are_kept() -> None:
    extra: dict[str, Any] = {}

    row = converter(columns({"type": "array", "items": OBJECT}))({"a": [{"c": 1}, {"b": 2, "c": 3}]}, extra)

    assert row == {"a": [{}, {"b": 2}]}
    assert extra == {"a[].c": [1, 3]}


def test_members_that_the_schema_does_not_have_are_kept_by_their_paths() -> None:
    event = {"a": {"b": 1, "c": 2}, "d": {"e": 3}}
    extra: dict[str, Any] = {}

    row = converter(columns(OBJECT))(event, extra)

    assert row == {"a": {"b": 1}}
    assert extra == {"a.c": 2, "d": {"e": 3}}
