"""Judging one event takes a bounded number of steps, by any schema; what is counted, and what is not."""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from fastjsonschema import JsonSchemaDefinitionException

from bench import dear_events
from bench.dear_events import FAMILIES
from tests.validators import suite
from tests.validators.generated import Schemas, Values
from tests.validators.real import corpus_versions
from validators import TooDearError, Validator, errors_text, is_too_dear
from validators.judge import function_source, reference
from validators.judge.function_source import Counted
from validators.judge.mend import mend
from validators.judge.reference import Refused, compile_schema, dear, estimate_steps
from validators.load import defaults, step_estimate
from validators.regex.pattern import PatternError
from validators.steps import MAX_STEPS, count
from validators.words import notes

CORPUS = Path(__file__).parents[2].parent / "shared" / "corpus"
CANNOT_BE_USED = (JsonSchemaDefinitionException, PatternError, ArithmeticError, LookupError)
FEW = 2_000
CALLS = 40  # In one step, at the most; those of a value that is decoded and looked at before are fewer.
TOO_DEAR = "'' should take no more than 500,000 steps to be judged by its schema"


def validator_of(schema: dict[str, Any]) -> Validator:
    schema = json.loads(json.dumps(schema))  # No part of it stands at two places.
    return Validator("/dear/1.0.0", schema, compile_schema(schema, "/dear/1.0.0"))


def judged(validator: Validator, event: bytes) -> str:
    try:
        problems = validator.check(validator.fill_defaults(event, dear_events.MOST_BYTES))
    except TooDearError:
        return TOO_DEAR
    return "" if problems is None else errors_text(problems)


def calls_of(work: Callable[[], Any]) -> int:
    """Return how many functions were called, of Python and of C: a measure of work that no load changes."""
    count = 0

    def on_event(_frame: FrameType, event: str, _argument: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(on_event)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count


@pytest.fixture
def few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (function_source, step_estimate, defaults):
        monkeypatch.setattr(module, "MAX_STEPS", FEW)
    monkeypatch.setattr(notes, "MAX_STEPS", FEW)


@pytest.mark.slow(reason="it counts the calls of functions")
@pytest.mark.usefixtures("few_steps")
@pytest.mark.parametrize("family", FAMILIES)
def test_the_dearest_event_of_a_family_takes_a_bounded_number_of_calls(family: str) -> None:
    schema, event = FAMILIES[family]()
    validator = validator_of(schema)
    judged(validator, event.encode())  # Compiles what is compiled when it is needed.

    values = event.count(",") + event.count("[") + event.count("{")
    assert calls_of(lambda: judged(validator, event.encode())) < CALLS * FEW + 10 * values


@pytest.mark.slow(reason="it compiles large schemas")
@pytest.mark.parametrize("family", FAMILIES)
def test_an_event_takes_no_more_steps_than_were_estimated(family: str) -> None:
    schema, event = FAMILIES[family]()
    function = Counted(mend(schema), most=100_000)
    verdict(function, json.loads(event))
    spent = min(function.most, function.most - function.steps.left)

    values = event.count(",") + event.count("[") + event.count("{") + 1
    assert spent <= estimate_steps(schema).steps(values, len(event))


@pytest.mark.slow(reason="it compiles generated schemas")
def test_no_value_takes_more_steps_than_its_generated_schema_says() -> None:
    rng = random.Random(7)
    compared = 0
    for _ in range(200):
        schema = Schemas(rng).schema()
        values = Values(schema, rng)
        try:
            mended = mend(schema)
            plain, counted = function_source.make_function(mended), Counted(mended, most=10**9)
        except CANNOT_BE_USED:
            continue
        most = estimate_steps(schema)
        for value in (values.value() for _ in range(20)):
            assert verdict(plain, value) == verdict(counted, value)
            spent = counted.most - counted.steps.left
            assert spent <= most.steps(count(value), len(json.dumps(value))), (schema, value)
            compared += 1

    assert compared > 2_000


@pytest.mark.skipif(not CORPUS.is_dir(), reason=f"the corpus is not there: {CORPUS}")
def test_no_event_of_a_real_schema_comes_near_to_the_limit() -> None:
    usual = reference.USUAL_VALUES, reference.USUAL_BYTES
    most = {v.uri: estimate_steps(v.schema).steps(*usual) for v, _ in corpus_versions(CORPUS)}

    assert len(most) > 100
    assert max(most.values()) * 8 < MAX_STEPS  # 59,424 of 500,000: analytics/mediawiki/client/metrics_event.


SMALL = {"type": "object", "properties": {"x": {"items": {"not": {"multipleOf": 7}}}}}


def test_only_events_that_may_take_too_many_steps_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    validator = validator_of(SMALL)
    size = estimate_steps(SMALL).sure_bytes
    monkeypatch.setattr(reference, "make_counted_function", lambda _mended: pytest.fail("it was counted"))
    sure = b'{"x":[%b]}' % b",".join([b"1"] * 1_000)
    assert len(sure) < size and validator.check(sure) is None
    monkeypatch.undo()

    larger = b'{"x":[%b1]}' % (b" " * size)
    assert validator.check(larger) is None  # It takes a few steps, however long it is.
    assert judged(validator, b'{"x":[%b7]}' % (b" " * size)) == "'.x[0]' should NOT be valid"


def test_an_event_that_takes_too_many_steps_has_no_other_problem() -> None:
    schema, event = FAMILIES["anyOf in not, items"]()
    problems = validator_of(schema).check(event.encode())

    assert problems is not None and is_too_dear(problems)
    assert [(each.keyword, each.params) for each in problems] == [("steps", {"limit": 500_000})]
    assert not is_too_dear(None) and not is_too_dear(validator_of(SMALL).check(b"[]"))


def test_what_a_value_of_each_kind_takes() -> None:
    schema = {
        "type": "object",
        "properties": {"x": {"uniqueItems": True}, "y": {}, "z": {"maxLength": 3, "pattern": "^a"}},
    }
    function = Counted(mend(schema), most=1_000)

    def spent(value: Any) -> int:
        verdict(function, value)
        return 1_000 - function.steps.left

    assert spent(1) == 1
    assert spent({str(n): n for n in range(80)}) == 1 + 10
    assert spent({"x": [1, [2], {"a": 3}]}) == 1 + 1 + 6
    assert spent({"z": "abc"}) == spent({"z": "a" * 100_000}) == 1 + 1  # A text that is too long is not searched.


@pytest.mark.parametrize("draft", suite.DRAFTS)
def test_a_counted_function_has_the_verdict_of_the_plain_one(draft: str) -> None:
    suite.require()
    for case in (case for name in suite.files(draft) for case in suite.cases(draft, name)):
        if "$ref" in json.dumps(case.schema) or not isinstance(case.schema, dict):
            continue  # It is no bundle.
        try:
            mended = mend(case.schema)
            plain, counted = function_source.make_function(mended), function_source.make_counted_function(mended)
        except CANNOT_BE_USED:
            continue

        assert verdict(plain, case.value) == verdict(counted, case.value), case.place


def verdict(function: Callable[[Any], Any], value: Any) -> bool:
    try:
        function(value)
    except (Refused, TooDearError, ArithmeticError):
        return False
    return True


def test_what_is_there_once_is_not_counted_for_every_value() -> None:
    choice = {"not": {"anyOf": [{"multipleOf": 101 + n} for n in range(80)]}}
    one = {"type": "object", "properties": {"x": choice, "y": {"items": [choice, choice]}}}

    assert dear(one) is None
    assert dear({**one, "additionalProperties": choice}) is not None
    assert estimate_steps(one).once > 3 * 80


def test_what_is_inside_itself_is_not_there_once() -> None:
    schema = {"$ref": "#/definitions/d", "definitions": {"d": {"properties": {"a": {"$ref": "#/definitions/d"}}}}}
    value: dict[str, Any] = {}
    for _ in range(50):
        value = {"a": value}
    counted = Counted(mend(schema), most=1_000)
    counted(value)

    assert 51 <= counted.most - counted.steps.left <= estimate_steps(schema).steps(51, 0)


TREE = {"$ref": "#/definitions/tree"}


@pytest.mark.parametrize(
    ("tree", "is_bounded"),
    [
        ({"type": "object", "properties": {"left": TREE, "right": TREE}}, True),
        ({"anyOf": [{"type": "object", "additionalProperties": TREE}, {"type": "array", "items": TREE}]}, True),
        ({"anyOf": [{"additionalProperties": TREE}, {"items": TREE}]}, True),
        ({"oneOf": [{"properties": {"a": TREE}}, {"properties": {"a": TREE, "b": TREE}}]}, False),
        ({"allOf": [{"items": TREE}, {"items": TREE}]}, False),
        ({"items": TREE, "uniqueItems": True}, False),
    ],
    ids=["typed", "typed choice", "choice", "two branches", "all", "unique at each level"],
)
def test_a_schema_inside_itself_is_bounded_if_each_level_judges_the_next_one_once(
    tree: dict[str, Any], is_bounded: bool
) -> None:
    schema = {"definitions": {"tree": tree}, "properties": {"x": TREE}}

    assert (estimate_steps(schema).sure_bytes > 0) == is_bounded
    assert (dear(schema) is None) == is_bounded


@pytest.mark.parametrize(
    ("family", "pointer"),
    [
        ("anyOf in not, items", "#/properties/x/items/not"),
        ("contains", "#/properties/x"),
        ("propertyNames", "#/properties/x/propertyNames"),
        ("references, doubled at each level", "#/definitions/tree"),
        ("formats", "#/properties/x"),
    ],
)
def test_what_is_dear_is_named(family: str, pointer: str) -> None:
    found = dear(validator_of(FAMILIES[family]()[0]).schema)

    assert found is not None and found.pointer == pointer
    assert dear(SMALL) is None


def test_a_pattern_that_may_take_long_is_left_to_the_steps_where_texts_are_long_or_many() -> None:
    slow = {"type": "string", "maxLength": 1_000, "pattern": "a[ab]{300}c"}
    one = {"type": "object", "properties": {"x": slow}}
    ways = [
        validator_of(each).way for each in (one, {"type": "object", "properties": {"x": {**slow, "maxLength": 10**6}}})
    ]
    many = validator_of({"type": "object", "properties": {"x": {"type": "array", "items": slow}}}).way

    assert [way.kind for way in (*ways, many)] == ["residual", "reference", "reference"]
    assert many.reason == "a pattern that may take long at /properties/x/items"
