"""Members next to a rule for all others have one verdict, by the quick way and by the reference."""

from __future__ import annotations

from typing import Any

import pytest

from tests.validators.quick.test_structs import is_accepted, made


@pytest.mark.parametrize(
    ("schema", "accepted", "refused"),
    [
        (
            {
                "type": "object",
                "properties": {"a": {"type": "number", "maximum": 3}, "b": {"enum": ["x", "y"]}, "c": {}},
                "additionalProperties": {"type": "string", "minLength": 2},
                "required": ["a"],
            },
            ['{"a":3.0,"b":"y"}', '{"c":[{}],"a":-1,"d":"zz"}'],
            ['{"a":3.5}', '{"a":true}', '{"a":1,"b":"z"}', '{"a":1,"d":"z"}', '{"a":1,"d":2}', '{"b":"x"}', "[]"],
        ),
        (
            {
                "type": "object",
                "properties": {f"a{at}": {"type": "integer", "minimum": at} for at in range(9)} | {"b": {}},
                "additionalProperties": {"type": "string", "minLength": 2},
            },
            ['{"a1":1,"a8":9,"b":[],"c":"zz"}', "{}"],
            ['{"a1":0}', '{"a8":7}', '{"c":"z"}', '{"a8":"zz"}', '{"b":1,"c":1}'],
        ),
        (
            {
                "type": "object",
                "properties": {"a": {"type": "object", "properties": {"n": {"type": "integer"}}}},
                "additionalProperties": {"type": "object", "properties": {"n": {"type": "integer"}}, "title": "t"},
                "required": ["a"],
            },
            ['{"a":{"n":1}}', '{"a":{},"b":{"n":2}}'],
            ["{}", '{"a":{"n":""}}', '{"a":{},"b":{"n":""}}', '{"a":{},"b":1}'],
        ),
        (
            {"type": "object", "properties": {"a": {"type": "array", "items": {"type": "null"}}}, "maxProperties": 2},
            ['{"a":[null]}', '{"a":[],"b":1}'],
            ['{"a":[1]}', '{"a":[],"b":1,"c":1}'],
        ),
    ],
)
def test_members_next_to_a_rule_for_all_others(schema: dict[str, Any], accepted: list[str], refused: list[str]) -> None:
    validator = made(schema)

    assert validator.way.kind == "residual"
    assert [text for text in accepted if not is_accepted(validator, text.encode())] == []
    assert [text for text in refused if validator.check(text.encode()) is None] == []
