"""Every rule finds its break, with an event that shows it; without the rule the break would not be told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from server.schemas_tool import rules
from server.schemas_tool.proof import bounds, walks
from server.schemas_tool.proof.gap import GROUPS
from tests.server.schemas_tool.pairs import an_object, told

TEXT = {"type": "string"}
NUMBER = {"type": "integer"}
LIST = {"type": "array", "items": NUMBER}
OBJECT = {"type": "object"}

# Keyword, rule, schema of a member before and afterwards.
BREAKS: list[tuple[str, str, Any, Any]] = [
    ("type", "type-narrowed", {"type": ["string", "null"]}, TEXT),
    ("type", "type-narrowed", {"type": "number"}, NUMBER),
    ("enum", "enum-narrowed", TEXT, {**TEXT, "enum": ["a"]}),
    ("const", "const-changed", TEXT, {**TEXT, "const": "a"}),
    ("minimum", "minimum-raised", {**NUMBER, "minimum": 1}, {**NUMBER, "minimum": 2}),
    ("exclusiveMinimum", "minimum-raised", {**NUMBER, "minimum": 1}, {**NUMBER, "exclusiveMinimum": 1}),
    ("maximum", "maximum-lowered", NUMBER, {**NUMBER, "maximum": 2}),
    ("exclusiveMaximum", "maximum-lowered", {**NUMBER, "maximum": 3}, {**NUMBER, "exclusiveMaximum": 3}),
    ("multipleOf", "multiple-of-narrowed", {**NUMBER, "multipleOf": 2}, {**NUMBER, "multipleOf": 4}),
    ("minLength", "min-length-raised", TEXT, {**TEXT, "minLength": 1}),
    ("maxLength", "max-length-lowered", {**TEXT, "maxLength": 9}, {**TEXT, "maxLength": 8}),
    ("pattern", "pattern-changed", TEXT, {**TEXT, "pattern": "^[a-z]{2}$"}),
    ("format", "format-changed", {**TEXT, "format": "date"}, {**TEXT, "format": "date-time"}),
    ("required", "property-required", OBJECT, {**OBJECT, "required": ["b"]}),
    ("minProperties", "min-properties-raised", OBJECT, {**OBJECT, "minProperties": 1}),
    ("maxProperties", "max-properties-lowered", OBJECT, {**OBJECT, "maxProperties": 2}),
    ("propertyNames", "property-names-narrowed", OBJECT, {**OBJECT, "propertyNames": {"pattern": "^[a-z]+$"}}),
    ("minItems", "min-items-raised", LIST, {**LIST, "minItems": 1}),
    ("maxItems", "max-items-lowered", LIST, {**LIST, "maxItems": 3}),
    ("uniqueItems", "unique-items-added", LIST, {**LIST, "uniqueItems": True}),
    ("contains", "contains-changed", LIST, {**LIST, "contains": {"minimum": 5}}),
    ("anyOf", "any-of-narrowed", TEXT, {"anyOf": [{"maxLength": 2}, {"minLength": 4}]}),
    ("oneOf", "one-of-narrowed", TEXT, {"oneOf": [{"maxLength": 2}, {"minLength": 1}]}),
    ("not", "not-changed", TEXT, {**TEXT, "not": {"maxLength": 2}}),
    ("if", "condition-changed", OBJECT, {**OBJECT, "if": {"required": ["b"]}, "then": {"required": ["c"]}}),
    ("dependencies", "dependency-added", OBJECT, {**OBJECT, "dependencies": {"b": ["c"]}}),
    ("patternProperties", "pattern-properties-changed", OBJECT, {**OBJECT, "patternProperties": {"^b": TEXT}}),
    ("properties", "open-property-declared", OBJECT, {**OBJECT, "properties": {"b": TEXT}}),
    ("additionalProperties", "property-removed", OBJECT, {**OBJECT, "additionalProperties": False}),
    ("additionalProperties", "property-removed", an_object(b=TEXT), an_object()),
    ("properties", "max-length-lowered", an_object(b=TEXT), an_object(b={**TEXT, "maxLength": 1})),
    ("items", "minimum-raised", LIST, {"type": "array", "items": {"type": "integer", "minimum": 0}}),
    ("items", "type-narrowed", {"type": "array", "items": [TEXT]},
     {"type": "array", "items": [TEXT], "additionalItems": NUMBER}),
]  # fmt: skip


@pytest.mark.parametrize(("keyword", "rule", "old", "new"), BREAKS)
def test_a_break_is_found_with_an_event_that_shows_it(keyword: str, rule: str, old: Any, new: Any) -> None:
    found = told(an_object(a=old), an_object(a=new))

    assert rule in {each.rule for each in found if each.witness is not None}
    assert all(each.where[:1] == ("a",) and each.place[:2] == ("properties", "a") for each in found)


@pytest.mark.parametrize(("keyword", "rule", "old", "new"), BREAKS)
def test_without_its_rule_the_break_is_not_told(
    keyword: str, rule: str, old: Any, new: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The table above would notice a keyword that is passed over."""
    monkeypatch.delitem(bounds.PROOFS, keyword, raising=False)
    for word in next((group for group in GROUPS if keyword in group), (keyword,)):
        monkeypatch.delitem(walks.WALKS, word, raising=False)

    assert rule not in {each.rule for each in told({"allOf": [old]}, {"allOf": [new]})}


def test_every_rule_of_a_keyword_is_tried() -> None:
    tried = {rule for _, rule, _, _ in BREAKS} | {"keyword-unsupported", "schema-too-complex"}

    assert {rules.rule_of(keyword).name for keyword in (*bounds.PROOFS, *walks.WALKS) if keyword in KNOWN} <= tried


KNOWN = set(bounds.PROOFS) | {"enum", "const", "anyOf", "oneOf", "not", "if", "dependencies", "contains"}


def test_a_keyword_of_a_later_draft_is_unknown_and_never_passed_over() -> None:
    (found,) = told(OBJECT, {**OBJECT, "unevaluatedProperties": False})

    assert (found.rule, found.witness) == ("keyword-unsupported", None)


def test_a_value_that_was_listed_and_is_refused_is_the_witness() -> None:
    (found,) = told(an_object(a={"enum": ["a", "b", None]}), an_object(a={"enum": [None, "a"]}))

    assert (found.rule, found.witness) == ("enum-narrowed", {"a": "b"})


def test_a_witness_is_made_of_an_example() -> None:
    old = {**an_object(name=TEXT, size=NUMBER), "examples": [{"name": "a red shirt", "size": 3}]}
    (found,) = told(old, an_object(name=TEXT, size={**NUMBER, "maximum": 9}))

    assert found.witness["name"] == "a red shirt"
    assert found.witness["size"] > 9


# Rewritings that change nothing.
SAME: list[tuple[Any, Any]] = [
    ({"type": ["string"]}, TEXT),
    ({"enum": ["a", "b"]}, {"enum": ["b", "a"]}),
    ({"enum": ["a", "b"]}, {"enum": ["a", "b", "c"]}),
    ({"allOf": [TEXT, {"maxLength": 3}]}, {**TEXT, "maxLength": 3}),
    ({**TEXT, "maxLength": 3}, {"allOf": [{"maxLength": 3}, TEXT]}),
    ({**NUMBER, "exclusiveMinimum": 0}, {**NUMBER, "minimum": 1}),
    ({**NUMBER, "minimum": 1, "maximum": 3}, {"type": "number", "minimum": 0, "maximum": 9}),
    (NUMBER, {**NUMBER, "multipleOf": 1}),
    ({**NUMBER, "multipleOf": 6}, {**NUMBER, "multipleOf": 3}),
    ({"anyOf": [TEXT, NUMBER]}, {"type": ["integer", "string"]}),
    ({"type": ["integer", "string"]}, {"anyOf": [TEXT, NUMBER]}),
    ({"type": ["integer", "string"]}, {"oneOf": [NUMBER, TEXT]}),
    ({"oneOf": [NUMBER, TEXT]}, {"anyOf": [TEXT, NUMBER]}),
    (TEXT, {**TEXT, "title": "a name", "description": "what it is called", "default": "a"}),
    (TEXT, {"type": ["string", "null"]}),
    (an_object(a=TEXT), an_object(a=TEXT, b=NUMBER)),
    ({**OBJECT, "required": ["a", "b"]}, {**OBJECT, "required": ["b"], "minProperties": 2}),
    (an_object(a=TEXT), {**OBJECT, "maxProperties": 1}),
    (LIST, {"type": "array", "items": {"type": "number"}}),
    ({"type": "array", "items": [TEXT], "maxItems": 1}, {"type": "array", "items": TEXT}),
    ({"const": "a"}, TEXT),
    (TEXT, {**TEXT, "not": {"type": "integer"}}),
    (TEXT, {**TEXT, "format": "a format that is not asserted"}),
    (TEXT, {**TEXT, "maximum": 3, "required": ["a"], "maxItems": 0}),
    (False, TEXT),
    (TEXT, True),
]


@pytest.mark.parametrize(("old", "new"), SAME)
def test_a_change_that_breaks_nothing_is_proved(old: Any, new: Any) -> None:
    assert told(an_object(a=old), an_object(a=new)) == []


def test_a_definition_in_place_of_its_text_changes_nothing() -> None:
    plain = an_object(a={**TEXT, "maxLength": 4})
    named = {**an_object(a={"$ref": "#/definitions/name"}), "definitions": {"name": {**TEXT, "maxLength": 4}}}

    assert told(plain, named) == []
    assert told(named, plain) == []


def test_schemas_that_hold_themselves_come_to_an_end() -> None:
    tree = {"type": "object", "properties": {"left": {"$ref": "#"}, "n": NUMBER}}
    fuller = {"type": "object", "properties": {"left": {"$ref": "#"}, "n": {**NUMBER, "minimum": 0}}}

    assert told(tree, tree) == []
    assert "minimum-raised" in {each.rule for each in told(tree, fuller) if each.witness is not None}


def test_the_page_lists_every_rule_with_its_reason() -> None:
    page = Path(__file__).parents[3].joinpath("docs/SCHEMAS.md").read_text(encoding="utf-8")

    assert [rule.name for rule in rules.ALL if f"| `{rule.name}` | {rule.why} | {rule.bump} |" not in page] == []
