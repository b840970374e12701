"""A shape says of a schema what a type can say, whatever keywords it is written with."""

from __future__ import annotations

from typing import Any

import pytest

from server.event_types.naming import Names
from server.event_types.shapes import Fields, Items, Literals, Member, OneOf, Shape, Values, shape_of


def shape(schema: dict[str, Any], **whole: Any) -> Shape:
    """The shape of a member with this schema."""
    return shape_of({"properties": {"x": schema}, **whole}).members[0].shape


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({}, "any"),
        ({"type": "string", "maxLength": 3}, "string"),
        ({"type": ["string", "null"]}, OneOf(("string", "null"))),
        ({"type": ["string", "string"]}, "string"),
        ({"enum": ["a", 1, None, True]}, Literals(("a", 1, None, True))),
        ({"enum": [1.5]}, "any"),
        ({"const": "a"}, Literals(("a",))),
        ({"type": "array", "items": {"type": "integer"}}, Items("integer")),
        ({"type": "array"}, Items("any")),
        ({"type": "object"}, Values("any")),
        ({"type": "object", "additionalProperties": {"type": "string"}}, Values("string")),
        ({"oneOf": [{"type": "string"}, {"type": "integer"}]}, OneOf(("string", "integer"))),
        ({"anyOf": [{"type": "string"}, {}]}, "any"),
        ({"type": "new in a later draft"}, "any"),
        ({"$ref": "https://example.org/other"}, "any"),
        ({"$ref": "#/no/such"}, "any"),
        (True, "any"),
    ],
)
def test_what_a_type_can_say_is_said(schema: Any, expected: Shape) -> None:
    assert shape(schema) == expected


def test_references_are_followed_and_a_schema_inside_itself_is_of_any_type() -> None:
    tree = {"type": "object", "properties": {"left": {"$ref": "#/definitions/tree"}, "n": {"type": "integer"}}}
    found = shape({"$ref": "#/definitions/tree"}, definitions={"tree": tree})

    assert found == Fields(("x",), (Member("left", "any", False, ""), Member("n", "integer", False, "")))


def test_all_of_is_one_object() -> None:
    found = shape_of(
        {"allOf": [{"properties": {"a": {"type": "string"}}, "required": ["a"]}, {"properties": {"b": {}}}]}
    )

    assert [(member.name, member.shape, member.is_required) for member in found.members] == [
        ("a", "string", True),
        ("b", "any", False),
    ]


def test_what_others_fill_in_is_optional() -> None:
    meta = {"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}}}
    found = shape_of(
        {"required": ["$schema", "meta", "dt", "n"], "properties": {"$schema": {}, "meta": meta, "dt": {}, "n": {}}}
    )
    inner = found.members[1].shape

    assert [member.is_required for member in found.members] == [False, False, False, True]
    assert isinstance(inner, Fields) and not inner.members[0].is_required


def test_names_are_given_once() -> None:
    names = Names(["Any"])

    assert [
        names.give("web.page_view", "http"),
        names.give("web.page-view", "http"),
        names.give("any"),
        names.give("/^7/"),
    ] == [
        "WebPageViewHttp",
        "WebPageViewHttp2",
        "Any2",
        "Event7",
    ]
