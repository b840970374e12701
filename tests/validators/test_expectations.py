"""Expectations of a schema (``x-expect``) judge the values at their places, and refuse nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import validators
from validators.expectations import MOST_EXPECTATIONS, MOST_SCHEMAS, Expectations
from validators.judge.validator import Validator


def compiled(directory: Path, schema: dict[str, Any], **files: Any) -> tuple[Validator, Expectations]:
    for title, contents in {"t/e": schema, **files}.items():
        folder = directory / title
        folder.mkdir(parents=True)
        (folder / "1.0.0.yaml").write_text(json.dumps({"title": title, **contents}))
    registry = validators.open_registry(directory)
    validator = registry.validator("/t/e/1.0.0")
    return validator, registry.expectations(validator)


def failed(found: Expectations, event: Any) -> list[str]:
    assert found.faults == ()
    return [each.name for each in found.usable if each.check(json.dumps(event).encode()) is not None]


PREMIUM = {
    "title": "premium costs more",
    "if": {"properties": {"kind": {"const": "premium"}}, "required": ["kind"]},
    "then": {"properties": {"price": {"exclusiveMinimum": 200}}, "required": ["price"]},
}


def test_an_expectation_of_the_root_compares_fields_and_refuses_nothing(tmp_path: Path) -> None:
    """The story that asked for it: if field A has value X, then field B has to be more than 200."""
    validator, found = compiled(tmp_path, {"type": "object", "x-expect": PREMIUM})

    assert failed(found, {"kind": "premium", "price": 200}) == ["premium costs more"]
    assert failed(found, {"kind": "premium"}) == ["premium costs more"]
    assert failed(found, {"kind": "premium", "price": 201}) == failed(found, {"kind": "plain", "price": 1}) == []
    assert validator.check(b'{"kind": "premium", "price": 1}') is None


def test_an_expectation_of_a_property_judges_each_value_at_its_place(tmp_path: Path) -> None:
    item = {"properties": {"size": {"x-expect": {"maximum": 9}}}}
    schema = {
        "properties": {
            "lines": {"items": item},
            "pair": {"items": [{}, {"x-expect": {"const": 1}}], "additionalItems": {"x-expect": {"const": 2}}},
            "plain": {},
        },
        "patternProperties": {"^n_": {"x-expect": {"minimum": 0}}},
        "propertyNames": {"maxLength": 99},
        "additionalProperties": {"x-expect": {"type": "string"}},
    }
    _, found = compiled(tmp_path, schema)

    assert failed(found, {"lines": [{"size": 1}, {"size": 10}]}) == [
        "#/properties/lines/items/properties/size/x-expect"
    ]
    assert failed(found, {"pair": [5, 1, 2, 2], "plain": 1, "n_a": 0, "other": "x"}) == []
    assert failed(found, {"pair": [5, 2, 1]}) == [
        "#/properties/pair/items/1/x-expect",
        "#/properties/pair/additionalItems/x-expect",
    ]
    assert failed(found, {"n_a": -1}) == ["#/patternProperties/^n_/x-expect"]
    assert failed(found, {"other": 1}) == ["#/additionalProperties/x-expect"]
    assert failed(found, {}) == failed(found, {"lines": 7, "pair": {}}) == []


def test_expectations_of_included_schemas_are_found_at_any_depth(tmp_path: Path) -> None:
    common = {"properties": {"meta": {"$ref": "/t/meta/1.0.0"}}, "x-expect": [{"title": "b", "required": ["meta"]}]}
    meta = {"properties": {"lag": {"x-expect": [{"title": "a", "maximum": 5}]}}}
    schema = {"allOf": [{"$ref": "/t/common/1.0.0"}], "properties": {"more": {"$ref": "#/definitions/m"}}}
    schema["definitions"] = {"m": {"$ref": "/t/meta/1.0.0"}}
    _, found = compiled(tmp_path, schema, **{"t/common": common, "t/meta": meta})

    one, two = "#/allOf/0/properties/meta/properties/lag/x-expect/0", "#/properties/more/properties/lag/x-expect/0"
    assert sorted(each.name for each in found.usable) == [f"a at {one}", f"a at {two}", "b"]
    assert failed(found, {"meta": {"lag": 6}}) == [f"a at {one}"]
    assert failed(found, {"more": {"lag": 6}}) == ["b", f"a at {two}"]


def test_the_keyword_next_to_a_reference_counts(tmp_path: Path) -> None:
    schema = {"properties": {"n": {"$ref": "#/definitions/n", "x-expect": {"minimum": 1}}}, "definitions": {"n": {}}}
    _, found = compiled(tmp_path, schema)

    assert failed(found, {"n": 0}) == ["#/properties/n/x-expect"]


def test_the_draft_of_the_schema_is_that_of_its_expectations(tmp_path: Path) -> None:
    expectation = {"minimum": 1, "exclusiveMinimum": True}
    schema = {
        "$schema": "http://json-schema.org/draft-04/schema#",
        "type": "object",
        "properties": {"n": {"x-expect": expectation}},
    }
    _, found = compiled(tmp_path, schema)

    assert failed(found, {"n": 1}) == ["#/properties/n/x-expect"]
    assert failed(found, {"n": 1.5}) == []


@pytest.mark.parametrize(
    ("expectation", "reason"),
    [
        ({"minimum": "x"}, "is not a schema of its draft: '.minimum' should be number"),
        ({"$ref": "#/definitions/x"}, "has a $ref"),
        ({"not": {"$ref": "#/definitions/x"}}, "has a $ref"),
        ("text", "is text, and not a schema"),
        (5, "is a number, and not a schema"),
        (True, "is true, which every value meets: write what is expected"),
        ([None], "is empty: write a schema"),
        ([[]], "is an empty list: write a schema in it"),
        ([[{"minimum": 1}]], "is a list in a list, and not a schema"),
        ({"properties": {"b": {"x-expect": {"minimum": 1}}}}, "has an x-expect inside, which judges nothing"),
        ({}, "expects nothing: every value meets it"),
        ({"title": "a", "maximun": 5, "when": False}, "every value meets it. No keyword: maximun, when"),
        ({"pattern": "["}, "is not a schema of its draft"),
        ({"pattern": "(?<=a)"}, "pattern"),
        ({"pattern": "^(a+)+$", "maxLength": 9}, "has nested quantifiers"),
        ({"pattern": "^a"}, "needs maxLength next to it"),
        ({"anyOf": [{"minimum": n} for n in range(MOST_SCHEMAS)]}, f"consists of more than {MOST_SCHEMAS} schemas"),
        ({"pattern": "^(" + "a{1,900}b{1,900}c{1,900}" * 9 + ")", "maxLength": 9}, "repeats too much"),
        ({"type": "object", "properties": {"a": {"type": "nothing"}}}, "is not a schema of its draft"),
    ],
)
def test_an_expectation_that_cannot_be_used_is_a_fault_and_the_schema_and_the_others_are_used(
    tmp_path: Path, expectation: Any, reason: str
) -> None:
    wanted = expectation if isinstance(expectation, list) else [expectation]
    schema = {"type": "object", "properties": {"a": {"x-expect": [*wanted, {"title": "good", "minimum": 1}]}}}
    validator, found = compiled(tmp_path, schema)

    (fault,) = found.faults
    assert fault.pointer == "#/properties/a/x-expect/0"
    assert reason in fault.reason
    assert [each.name for each in found.usable] == ["good"]
    assert validator.check(b'{"a": 0}') is None


def test_patterns_of_all_expectations_together_are_bounded_and_later_ones_without_are_used(tmp_path: Path) -> None:
    texts = [f"^{chr(97 + n) * 1_000}" for n in range(25)]
    wanted = [*({"pattern": text} for text in texts), {"minLength": 1}, {"pattern": "^a"}]
    _, found = compiled(tmp_path, {"properties": {"a": {"maxLength": 9, "x-expect": wanted}}})

    assert 15 < len(found.usable) < 25
    assert {fault.reason for fault in found.faults} == {"the patterns of all expectations take too long to compile"}
    assert [each.pointer.rpartition("/")[2] for each in found.usable[-2:]] == ["25", "26"]


def test_the_bounds_of_the_schema_around_it_make_an_expectation_secure(tmp_path: Path) -> None:
    url = {"type": "string", "maxLength": 99, "x-expect": {"pattern": "^https:"}}
    _, found = compiled(tmp_path, {"properties": {"url": url}})

    assert failed(found, {"url": "http:"}) == ["#/properties/url/x-expect"]


def test_insecure_expectations_are_used_where_insecure_schemas_are(tmp_path: Path) -> None:
    (tmp_path / "t/e").mkdir(parents=True)
    (tmp_path / "t/e/1.0.0.yaml").write_text(json.dumps({"properties": {"a": {"x-expect": {"pattern": "^a"}}}}))
    registry = validators.open_registry(tmp_path, allow_insecure=True)

    assert failed(registry.expectations(registry.validator("/t/e/1.0.0")), {"a": "b"}) == ["#/properties/a/x-expect"]


@pytest.mark.parametrize("draft", ["06", "07"])
@pytest.mark.parametrize("never", [False, [False], {"not": True}, {"not": {}}])
def test_false_says_that_no_value_is_expected(tmp_path: Path, never: Any, draft: str) -> None:
    schema = {"type": "object", "properties": {"old": {"type": "integer", "x-expect": never}}}
    _, found = compiled(tmp_path, {"$schema": f"http://json-schema.org/draft-{draft}/schema#", **schema})

    assert failed(found, {"old": 1}) == [f"#/properties/old/x-expect{'/0' * isinstance(never, list)}"]
    assert failed(found, {}) == []


@pytest.mark.parametrize(
    ("draft", "expectation", "reason"),
    [
        (
            "04",
            {"properties": {"a": {"x-expect": False}}},
            "is false, which is no schema in http://json-schema.org/dra",
        ),
        ("07", {"x-expect": False}, "is met by no event"),
        ("07", {"x-expect": {"not": {"title": "x"}}}, "is met by no event"),
        ("07", {"x-expect": []}, "is an empty list"),
        ("07", {"x-expect": None}, "is empty"),
    ],
)
def test_what_could_say_nothing_of_events_is_a_fault(
    tmp_path: Path, draft: str, expectation: dict[str, Any], reason: str
) -> None:
    _, found = compiled(tmp_path, {"$schema": f"http://json-schema.org/draft-{draft}/schema#", **expectation})

    assert found.usable == ()
    assert [fault.reason[: len(reason)] for fault in found.faults] == [reason]


def test_a_place_at_which_nothing_is_judged_is_a_fault(tmp_path: Path) -> None:
    _, found = compiled(tmp_path, {"anyOf": [{"properties": {"a": {"x-expect": {"minimum": 1}}}}, {}]})

    assert [(fault.pointer, fault.reason.split(":")[0]) for fault in found.faults] == [
        ("#/anyOf/0/properties/a/x-expect", "stands where it is not judged")
    ]


def test_the_number_of_expectations_is_bounded(tmp_path: Path) -> None:
    _, found = compiled(tmp_path, {"x-expect": [{"minProperties": n} for n in range(MOST_EXPECTATIONS + 9)]})

    assert len(found.usable) == MOST_EXPECTATIONS
    assert [fault.pointer for fault in found.faults] == [f"#/x-expect/{MOST_EXPECTATIONS}"]


def test_a_schema_without_expectations_is_known_to_have_none_and_one_with_faults_alone_too(tmp_path: Path) -> None:
    plain, faulty = tmp_path / "plain", tmp_path / "faulty"
    for directory, schema in ((plain, {"type": "object"}), (faulty, {"x-expect": 1})):
        (directory / "t/e").mkdir(parents=True)
        (directory / "t/e/1.0.0.yaml").write_text(json.dumps(schema))
    one, two = validators.open_registry(plain), validators.open_registry(faulty)

    assert not one.has_expectations(one.validator("/t/e/1.0.0"))
    assert two.has_expectations(two.validator("/t/e/1.0.0"))
    assert len(two.expectations(two.validator("/t/e/1.0.0")).faults) == 1
    assert not two.has_expectations(two.validator("/t/e/1.0.0"))


def test_the_size_of_an_expectation_is_what_may_judge_a_value(tmp_path: Path) -> None:
    alone = {"minimum": 1}
    branches = {"anyOf": [{"multipleOf": number} for number in range(2, 82)]}
    listed = {"enum": list(range(50))}
    _, found = compiled(tmp_path, {"type": "object", "properties": {"n": {"x-expect": [alone, branches, listed]}}})

    assert [each.size for each in found.usable] == [1, 81, 51]


@pytest.mark.parametrize("title", ["a\0b", "a\nb", "a\x1b[31m", ""])
def test_a_title_that_cannot_be_shown_names_nothing(tmp_path: Path, title: str) -> None:
    _, found = compiled(tmp_path, {"type": "object", "x-expect": {"title": title, "required": ["n"]}})

    assert [each.name for each in found.usable] == ["#/x-expect"]
