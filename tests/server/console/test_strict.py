"""A strict session warns of fields that are not declared or not described; coverage knows the branches of a schema."""

from __future__ import annotations

from typing import Any

import pytest

from server.console.checks.branches import branches, taken
from server.console.checks.strict import MAX_WARNINGS, warnings

SCHEMA: dict[str, Any] = {
    "allOf": [{"properties": {"meta": {"description": "About it.", "type": "object"}}}],
    "properties": {
        "page": {"description": "The page."},
        "plain": {"type": "string"},
        "list": {"description": "A list.", "items": {"properties": {"x": {"description": "X."}}}},
    },
}


@pytest.mark.parametrize(
    ("event", "said"),
    [
        ({"page": "/", "meta": {"any": {"thing": 1}}}, []),
        ({"page": "/", "extra": 1}, ["The schema does not declare `extra`."]),
        ({"plain": "a"}, ["The schema does not describe `plain`."]),
        ({"list": [{"x": 1}, {"y": 1}, {"y": 2}]}, ["The schema does not declare `list.y`."]),
        ([1], []),
        (None, []),
    ],
)
def test_it_warns_once_of_each_field(event: Any, said: list[str]) -> None:
    assert warnings(event, SCHEMA) == said


def test_without_a_schema_there_is_nothing_to_warn_of_and_warnings_are_bounded() -> None:
    assert warnings({"a": 1}, None) == []
    assert len(warnings({f"n{number}": 1 for number in range(1000)}, SCHEMA)) == MAX_WARNINGS


BRANCHED: dict[str, Any] = {
    "properties": {
        "who": {
            "oneOf": [
                {"properties": {"kind": {"const": "user"}}, "required": ["id"]},
                {"properties": {"kind": {"enum": ["bot"]}}, "required": ["name"]},
                {"type": "null"},
            ]
        },
        "tags": {"items": {"anyOf": [{"type": "string"}, {"type": "integer"}, {"type": "number"}]}},
    },
    "allOf": [{"oneOf": [{"required": ["a"]}, {"required": ["b"]}]}],
}


def test_every_alternative_of_a_schema_has_a_place() -> None:
    assert list(branches(BRANCHED)) == [
        *(f"who.oneOf[{at}]" for at in range(3)),
        *(f"tags.anyOf[{at}]" for at in range(3)),
        "oneOf[0]",
        "oneOf[1]",
    ]


@pytest.mark.parametrize(
    ("event", "places"),
    [
        ({"who": {"kind": "user", "id": 1}}, {"who.oneOf[0]"}),
        ({"who": {"kind": "bot", "name": "b", "id": 1}, "b": 1}, {"who.oneOf[1]", "oneOf[1]"}),
        ({"who": None}, {"who.oneOf[2]"}),
        ({"tags": ["x", 2, 2.5, True]}, {"tags.anyOf[0]", "tags.anyOf[1]", "tags.anyOf[2]"}),
        ({"who": {"kind": "user"}}, set()),
        ("no object", set()),
    ],
)
def test_an_alternative_is_taken_by_its_type_members_and_constants(event: Any, places: set[str]) -> None:
    assert set(taken(event, BRANCHED)) == places
