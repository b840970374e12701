"""The words of a refusal are those of AJV 6, in its order, and there is an end to them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from validators import SchemaError, Violation, errors_text
from validators.judge.reference import check_schema
from validators.load.bundle import bundle
from validators.words.invalid import Walk, problems
from validators.words.notes import MAX_DEPTH, MAX_PROBLEM_BYTES, MAX_PROBLEMS
from validators.words.violation import MAX_TEXT, UNPLACED, number

RECORDED = json.loads(Path(__file__).with_name("ajv-6.12.6.json").read_text(encoding="utf-8"))["cases"]


def nothing(uri: str) -> Any:
    raise SchemaError("unknown_schema", uri)


def judged(schema: dict[str, Any], value: Any) -> list[Violation]:
    return problems(bundle(schema, "/a/b/1.0.0", nothing, check_schema), value)


@pytest.mark.parametrize("case", RECORDED, ids=lambda case: json.dumps(case["schema"])[:40])
def test_problems_are_those_that_ajv_6_reports(case: dict[str, Any]) -> None:
    for value, errors in case["judged"]:
        assert msgspec.to_builtins(judged(case["schema"], value)) == (errors or []), value


def test_the_text_is_that_of_eventgate() -> None:
    schema = {
        "properties": {"test": {"type": "string"}, "meta": {"type": "object", "required": ["dt"]}},
        "additionalProperties": False,
    }

    assert errors_text(judged(schema, {"test": 1, "meta": {}})) == (
        "'.test' should be string, '.meta' should have required property 'dt'"
    )
    assert errors_text([]) == ""


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (10, "10"),
        (10.0, "10"),
        (-0.5, "-0.5"),
        (1e-6, "0.000001"),
        (1.5e-6, "0.0000015"),
        (1e-7, "1e-7"),
        (-1.25e-9, "-1.25e-9"),
        (1e20, "100000000000000000000"),
        (1e21, "1e+21"),
        (1.5e300, "1.5e+300"),
        (9007199254740993, "9007199254740993"),
        (10**30, "1" + "0" * 30),
        (0.1 + 0.2, "0.30000000000000004"),
    ],
)
def test_numbers_are_written_as_javascript_does(value: float, text: str) -> None:
    assert number(value) == text


def test_there_are_at_most_so_many_problems() -> None:
    found = judged({"items": {"type": "string"}}, [1] * 100_000)

    assert len(found) == MAX_PROBLEMS
    assert found[-1].dataPath == "[99]"


def test_long_names_of_an_event_are_cut() -> None:
    name = "n" * 1_000_000
    found = judged({"additionalProperties": False}, {name: 1})
    inside = judged({"additionalProperties": {"type": "string"}}, {name: 1})
    named = judged({"propertyNames": {"maxLength": 3}}, {name: 1})

    assert found[0].params == {"additionalProperty": "n" * MAX_TEXT + "…"}
    assert all(len(msgspec.json.encode(each)) < 5 * MAX_TEXT for each in (found, inside, named))


def test_problems_have_a_bound_in_bytes() -> None:
    labels = [f"label {i}" for i in range(2_000)]
    found = judged({"items": {"enum": labels}}, ["x"] * 100)

    assert 1 <= len(found) < 10
    assert len(msgspec.json.encode(found)) < MAX_PROBLEM_BYTES + 2 * len(json.dumps(labels))


def test_what_anyof_takes_back_leaves_room_for_what_counts() -> None:
    schema = {"properties": {"a": {"anyOf": [{"items": {"type": "string"}}, {"type": "array"}]}, "b": {"type": "null"}}}

    assert errors_text(judged(schema, {"a": [1] * 1_000, "b": 1})) == "'.b' should be null"


def test_the_walk_of_a_recursive_schema_is_as_deep_as_the_value() -> None:
    schema = {"properties": {"a": {"$ref": "#"}}, "required": ["b"]}

    assert [each.dataPath for each in judged(schema, {"b": 1, "a": {"a": {}}})] == [".a", ".a.a"]
    assert judged(schema, {"b": 1, "a": {}})[0].schemaPath == "#/required"


def test_a_walk_that_would_go_too_deep_ends_and_the_next_is_not_held_to_it() -> None:
    walk = Walk(bundle({"properties": {"a": {"$ref": "#"}}, "required": ["b"]}, "/a/b/1.0.0", nothing, check_schema))
    deep: dict[str, Any] = {}
    for _ in range(10_000):
        deep = {"a": deep, "b": 1}

    with pytest.raises(RecursionError):
        walk.problems(deep)
    for _ in range(MAX_DEPTH):
        assert len(walk.problems({"a": {"a": {"b": 1}, "b": 1}}) or []) == 1


def test_the_place_of_a_problem_behind_a_reference_is_found_in_the_bundle() -> None:
    def retrieve(uri: str) -> Any:
        return {"properties": {"a": {"type": "string"}}}

    whole = bundle({"properties": {"c": {"$ref": "/c/1.0.0"}}}, "/a/b/1.0.0", retrieve, check_schema)

    assert problems(whole, {"c": {"a": 1}})[0].schemaPath == "#/definitions/~1c~11.0.0/properties/a/type"


def test_the_walk_of_a_large_event_ends() -> None:
    numbers = {"items": {"type": "integer", "multipleOf": 1}, "maxItems": 300_000}
    value: list[Any] = [1] * 200_000

    assert judged(numbers, [*value, "x"]) == [UNPLACED]
    assert judged(numbers, ["x", *value]) == [
        Violation("type", "[0]", "#/items/type", {"type": "integer"}, "should be integer")
    ]


def test_a_wrong_item_is_found_behind_any_number_of_right_ones() -> None:
    value: list[Any] = [1] * 200_000

    for schema in ({"type": "integer"}, {"$ref": "#/definitions/x"}):
        found = judged({"items": schema, "definitions": {"x": {"type": "integer"}}}, [*value, "x"])
        assert [each.dataPath for each in found] == ["[200000]"]


def test_what_was_only_tried_is_no_problem_when_the_walk_ends() -> None:
    trial = {"anyOf": [{"items": {"type": "string"}}, {"items": {"type": "integer", "multipleOf": 1}}]}
    schema = {"required": ["c"], "properties": {"a": trial}}

    assert errors_text(judged(schema, {"a": [1] * 200_000})) == "'' should have required property 'c'"


def test_a_text_that_is_too_long_is_not_searched() -> None:
    slow = "a*a*a*b"  # Cubic in the length of the text.
    text = "a" * 1_000_000

    assert [each.keyword for each in judged({"maxLength": 10, "pattern": slow}, text)] == ["maxLength"]
    assert [each.keyword for each in judged({"maxLength": 10, "pattern": slow}, text[:20])] == ["maxLength", "pattern"]
    schema = {"patternProperties": {slow: False}, "propertyNames": {"maxLength": 10}, "additionalProperties": False}
    assert [each.keyword for each in judged(schema, {text: 1})] == [
        "maxLength",
        "propertyNames",
        "additionalProperties",
    ]


def test_a_long_name_far_out_does_not_cost_each_step_inside() -> None:
    found = judged({"additionalProperties": {"items": {"type": "string"}}}, {"n" * 1_000_000: [1] * 50})

    assert len(found) == 50
    assert {len(each.dataPath) for each in found} == {MAX_TEXT + 1}
