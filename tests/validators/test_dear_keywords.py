"""What single keywords take in steps, and that only too many steps are called too many."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import pytest

from bench.dear_events import FAMILIES
from tests.validators.test_steps import CALLS, FEW, TOO_DEAR, calls_of, few_steps, judged, validator_of
from validators import SchemaError, Validator, errors_text
from validators.formats.asserted import FORMATS
from validators.judge import deferred
from validators.judge import validator as judge
from validators.judge.deferred import Deferred
from validators.judge.reference import compile_schema
from validators.steps import format_cost, weigh
from validators.words import notes

__all__ = ["few_steps"]  # A fixture.

ADDRESSES = (
    "2001:0db8:1111:2222:3333:4444:5555:6666",
    "1:2:3:4:5:6:101.102.103.104",
    "::",
    "1::8",
    "x",
    "1:2:3:4:5:6:7:8:9",
)
DEAR_TEXTS = {
    "date-time": ("2000-02-29T23:59:60.123+00:00", "2000-02-29t23:59:61z"),
    "email": ("a@[IPv6:2001:db8:1:2:3:4:5.6.7.8]", "a." * 31 + "a@" + "a." * 126 + "c"),
    "hostname": ("a." * 126 + "c",),
    "ipv6": ADDRESSES,
    "regex": ("a", "(a|b)*[c-d]{2,3}", "(a|b)" * 30, "[\\w-z]" * 30, "[^\\s]", "(?:" * 20 + ")" * 20),
    "time": ("23:59:60.123+00:00",),
    "uri": ("http://[2001:0db8:1111:2222:3333:4444:5555:6666]:80/%20",),
    "uri-reference": ("//[::1]:80/%20",),
}


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_takes_steps_for_the_work_of_its_checker(name: str) -> None:
    weight = weigh({"format": name})
    for text in DEAR_TEXTS.get(name, ("1", "1.2.3.4")):
        assert calls_of(partial(FORMATS[name], text)) <= CALLS // 2 * weight.of(text), text


def test_a_text_that_is_too_long_takes_no_steps_for_its_format() -> None:
    assert weigh({"format": "regex", "maxLength": 9}).of("a" * 10) == 1
    assert weigh({"format": "regex", "maxLength": 10}).of("a" * 10) > 30
    assert format_cost("unknown") == format_cost(None) == (0, 0)


def test_an_address_is_checked_in_a_few_calls() -> None:
    assert max(calls_of(partial(FORMATS["ipv6"], text)) for text in ADDRESSES) < 12


def test_many_checks_of_formats_are_steps_of_the_walk_too() -> None:
    schema = {"type": "array", "items": {"type": "string", "allOf": [{"format": "regex"}] * 9}}
    text = json.dumps(["(a|b)*" * 40] * 400 + ["("])

    assert calls_of(lambda: validator_of(schema)._explain(json.loads(text))) < 1_500_000


def test_objects_are_compared_without_code_for_each_member() -> None:
    value = {f"k{i}": i for i in range(9_000)}
    validator = validator_of({"properties": {"x": {"allOf": [{"const": value}] * 200}}})

    assert judged(validator, json.dumps({"x": value}).encode()) == ""
    assert judged(validator, json.dumps({"x": {**value, "k8999": True}}).encode()).startswith("'.x' should be equal")


def test_an_event_that_is_valid_is_not_refused_because_comparing_it_takes_long() -> None:
    schema, event = FAMILIES["const of objects"]()

    assert judged(validator_of(schema), event.encode()) == ""


def no_function(*_: Any) -> Any:
    raise SchemaError("schema_unavailable", "no function can be made of it")


MULTIPLES = {"items": {"not": {"anyOf": [{"multipleOf": 7 + i} for i in range(20)]}}}


@pytest.mark.usefixtures("few_steps")
def test_an_event_that_the_walk_alone_may_judge_has_the_same_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deferred, "MAX_STEPS", FEW)
    monkeypatch.setattr(judge, "compile_counted", no_function)
    validator = Validator("/dear/1.0.0", MULTIPLES, Deferred(MULTIPLES, "/dear/1.0.0", no_function))

    assert judged(validator, b"[1,2,3]") == ""
    assert judged(validator, b"[1,7]") == "'[1]' should NOT be valid"
    assert judged(validator, json.dumps([1] * 1_000).encode()) == TOO_DEAR


@pytest.mark.usefixtures("few_steps")
def test_a_number_beyond_floats_is_not_wrong_because_the_walk_gave_up() -> None:
    schema = {"items": {"anyOf": [{"multipleOf": 0.5}, {"not": {"type": "string"}}]}}
    validator = validator_of(schema)
    large = f"1{'0' * 400}"

    assert judged(validator, f"[{large}]".encode()) == ""
    assert judged(validator, f"[{','.join([large] + ['1.1'] * 1_500)}]".encode()) == TOO_DEAR


@pytest.mark.usefixtures("few_steps")
def test_no_branch_of_defaults_is_left_out_because_its_condition_takes_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notes, "MAX_STEPS", FEW // 10)
    filled = {"properties": {"d": {"default": 1}}}
    schema = {"if": {"properties": {"x": MULTIPLES}}, "then": filled, "else": {"required": ["d"]}}
    validator = validator_of({"type": "object", **schema})

    assert validator.fill_defaults(b'{"x":[1]}', 99) == b'{"x":[1],"d":1}'
    assert judged(validator, b'{"x":[%b]}' % b",".join([b"1"] * 400)) == TOO_DEAR


def test_the_words_are_those_of_the_walk() -> None:
    problems = validator_of(MULTIPLES).check(b"[7]")

    assert problems is not None and errors_text(problems) == "'[0]' should NOT be valid"


def test_a_wrong_event_that_is_too_large_for_the_walk_is_said_to_be_too_large() -> None:
    schema = {"items": {"type": "string", "allOf": [{"format": "ipv6"}] * 16}}
    good = [ADDRESSES[0]] * 5_000

    assert judged(validator_of(schema), json.dumps([*good, "x"]).encode()) == (
        "'' should match the schema, but is too large or too deep to find the place where it does not"
    )
    assert judged(validator_of(schema), json.dumps(["x", *good]).encode()).startswith("'[0]' should match format")


def test_what_is_looked_for_in_a_list_takes_a_step_more_than_other_conditions() -> None:
    assert weigh({"contains": {}}).of([1]) == 2
    assert weigh({"enum": [1, 2]}).of(1) == weigh({"const": "a"}).of(1) == 1
    assert weigh({"enum": [1, [2]]}).of(1) == weigh({"const": {}}).of(1) == 2


def test_a_refusal_of_the_function_takes_few_calls() -> None:
    validate = compile_schema({"items": {"anyOf": [{"type": "string"}] * 50 + [True]}}, "/dear/1.0.0")

    validate([1])
    assert calls_of(lambda: validate([1] * 100)) < 3 * 50 * 100
