"""What is said to pass at once is valid, and the walk says the same whether it asks or not."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.validators.test_agreement import BARE, SCHEMAS, VALUES, nothing, schemas
from validators.judge.reference import Refused, check_schema, compile_schema
from validators.load.bundle import bundle
from validators.words import condition_source as written
from validators.words import invalid, passes
from validators.words.passes import Passes, PassPlan

OBJECT = {
    "type": "object",
    "required": ["a", "free"],
    "properties": {
        "a": {"type": "string", "minLength": 1, "maxLength": 3},
        "b": {"type": "integer", "minimum": 0, "maximum": 9},
        "c": {"type": ["number", "null"], "maximum": 5},
        "d": {"enum": ["x", "y", 1]},
        "e": {"type": "array", "items": {"$ref": "#/definitions/inner"}, "maxItems": 2},
        "f": {"type": "object", "additionalProperties": {"type": "boolean"}},
        "dt": {"type": "string", "format": "date-time", "maxLength": 50},
    },
    "definitions": {
        "inner": {
            "type": "object",
            "additionalProperties": False,
            "properties": {"p": {"type": "string", "pattern": "^a"}},
        }
    },
}
RIGHT = {
    "a": "abc",
    "free": [],
    "b": 9,
    "c": None,
    "d": "x",
    "e": [{"p": "ab"}, {}],
    "f": {"t": True},
    "dt": "2021-02-28T00:00:00Z",
}


class Blind(Passes):
    """It knows nothing."""

    def of(self, schema: Any) -> PassPlan:
        return PassPlan(None)


def bundled(schema: dict[str, Any]) -> dict[str, Any]:
    return bundle(schema, "/a/b/1.0.0", nothing, check_schema)


@pytest.fixture(params=[0, written.MAX_SOURCE], ids=["tuples", "expressions"], autouse=True)
def room(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(written, "MAX_SOURCE", request.param)


@settings(derandomize=True, max_examples=300)
@given(schema=SCHEMAS, definition=schemas(BARE), values=st.lists(VALUES, min_size=6, max_size=6))
def ask(schema: dict[str, Any], definition: dict[str, Any], values: list[Any]) -> None:
    whole = bundled(schema | {"definitions": {"d": definition}})
    validate = compile_schema(whole, "/a/b/1.0.0")
    test = Passes(whole).of(whole).test
    walk, blind = invalid.Walk(whole), invalid.Walk(whole)
    blind._passes = Blind(whole)
    for value in values:
        assert walk.problems(value) == blind.problems(value), value
        if test is not None and test(value):
            try:
                validate(value)
            except Refused as error:
                raise AssertionError(value) from error


@pytest.mark.slow(reason="it compiles 300 schemas in each of two ways")
def test_what_passes_is_valid_and_the_walk_says_the_same_without_asking() -> None:
    ask()


def test_a_usual_object_passes_at_once() -> None:
    whole = bundled(OBJECT)
    test = Passes(whole).of(whole).test

    assert test is not None
    assert test(RIGHT)
    assert test({"a": "a", "free": 1})


@pytest.mark.parametrize(
    "change",
    [
        {"a": ""},
        {"a": "abcd"},
        {"a": None},
        {"b": -1},
        {"b": 10},
        {"b": True},
        {"c": 6},
        {"c": "x"},
        {"d": "z"},
        {"d": True},
        {"e": [{}, {}, {}]},
        {"e": [{"p": "b"}]},
        {"e": [{"q": 1}]},
        {"f": {"t": 1}},
        {"f": []},
        {"dt": "2021-02-30T00:00:00Z"},
        {"dt": "2021-02-28 00:00:00Z"},
        {"dt": 5},
    ],
)
def test_one_wrong_member_does_not_pass_and_is_all_that_is_found(change: dict[str, Any]) -> None:
    whole = bundled(OBJECT)
    test = Passes(whole).of(whole).test

    assert test is not None
    assert not test(RIGHT | change)
    assert len({problem.dataPath for problem in invalid.Walk(whole).problems(RIGHT | change) or []}) == 1


@pytest.mark.parametrize("name", ["a", "free"])
def test_a_missing_member_does_not_pass(name: str) -> None:
    whole = bundled(OBJECT)
    test = Passes(whole).of(whole).test
    lacking = {other: each for other, each in RIGHT.items() if other != name}

    assert test is not None
    assert not test(lacking)
    assert [problem.keyword for problem in invalid.Walk(whole).problems(lacking) or []] == ["required"]


@pytest.mark.parametrize(
    "schema",
    [
        {"oneOf": [{"type": "string"}]},
        {"type": "array", "items": {"$ref": "#"}},
        {"type": "array", "items": [{"type": "string"}, {"required": ["a"]}]},
        {"properties": {"a": {"items": [{"required": ["a"]}]}}},
        {"type": "integer", "multipleOf": 2},
        {"type": "object", "propertyNames": {"maxLength": 3}},
        {"minLength": 3},
    ],
)
def test_of_what_is_not_understood_nothing_is_said(schema: dict[str, Any]) -> None:
    whole = bundled(schema)

    assert Passes(whole).of(whole).test is None


def test_names_of_a_schema_are_no_code() -> None:
    name = "'] or __import__('os').abort() or x['\\\n\"\ud800"
    whole = bundled({"type": "object", "required": [name], "properties": {name: {"type": "string"}}})
    test = Passes(whole).of(whole).test

    assert test is not None
    assert test({name: "a"})
    assert not test({})


def test_a_value_is_looked_at_few_times_however_deep_it_lies() -> None:
    asked = [height for height in range(1, 300) if PassPlan(lambda _: True, height=height).is_asked]

    assert sum(asked) < 2 * 299
    assert asked[:4] == [1, 2, 3, 4]


def test_schemas_inside_one_another_are_known_to_a_depth() -> None:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(passes.MAX_DEPTH * 3):
        schema = {"type": "object", "properties": {"a": schema}}
    value: Any = 5
    for _ in range(passes.MAX_DEPTH * 3):
        value = {"a": value}
    found = invalid.Walk(bundled(schema)).problems(value)

    assert [problem.keyword for problem in found or []] == ["type"]
