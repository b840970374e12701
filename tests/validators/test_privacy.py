"""The values that ``x-privacy`` speaks of are found wherever they are, and nothing of them stays in the text."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from tests.harness.annotated import Marked, schema_of
from validators import SchemaError
from validators.load.bundle import bundle
from validators.privacy import ACTIONS, PrivacyPlan, plan_of

URI = "/a/b/1.0.0"
DROP = {"x-privacy": "drop"}


def plan(schema: dict[str, Any]) -> PrivacyPlan | None:
    return plan_of(bundle(schema, URI, lambda uri: {}, lambda contents, uri: None), URI)


def act(action: str, text: Raw) -> Raw | None:
    return None if action == "drop" else Raw(f'"{action}"'.encode())


def applied(schema: dict[str, Any], event: object, *, is_valid: bool = True) -> Any:
    found = plan(schema)
    assert found is not None
    raw = event if isinstance(event, bytes) else json.dumps(event).encode()
    return json.loads(found.apply(raw, act, is_valid=is_valid))


def test_a_schema_without_annotations_has_no_plan() -> None:
    assert plan({"properties": {"a": {"type": "string"}}}) is None


RECURSIVE = {
    "properties": {"tree": {"$ref": "#/definitions/node"}},
    "definitions": {
        "node": {
            "properties": {
                "ip": DROP,
                "down": {"$ref": "#/definitions/node"},
                "more": {"items": {"$ref": "#/definitions/node"}},
            }
        }
    },
}

CASES = {
    "a property": ({"properties": {"a": DROP}}, {"a": 1, "b": 2}, {"b": 2}),
    "an absent property": ({"properties": {"a": DROP}}, {"b": 2}, {"b": 2}),
    "another action": ({"properties": {"a": {"x-privacy": "hash"}}}, {"a": 1}, {"a": "hash"}),
    "a property that is kept": ({"properties": {"a": {"x-privacy": "keep"}}}, {"a": 1}, {"a": 1}),
    "a nested object": (
        {"properties": {"a": {"properties": {"b": DROP}}}},
        {"a": {"b": {"c": 1}, "d": 2}, "b": 3},
        {"a": {"d": 2}, "b": 3},
    ),
    "objects in a list": (
        {"properties": {"a": {"items": {"properties": {"b": DROP}}}}},
        {"a": [{"b": 1}, {"c": 2, "b": 3}, 4]},
        {"a": [{}, {"c": 2}, 4]},
    ),
    "items of a list": ({"properties": {"a": {"items": DROP}}}, {"a": [1, 2]}, {"a": []}),
    "an item at its place": ({"properties": {"a": {"items": [{}, DROP, {}]}}}, {"a": [1, 2, 3]}, {"a": [1, None, 3]}),
    "items after the listed ones": (
        {"properties": {"a": {"items": [{}], "additionalItems": DROP}}},
        {"a": [1, 2, 3]},
        {"a": [1]},
    ),
    "additionalItems without a list": (
        {"properties": {"a": {"items": {}, "additionalItems": DROP}, "b": DROP}},
        {"a": [1, 2], "b": 1},
        {"a": [1, 2]},
    ),
    "a pattern": ({"patternProperties": {"^ip_": DROP}}, {"ip_a": 1, "ip_b": 2, "a_ip": 3}, {"a_ip": 3}),
    "additional properties": (
        {"properties": {"a": {}}, "patternProperties": {"^x": {}}, "additionalProperties": DROP},
        {"a": 1, "xy": 2, "b": 3},
        {"a": 1, "xy": 2},
    ),
    "a property and a pattern": (
        {"properties": {"ab": {"x-privacy": "hash"}}, "patternProperties": {"b": DROP}},
        {"ab": 1, "c": 2},
        {"c": 2},
    ),
    "allOf": (
        {"allOf": [{"properties": {"a": DROP}}, {"properties": {"b": DROP}}]},
        {"a": 1, "b": 2, "c": 3},
        {"c": 3},
    ),
    "a branch of anyOf, though another one holds": (
        {"properties": {"a": {"anyOf": [{"type": "integer"}, {"properties": {"b": DROP}}]}}},
        {"a": {"b": 1, "c": 2}},
        {"a": {"c": 2}},
    ),
    "then and else": (
        {"if": {"required": ["b"]}, "then": {"properties": {"b": DROP}}, "else": {"properties": {"c": DROP}}},
        {"b": 1, "c": 2},
        {},
    ),
    "not": ({"not": {"properties": {"a": DROP}}}, {"a": 1, "b": 2}, {"b": 2}),
    "contains": ({"properties": {"a": {"contains": {"properties": {"b": DROP}}}}}, {"a": [{"b": 1}]}, {"a": [{}]}),
    "dependencies": ({"dependencies": {"b": {"properties": {"a": DROP}}}}, {"a": 1}, {}),
    "a reference": (
        {"properties": {"a": {"$ref": "#/definitions/ip"}}, "definitions": {"ip": DROP}},
        {"a": 1, "b": 2},
        {"b": 2},
    ),
    "an annotation next to a reference": (
        {"properties": {"a": {"$ref": "#/definitions/ip", **DROP}}, "definitions": {"ip": {"type": "string"}}},
        {"a": "1"},
        {},
    ),
    "the strictest of several": (
        {"properties": {"a": {"allOf": [{"x-privacy": "keep"}, {"x-privacy": "hash"}, DROP]}}},
        {"a": 1},
        {},
    ),
    "a schema inside itself, at any depth": (
        RECURSIVE,
        {"tree": {"ip": 1, "down": {"ip": 2, "down": {"ip": 3, "x": 4}}, "more": [{"ip": 5, "more": [{"ip": 6}]}]}},
        {"tree": {"down": {"down": {"x": 4}}, "more": [{"more": [{}]}]}},
    ),
    "a property below one that is kept": (
        {"properties": {"a": {"x-privacy": "keep", "properties": {"b": DROP}}}},
        {"a": {"b": 1, "c": 2}},
        {"a": {"c": 2}},
    ),
    "names that are alike": ({"properties": {"a": DROP}}, {"A": 1, "a ": 2, "": 3, "a": 4}, {"A": 1, "a ": 2, "": 3}),
    "a property that is named like a keyword": (
        {"properties": {"properties": {"properties": {"x-privacy": DROP}}}},
        {"properties": {"x-privacy": 1, "b": 2}, "x-privacy": 3},
        {"properties": {"b": 2}, "x-privacy": 3},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_value_is_changed_wherever_its_schema_may_apply(case: str) -> None:
    schema, event, expected = CASES[case]
    assert isinstance(schema, dict)

    assert applied(schema, event) == expected


@pytest.mark.parametrize(
    "raw",
    [
        b'{"a":{"b":"marker"},"a":{}}',
        b'{"a":{"b":"marker"},"a":1}',
        b'{"a":{"b":"marker","b":1}}',
        b'{"\\u0061":{"\\u0062":"marker"}}',
        b' { "a" : { "b" : "marker" , "c" : 1 } } ',
        b'{"a":{"c":1,"b":["marker",{"marker":"marker"}]}}',
        b'{"a":[{"b":"x"},{"b":"marker"}]}',
    ],
)
def test_nothing_of_a_dropped_value_stays_in_the_text(raw: bytes) -> None:
    found = plan({"properties": {"a": {"properties": {"b": DROP}, "items": {"properties": {"b": DROP}}}}})

    assert found is not None
    assert b"marker" not in found.apply(raw, act)


def test_other_values_keep_their_bytes() -> None:
    found = plan({"properties": {"a": DROP}})
    raw = b'{"n":12345678901234567890123,"f":1.10,"e":1E400,"s":"\\u00e9\\/","o":{ "x" : 1 , "x" : 2 },"a":1}'

    assert found is not None
    assert found.apply(raw, act) == raw.replace(b',"a":1', b"")


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        ({"a": "marker"}, {}),
        ({"a": 17}, {}),
        ({"a": ["marker"]}, {}),
        ({"a": None, "b": 1}, {"a": None, "b": 1}),
        ({"a": {"b": 1, "c": "kept"}}, {"a": {"c": "kept"}}),
    ],
)
def test_of_an_invalid_event_a_value_of_another_kind_on_the_way_is_removed(event: object, expected: object) -> None:
    schema = {"properties": {"a": {"properties": {"b": DROP}}}}

    assert applied(schema, event, is_valid=False) == expected


def test_a_value_of_another_kind_stays_in_a_valid_event() -> None:
    schema = {"properties": {"a": {"anyOf": [{"type": "string"}, {"properties": {"b": DROP}}]}}}

    assert applied(schema, {"a": "no object"}) == {"a": "no object"}


def test_a_deep_text_is_refused_before_it_takes_the_square_of_its_size() -> None:
    found = plan({"properties": {"d": {"$ref": "#"}, "ip": DROP}})
    raw = b'{"d":' * 400 + b'{"x":"' + bytes(b"a" * 100_000) + b'"}' + b"}" * 400

    assert found is not None
    with pytest.raises(RecursionError):
        found.apply(raw, act)


@pytest.mark.parametrize("value", ["dorp", "", "DROP", 1, None, True, ["drop"], {"drop": 1}])
def test_an_action_that_does_not_exist_is_refused(value: object) -> None:
    with pytest.raises(SchemaError, match=r"x-privacy is .*; it may be drop, hash, truncate-ip, coarse-time, keep"):
        plan({"properties": {"a": {"x-privacy": value}}})


@pytest.mark.parametrize(
    "expected",
    [
        DROP,
        [{"minProperties": 1}, {"properties": {"a": DROP}}],
        {"if": {"properties": {"a": {"items": DROP}}}, "then": {"required": ["a"]}},
        {"dependencies": {"a": {"not": {"x-privacy": "nothing"}}}},
    ],
)
@pytest.mark.parametrize("is_annotated", [True, False])
def test_an_annotation_in_an_expectation_is_refused(expected: object, is_annotated: bool) -> None:
    """It would be obeyed nowhere, and a value that should be withheld would be stored."""
    inner = {"properties": {"a": {"type": "object", "x-expect": expected}, "b": DROP if is_annotated else {}}}
    with pytest.raises(SchemaError, match="x-privacy in x-expect is never obeyed: write it in the schema of the value"):
        plan(inner)
    with pytest.raises(SchemaError, match="in x-expect"):
        plan({"properties": {"c": {"$ref": "#/definitions/d"}}, "definitions": {"d": inner}})


def test_data_in_an_expectation_is_no_annotation() -> None:
    assert plan({"x-expect": {"enum": [DROP], "const": DROP, "examples": [DROP], "default": DROP}}) is None


def test_an_annotation_on_the_whole_event_is_refused() -> None:
    with pytest.raises(SchemaError, match="would leave nothing of an event"):
        plan({"allOf": [{"x-privacy": "hash"}]})


def test_a_path_tells_the_action_on_its_value_or_on_one_around_it() -> None:
    found = plan(
        {"properties": {"a": {**DROP, "properties": {"b": {}}}, "c": {"properties": {"d": {"x-privacy": "keep"}}}}}
    )

    assert found is not None
    assert [found.action_at(path) for path in (("a",), ("a", "b"), ("c",), ("c", "d"), ("e", "f"))] == [
        "drop",
        "drop",
        None,
        "keep",
        None,
    ]
    assert found.actions == {"drop", "keep"} <= set(ACTIONS)


@pytest.mark.parametrize("is_valid", [True, False])
@given(seed=st.integers(0, 2**32))
def test_no_random_event_keeps_a_withheld_value(seed: int, is_valid: bool) -> None:
    rng = random.Random(seed)
    schema = schema_of(rng, "fuzz", "1.0.0")
    marked = Marked(rng, schema, "fuzz")
    found = plan(schema)

    assert found is not None
    text = found.apply(marked.text(), lambda action, value: None, is_valid=is_valid).decode()
    assert [marker for marker in marked.markers if marker in text] == []
    assert json.loads(text)["n"] == 1
    assert found.apply(text.encode(), lambda action, value: None, is_valid=is_valid).decode() == text
