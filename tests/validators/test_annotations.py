"""A keyword that judges nothing is found at every place of an event that it speaks of."""

from __future__ import annotations

from typing import Any

import pytest

from validators import SchemaError
from validators.annotations import MOST_PLACES, POSSIBLE, Placed, Step, misplaced, placed
from validators.judge.reference import check_schema
from validators.load.bundle import bundle

X = "x-privacy"
DROP = {X: "drop"}


def bundled(schema: dict[str, Any], files: dict[str, Any] | None = None) -> dict[str, Any]:
    return bundle(schema, "/a/b/1.0.0", lambda uri: (files or {})[uri], check_schema)


def found(schema: dict[str, Any], files: dict[str, Any] | None = None, **how: Any) -> list[Placed]:
    return list(placed(bundled(schema, files), X, **how))


def test_the_steps_to_a_place_say_which_values_it_speaks_of() -> None:
    schema = {
        "properties": {"a": DROP, "b": {"items": DROP}, "c": {"items": [{}, DROP], "additionalItems": DROP}},
        "patternProperties": {"^x": DROP},
        "additionalProperties": DROP,
    }

    places = {each.pointer: each.steps for each in found(schema)}

    assert places == {
        "#/properties/a/x-privacy": (Step("properties", "a"),),
        "#/properties/b/items/x-privacy": (Step("properties", "b"), Step("items", None)),
        "#/properties/c/items/1/x-privacy": (Step("properties", "c"), Step("items", 1)),
        "#/properties/c/additionalItems/x-privacy": (Step("properties", "c"), Step("additionalItems", 2)),
        "#/patternProperties/^x/x-privacy": (Step("patternProperties", "^x"),),
        "#/additionalProperties/x-privacy": (Step("additionalProperties", None, frozenset({"a", "b", "c"}), ("^x",)),),
    }


def test_references_are_followed_into_other_files_and_through_all_of() -> None:
    files = {"/common/1.0.0": {"allOf": [{"properties": {"ip": {"type": "string", X: "hash"}}}]}}

    (place,) = found({"allOf": [{"properties": {"http": {"$ref": "/common/1.0.0"}}}]}, files)

    assert place.value == "hash"
    assert place.schema["type"] == "string"
    assert place.steps == (Step("properties", "http"), Step("properties", "ip"))
    assert place.pointer == "#/allOf/0/properties/http/allOf/0/properties/ip/x-privacy"
    assert place.at == "#/definitions/~1common~11.0.0/allOf/0/properties/ip/x-privacy"


def test_the_keyword_next_to_a_reference_belongs_to_the_place() -> None:
    schema = {
        "properties": {"mine": {"$ref": "#/definitions/name", X: "hash"}, "other": {"$ref": "#/definitions/name"}},
        "definitions": {"name": {"type": "string"}},
    }

    assert [each.steps for each in found(schema)] == [(Step("properties", "mine"),)]


def test_a_schema_inside_itself_is_entered_once_on_each_path() -> None:
    schema = {
        "properties": {"left": {"$ref": "#/definitions/node"}, "right": {"$ref": "#/definitions/node"}},
        "definitions": {"node": {**DROP, "properties": {"next": {"$ref": "#/definitions/node"}, "up": {"$ref": "#"}}}},
    }

    assert [each.pointer for each in found(schema)] == ["#/properties/left/x-privacy", "#/properties/right/x-privacy"]


def test_schemas_that_may_or_may_not_apply_are_followed_on_request_and_otherwise_reported() -> None:
    schema = {"anyOf": [{"properties": {"a": DROP}}], "not": {"properties": {"b": DROP}}, "properties": {"c": DROP}}
    whole = bundled(schema)

    assert [each.steps[0].key for each in placed(whole, X)] == ["c"]
    assert [each.steps[0].key for each in placed(whole, X, POSSIBLE)] == ["a", "c"]
    assert misplaced(whole, X) == ["#/anyOf/0/properties/a/x-privacy", "#/not/properties/b/x-privacy"]
    assert misplaced(whole, X, POSSIBLE) == ["#/not/properties/b/x-privacy"]


def test_a_property_of_the_keywords_name_is_no_keyword() -> None:
    assert found({"properties": {X: {"type": "string"}}, "default": DROP, "enum": [DROP]}) == []


def doubling(innermost: dict[str, Any]) -> dict[str, Any]:
    """Return a schema with 2^20 paths to its innermost definition."""
    definitions: dict[str, Any] = {"d20": innermost}
    for level in range(20):
        below = {"$ref": f"#/definitions/d{level + 1}"}
        definitions[f"d{level}"] = {"properties": {"a": below, "b": below}}
    return {"properties": {"a": {"$ref": "#/definitions/d0"}}, "definitions": definitions}


def test_places_that_references_multiply_are_bounded() -> None:
    whole = bundled(doubling(DROP))

    with pytest.raises(SchemaError, match=f"more than {MOST_PLACES:,} places"):
        list(placed(whole, X))


def test_a_schema_without_the_keyword_costs_one_walk_however_many_paths_it_has() -> None:
    assert found(doubling({"type": "string"})) == []
