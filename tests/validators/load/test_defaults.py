"""Defaults are written where AJV 6 writes them, with a bound on what they cost.

ajv-6-defaults.json holds what ajv 6.15.0 made of each event with EventGate's options (``ajv_defaults.cjs`` records it).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.validators.quick.test_structs import made
from validators import SchemaError, TooLargeError
from validators.load import defaults
from validators.load.bundle import bundle

RECORDED: dict[str, Any] = json.loads(Path(__file__).with_name("ajv-6-defaults.json").read_text(encoding="utf-8"))
FORMS = {each["form"]: each for each in RECORDED["forms"]}

# AJV judges while it fills in. Here an event is filled in first, so that the verdict is that of the event that is sent:
# docs/COMPATIBILITY.md.
JUDGED_OTHERWISE = {
    "a list of items with a gap that may be null",
    "allOf that makes the parent of an earlier part",
    "allOf and required beside it",
    "allOf and maxProperties beside it",
    "allOf, and additionalProperties that it is beyond",
}
FILLED_OTHERWISE = {
    "$ref in anyOf to what refers further",
    "names that every object of JavaScript has",
}


def text(value: Any) -> bytes:
    return json.dumps(value).encode()


def filled(schema: dict[str, Any], event: Any, max_bytes: int = 1_000_000) -> Any:
    return json.loads(made(schema).fill_defaults(text(event), max_bytes))


def test_it_was_ajv_6_that_answered() -> None:
    assert RECORDED["source"].startswith("ajv 6.15.0, ")
    assert '"useDefaults":true' in RECORDED["source"]


@pytest.mark.parametrize("form", FORMS.keys() - FILLED_OTHERWISE)
def test_defaults_are_written_where_ajv_writes_them(form: str) -> None:
    validator = made(FORMS[form]["schema"])
    for event, expected, is_valid in FORMS[form]["judged"]:
        got = validator.fill_defaults(text(event), 1_000_000)

        assert json.loads(got) == expected, event
        if form not in JUDGED_OTHERWISE and not form.startswith("random"):
            assert (validator.check(got) is None) is is_valid, event


@pytest.mark.parametrize("form", FILLED_OTHERWISE)
def test_what_is_filled_in_otherwise_still_is(form: str) -> None:
    assert any(filled(FORMS[form]["schema"], event) != expected for event, expected, _ in FORMS[form]["judged"])


@pytest.mark.parametrize("form", JUDGED_OTHERWISE)
def test_what_is_judged_otherwise_still_is(form: str) -> None:
    validator = made(FORMS[form]["schema"])

    assert any((validator.check(text(after)) is None) is not verdict for _, after, verdict in FORMS[form]["judged"])


def test_a_default_beside_a_reference_outlives_bundling() -> None:
    schema = {"properties": {"a": {"$ref": "#/definitions/d", "default": 7, "title": "a"}}, "definitions": {"d": {}}}

    assert bundle(schema, "/t/1.0.0", lambda _: None, lambda *_: None)["properties"]["a"] == {
        "$ref": "#/definitions/d",
        "default": 7,
    }


def test_what_is_not_filled_in_keeps_its_bytes() -> None:
    validator = made(
        {"properties": {"l": {"items": {"properties": {"a": {"default": 123456789012345678901234567890}}}}}}
    )
    raw = b'{ "l" : [ {"a":1.50e+1}, 18446744073709551617 ] , "x":1.10}'

    assert validator.fill_defaults(raw, 1_000) == raw
    assert validator.fill_defaults(b'{"l":[{"b":1.50e+1},{}],"x":18446744073709551617.0}', 1_000) == (
        b'{"l":[{"b":1.50e+1,"a":123456789012345678901234567890},{"a":123456789012345678901234567890}],'
        b'"x":18446744073709551617.0}'
    )


def test_defaults_of_one_event_are_not_those_of_the_next() -> None:
    validator = made({"properties": {"p": {"default": {}, "properties": {"q": {"default": []}}}}})

    assert validator.fill_defaults(b"{}", 99) == b'{"p":{"q":[]}}'
    assert validator.fill_defaults(b'{"p":{"q":1}}', 99) == b'{"p":{"q":1}}'
    assert validator.fill_defaults(b"{}", 99) == b'{"p":{"q":[]}}'


@pytest.mark.parametrize(
    "schema",
    [{"default": {}}, {"anyOf": [{"properties": {"a": {"default": 1}}}]}, {"enum": [{"default": 1}]}, {"default": 1}],
)
def test_a_schema_without_a_default_that_counts_changes_nothing(schema: dict[str, Any]) -> None:
    assert not made(schema).has_defaults
    assert made({"properties": {"a": {"default": None}, "b": schema}}).has_defaults


def test_many_items_with_a_large_default_end_at_the_size_of_an_event() -> None:
    validator = made({"items": {"properties": {"a": {"default": "x" * 1_000}}}})

    assert len(validator.fill_defaults(b"[{},{},{}]", 3_028)) == 3_028
    with pytest.raises(TooLargeError):
        validator.fill_defaults(b"[{},{},{}]", 3_027)
    with pytest.raises(TooLargeError):
        validator.fill_defaults(text([{}] * 10_000), 1_000_000)


def test_a_schema_inside_itself_costs_no_more_than_a_few_looks_at_the_event() -> None:
    """A hundred levels around 1 MB would otherwise be looked at a hundred times."""
    validator = made({"properties": {"n": {"$ref": "#"}, "v": {"default": 1}}})
    deep = b'{"n":' * 100 + b'"' + b"x" * 1_000_000 + b'"' + b"}" * 100

    with pytest.raises(RecursionError):
        validator.fill_defaults(deep, 2_000_000)
    shallow = b'{"n":' * 100 + b'"' + b"x" * 5_000 + b'"' + b"}" * 100
    assert validator.fill_defaults(shallow, 2_000_000).count(b'"v":1') == 100


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": {"n": {"$ref": "#", "default": {}}}},
        {"properties": {"n": {"default": {}, "properties": {"m": {"$ref": "#", "default": {}}}}}},
        {"allOf": [{"properties": {"n": {"default": {}}}}, {"properties": {"n": {"$ref": "#"}}}]},
        {"items": [{"$ref": "#", "default": []}]},
        {"if": {"maxProperties": 0}, "then": {"properties": {"n": {"$ref": "#", "default": {}}}}},
        {"properties": {"a": {"default": "x" * (defaults.MAX_WRITTEN + 1)}}},
    ],
)
def test_defaults_without_an_end_are_found_before_any_event(schema: dict[str, Any]) -> None:
    """AJV 6 ends with ``RangeError: Maximum call stack size exceeded`` at the first event."""
    with pytest.raises(SchemaError, match="its defaults hold themselves, or come to more than 1,048,576 bytes"):
        made(schema)


@pytest.mark.slow(reason="it follows defaults until a limit is reached")
def test_defaults_that_double_at_every_level_are_found_too() -> None:
    both = [{"$ref": f"#/definitions/d{n}", "default": {}} for n in range(40)]
    definitions = {f"d{n}": {"properties": {"a": both[n + 1], "b": both[n + 1]}} for n in range(39)}

    with pytest.raises(SchemaError):
        made({"properties": {"a": both[0]}, "definitions": definitions | {"d39": {}}})


def test_references_that_multiply_cost_no_more_than_there_are_of_them() -> None:
    """2**40 ways lead through these definitions."""
    inner = [{"$ref": f"#/definitions/d{n}"} for n in range(41)]
    definitions: dict[str, Any] = {f"d{n}": {"properties": {"a": inner[n + 1], "b": inner[n + 1]}} for n in range(40)}
    schema = {
        "properties": {"a": inner[0]},
        "definitions": definitions | {"d40": {"properties": {"x": {"default": 1}}}},
    }

    assert filled(schema, {"a": {"a": {"b": {}}}}) == {"a": {"a": {"b": {}}}}


def test_a_condition_chooses_the_branch_that_is_filled_in() -> None:
    plan = defaults.plan_of(
        {"if": {"minItems": 1}, "then": {"items": [{}, {"default": 1}]}, "else": {"items": [{"default": 2}]}},
        "/t/1.0.0",
        lambda *_: True,
    )

    assert plan is not None
    assert defaults.fill(b"[0]", plan, lambda *_: True, 99) == b"[0,1]"
    assert defaults.fill(b"[]", plan, lambda *_: False, 99) == b"[2]"


def test_an_object_whose_name_stands_twice_is_filled_in_as_the_last_one_is() -> None:
    validator = made({"properties": {"p": {"properties": {"a": {"default": 1}}}}})

    assert validator.fill_defaults(b'{"p":{"a":2},"p":{}}', 99) == b'{"p":{"a":1}}'
