"""``--profile wmf``: the equality rules of jsonschema-tools, with the holes that it documents and those that it has."""

from __future__ import annotations

from typing import Any

import pytest

from server.schemas_tool import rules
from server.schemas_tool.wmf import differences

TEXT = {"type": "string"}
# Earlier schema, later one, and what is refused.
CASES: list[tuple[str, Any, Any, list[str]]] = [
    ("equal", TEXT, TEXT, []),
    ("a new property", {"properties": {"a": TEXT}}, {"properties": {"a": TEXT, "b": TEXT}}, []),
    ("a removed property", {"properties": {"a": TEXT, "b": TEXT}}, {"properties": {"a": TEXT}}, ["wmf-key-removed"]),
    ("another type", TEXT, {"type": "integer"}, ["wmf-value-changed"]),
    ("a wider bound", {"maxLength": 3}, {"maxLength": 4}, ["wmf-value-changed"]),
    ("a removed bound", {"maxLength": 3}, {}, ["wmf-key-removed"]),
    ("hole: a new bound", TEXT, {"type": "string", "maxLength": 3}, []),
    ("hole: a new list of required properties", {"type": "object"}, {"type": "object", "required": ["a"]}, []),
    ("hole: a new enum", TEXT, {"type": "string", "enum": ["a"]}, []),
    ("hole: no other properties", {"type": "object"}, {"type": "object", "additionalProperties": False}, []),
    ("one more that is required", {"required": ["a"]}, {"required": ["a", "b"]}, ["wmf-required-changed"]),
    ("one that is required no more", {"required": ["a", "b"]}, {"required": ["a"]}, ["wmf-required-changed"]),
    ("another order of required", {"required": ["a", "b"]}, {"required": ["b", "a"]}, []),
    ("no list any more", {"required": ["a"]}, {}, ["wmf-required-changed"]),
    ("a value more", {"enum": ["a"]}, {"enum": ["b", "a"]}, []),
    ("a value less", {"enum": ["a", "b"]}, {"enum": ["a"]}, ["wmf-enum-narrowed"]),
    ("no enum any more", {"enum": ["a"]}, {}, ["wmf-enum-narrowed"]),
    ("one and true differ", {"enum": [1]}, {"enum": [True]}, ["wmf-enum-narrowed"]),
    ("an object in a list is equal to none", {"enum": [{}]}, {"enum": [{}]}, ["wmf-enum-narrowed"]),
    ("free", {"$id": "a", "description": "a", "examples": [1]}, {"$id": "b", "description": "b"}, []),
    ("hole: a property that is called description", {"properties": {"description": TEXT}}, {"properties": {}}, []),
    ("hole: a property that is called required", {"properties": {"required": TEXT}},
     {"properties": {"required": TEXT}}, ["wmf-required-changed"]),
    ("items by their place", {"items": [TEXT, TEXT]}, {"items": [TEXT]}, ["wmf-key-removed"]),
    ("a list in place of a map", {"items": [TEXT]}, {"items": TEXT}, ["wmf-value-changed"]),
    ("null is equal to nothing", {"default": None}, {"default": None}, ["wmf-value-changed"]),
    ("another default", {"default": 1}, {"default": 2}, ["wmf-value-changed"]),
    ("number and boolean", {"default": 1}, {"default": True}, ["wmf-value-changed"]),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "refused"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_a_change_is_judged_as_jsonschema_tools_judges_it(old: Any, new: Any, refused: list[str]) -> None:
    assert [rule.name for rule, _ in differences(new, old)] == refused


def test_a_difference_has_its_path() -> None:
    found = list(differences({"properties": {"a": {"maxLength": 4}}}, {"properties": {"a": {"maxLength": 3}}}))

    assert found == [(rules.WMF_CHANGED, ("properties", "a", "maxLength"))]
