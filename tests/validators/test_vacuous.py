"""validators.vacuous: what surely every value meets, or none, and nothing that only may."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from validators.judge.reference import compile_schema
from validators.judge.validator import Validator
from validators.vacuous import is_always_met, is_never_met

ALWAYS = [
    True,
    {},
    {"title": "a", "when": False},
    {"not": False},
    {"required": []},
    {"properties": {"a": {}}, "patternProperties": {"b": True}, "additionalProperties": {}},
    {"items": [{}, True], "additionalItems": True},
    {"if": {"required": ["a"]}},
    {"then": False, "else": False},
    {"if": False, "then": False},
    {"if": True, "else": False},
    {"anyOf": [{"type": "null"}, {}]},
    {"allOf": [{}, {"anyOf": [True]}]},
    {"oneOf": [False, {}]},
]
NEVER = [
    False,
    {"not": {}},
    {"type": "object", "not": {"not": False}},
    {"anyOf": [False, {"not": True}]},
    {"oneOf": [False]},
    {"allOf": [{}, False]},
    {"if": True, "then": False},
    {"if": {"required": ["a"]}, "then": False, "else": False},
]
SOME = [
    {"required": ["a"]},
    {"items": False},
    {"contains": {}},
    {"dependencies": {"a": ["b"]}},
    {"propertyNames": False},
    {"oneOf": [{}, {}]},
    {"oneOf": [{}, {"type": "null"}]},
    {"if": {"required": ["a"]}, "then": False},
    {"if": {"required": ["a"]}, "else": False},
    {"if": True, "then": {"required": ["a"]}},
    {"not": {"required": ["a"]}},
    {"anyOf": [False, {"type": "object"}]},
    {"const": True},
]


@pytest.mark.parametrize("schema", [*ALWAYS, *NEVER, *SOME], ids=json.dumps)
def test_what_is_met_by_every_value_or_by_none_is_told_by_its_form(schema: Any) -> None:
    assert is_always_met(schema) == any(schema is one for one in ALWAYS)
    assert is_never_met(schema) == any(schema is one for one in NEVER)
    assert is_always_met({"allOf": [schema]}) == is_always_met(schema)


def test_what_is_told_is_true_of_the_values_that_a_validator_judges() -> None:
    """Whole schemas are put together of the ones above, at random."""
    chance = random.Random(7)
    values = [b"{}", b'{"a":1}', b'{"a":{"b":[1,"x"]}}', b'{"b":null}', b'{"a":[]}']
    for _ in range(150):
        schema = {"type": "object", "allOf": [_mixed(chance, 2)]}
        validator = Validator("it", schema, compile_schema(schema, "it"))
        is_met = {validator.check(value) is None for value in values}

        assert not (is_always_met(schema["allOf"][0]) and False in is_met)
        assert not (is_never_met(schema["allOf"][0]) and True in is_met)


def _mixed(chance: random.Random, depth: int) -> Any:
    if depth == 0:
        return chance.choice([*ALWAYS, *NEVER, *SOME])
    inside = [_mixed(chance, depth - 1) for _ in range(3)]
    key = chance.choice(["allOf", "anyOf", "oneOf", "not", "properties", "if", "items"])
    if key in ("allOf", "anyOf", "oneOf"):
        return {key: inside}
    if key == "properties":
        return {key: dict(zip("abc", inside, strict=True))}
    return dict(zip(("if", "then", "else"), inside, strict=True)) if key == "if" else {key: inside[0]}
