"""validators.withheld: what is said of values that are not stored, or not as they came."""

from __future__ import annotations

from typing import Any

import pytest

from validators.load.bundle import bundle
from validators.privacy import plan_of
from validators.withheld import odd_expectations, spoken_of

URI = "/a/b/1.0.0"
DROP = {"x-privacy": "drop"}
PERSON = {"type": "object", "properties": {"mail": DROP, "id": {"x-privacy": "hash"}, "age": {}}}
PROPERTIES = {
    "mail": DROP,
    "id": {"type": "string", "x-privacy": "hash"},
    "net": {"x-privacy": "truncate-ip"},
    "kept": {"x-privacy": "keep"},
    "plain": {},
    "person": {"$ref": "#/definitions/person"},
    "all": {"items": {"$ref": "#/definitions/person"}},
    "pair": {"items": [{}, {"properties": {"x": DROP}}]},
    "gone": {"properties": {"x": {}}, "x-privacy": "drop"},
}


def bundled(**more: Any) -> dict[str, Any]:
    whole = {"properties": PROPERTIES, "definitions": {"person": PERSON}, **more}
    return bundle(whole, URI, lambda uri: {}, lambda contents, uri: None)


@pytest.mark.parametrize(
    ("expected", "found"),
    [
        ({"required": ["plain", "kept", "net", "id"]}, []),
        ({"required": ["mail", "plain"]}, ["requires mail"]),
        ({"allOf": [{"required": ["mail"]}]}, ["requires mail"]),
        ({"properties": {"person": {"required": ["mail"]}}}, ["requires person.mail"]),
        ({"properties": {"all": {"items": {"required": ["mail"]}}}}, ["requires all[].mail"]),
        ({"properties": {"all": {"contains": {"required": ["mail"]}}}}, ["looks at all[].mail"]),
        ({"properties": {"pair": {"items": [True, {"required": ["x"]}]}}}, ["requires pair[].x"]),
        ({"properties": {"pair": {"items": [{"required": ["x"]}]}}}, []),
        ({"if": {"required": ["mail"]}, "then": {"required": ["plain"]}}, ["looks at mail"]),
        ({"anyOf": [{"not": {"required": ["mail"]}}, {"required": ["mail"]}]}, ["looks at mail"]),
        ({"properties": {"mail": {"minLength": 1}}}, ["looks at mail"]),
        ({"properties": {"mail": {"title": "a mail"}}}, []),
        ({"properties": {"mail": {"minLength": 1}}, "required": ["mail"]}, ["requires mail"]),
        ({"properties": {"gone": {"required": ["x"]}}}, ["looks at gone"]),
        ({"properties": {"id": {"type": "string"}}}, []),
        ({"properties": {"id": {"type": "integer"}}}, ["looks at id"]),
        ({"properties": {"id": {"type": "string", "pattern": "^a"}, "net": {"pattern": "^1"}}}, ["looks at id"]),
        ({"properties": {"net": {"const": "1"}, "kept": {"const": "1"}, "plain": {"const": 1}}}, []),
    ],
)
def test_a_condition_on_a_value_that_is_not_stored_is_found(expected: Any, found: list[str]) -> None:
    whole = bundled()
    plan = plan_of(whole, URI)
    assert plan is not None
    told = [
        f"{'requires' if each.is_required else 'looks at'} {each.field}" for each in spoken_of(plan, expected, whole)
    ]

    assert told == found


@pytest.mark.parametrize(
    ("place", "pointer", "reason"),
    [
        ({"x-expect": [{"required": ["plain"]}, {"required": ["mail"]}]}, "#/x-expect/1",
         "requires 'mail', which is never stored (x-privacy: drop): it can never be met"),
        ({"properties": PROPERTIES | {"mail": {"x-expect": {"minLength": 2}, **DROP}}}, "#/properties/mail/x-expect",
         "looks at 'mail', which is never stored (x-privacy: drop): it never sees it"),
        ({"properties": PROPERTIES | {"id": {"x-privacy": "hash", "x-expect": {"minLength": 2}}}},
         "#/properties/id/x-expect", "judges the hash of 'id', which is stored in its place (x-privacy: hash)"),
        ({"definitions": {"person": PERSON | {"x-expect": {"required": ["mail"]}}}}, "#/properties/person/x-expect",
         "requires 'person.mail', which is never stored (x-privacy: drop): it can never be met"),
    ],
)  # fmt: skip
def test_an_expectation_of_a_schema_is_named_with_the_field(place: dict[str, Any], pointer: str, reason: str) -> None:
    assert (pointer, reason) in odd_expectations(bundled(**place), URI)


def test_without_annotations_or_in_a_schema_that_cannot_be_used_nothing_is_odd() -> None:
    expected = {"x-expect": {"required": ["mail"]}}

    assert odd_expectations(bundled(properties={"mail": {}}, **expected), URI) == []
    assert odd_expectations(bundled(properties={"mail": {"x-privacy": "dorp"}}, **expected), URI) == []


def test_a_schema_inside_itself_comes_to_an_end() -> None:
    tree = {"properties": {"down": {"$ref": "#/definitions/node"}, "name": DROP}, "required": ["name"]}
    whole = bundled(properties={"tree": {"$ref": "#/definitions/node"}}, definitions={"node": tree})
    plan = plan_of(whole, URI)
    assert plan is not None

    assert spoken_of(plan, whole, whole)[0].field == "tree.name"
