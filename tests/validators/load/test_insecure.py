"""Schemas that make validation slow are found, others are left alone."""

from __future__ import annotations

from typing import Any

import pytest

from validators.load.insecure import findings

SAFE: list[dict[str, Any]] = [
    {"pattern": "^a$", "maxLength": 3},
    {"format": "date", "maxLength": 10},
    {"properties": {"pattern": {"type": "string"}, "format": {}, "uniqueItems": {}, "patternProperties": {}}},
    {"enum": [{"format": "date", "pattern": "x"}], "examples": [{"pattern": "x"}], "default": {"format": "x"}},
    {"patternProperties": {"^a": {}}, "propertyNames": {"maxLength": 10}},
    {"patternProperties": {"^a": {}}, "propertyNames": False},
    {"uniqueItems": True, "items": {"type": "string"}},
    {"uniqueItems": True, "items": {"type": ["boolean", "null"]}},
    {"uniqueItems": True, "items": {"type": "integer"}},
    {"uniqueItems": True, "items": {"type": ["number", "string", "null"]}},
    {"uniqueItems": True, "items": {"$ref": "#/definitions/x"}, "definitions": {"x": {"type": "number"}}},
    {"uniqueItems": True, "items": {"type": "object"}, "maxItems": 10},
    {"uniqueItems": True, "maxItems": 10},
    {"uniqueItems": False},
    {"pattern": "^[0-9a-f]{8}(-[0-9a-f]{4}){3}$", "maxLength": 40},
    {"$ref": "#/definitions/x", "format": "date", "definitions": {"x": {}}},
]
UNSAFE: list[tuple[dict[str, Any], list[tuple[str, str]]]] = [
    ({"pattern": "^a$"}, [("pattern", "")]),
    ({"format": "date"}, [("format", "")]),
    ({"format": "unknown", "type": "integer"}, [("format", "")]),
    ({"pattern": "a", "format": "date"}, [("pattern", ""), ("format", "")]),
    ({"patternProperties": {"^a": {}}}, [("patternProperties", "")]),
    ({"patternProperties": {"^a": {}}, "propertyNames": {"minLength": 1}}, [("patternProperties", "")]),
    ({"patternProperties": {"^a": {}}, "propertyNames": True}, [("patternProperties", "")]),
    ({"uniqueItems": True}, [("uniqueItems", "")]),
    ({"uniqueItems": True, "items": True}, [("uniqueItems", "")]),
    ({"uniqueItems": True, "items": {}}, [("uniqueItems", "")]),
    ({"uniqueItems": True, "items": [{"type": "string"}]}, [("uniqueItems", "")]),
    ({"uniqueItems": True, "items": {"type": "object"}}, [("uniqueItems", "")]),
    ({"uniqueItems": True, "items": {"type": ["string", "array"]}}, [("uniqueItems", "")]),
    ({"uniqueItems": True, "items": {"type": "array"}}, [("uniqueItems", "")]),
    ({"uniqueItems": True, "items": {"type": ["integer", "object"]}}, [("uniqueItems", "")]),
    ({"uniqueItems": True, "items": {"enum": [1, 2]}}, [("uniqueItems", "")]),
    ({"uniqueItems": True, "items": {"$ref": "#/definitions/x"}, "definitions": {"x": {}}}, [("uniqueItems", "")]),
    ({"pattern": "^(a+)+$", "maxLength": 9}, [("pattern", "")]),
    ({"patternProperties": {"(a*)*": {}}, "propertyNames": {"maxLength": 9}}, [("patternProperties", "")]),
    (
        {"properties": {"a/b": {"items": [{"anyOf": [{"format": "x"}]}]}}},
        [("format", "/properties/a~1b/items/0/anyOf/0")],
    ),
    ({"definitions": {"x": {"not": {"pattern": "x"}}}}, [("pattern", "/definitions/x/not")]),
    ({"dependencies": {"a": {"format": "x"}, "b": ["c"]}}, [("format", "/dependencies/a")]),
    ({"if": {"format": "x"}, "then": {"format": "x"}}, [("format", "/if"), ("format", "/then")]),
    ({"propertyNames": {"format": "x"}}, [("format", "/propertyNames")]),
    (
        {"contains": {"format": "x"}, "additionalProperties": {"format": "x"}},
        [("format", "/contains"), ("format", "/additionalProperties")],
    ),
]


@pytest.mark.parametrize("schema", SAFE, ids=str)
def test_a_safe_schema_has_no_findings(schema: dict[str, Any]) -> None:
    assert findings(schema) == []


@pytest.mark.parametrize(("schema", "expected"), UNSAFE, ids=str)
def test_what_is_unsafe_is_found_with_its_place(schema: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    assert [(each.keyword, each.pointer) for each in findings(schema)] == expected


def test_a_finding_says_what_is_missing() -> None:
    assert (
        str(findings({"properties": {"a": {"format": "date"}}})[0])
        == "format at /properties/a needs maxLength next to it"
    )
