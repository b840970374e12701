"""Whatever a type made of a schema takes, the reference and an independent judge take too."""

from __future__ import annotations

import gc
import json
import math
import random
import time
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, settings

from tests.validators.mutations import mutations
from tests.validators.real import corpus_versions
from tests.validators.test_agreement import BARE, SCHEMAS, VALUES, schemas
from validators import SchemaError, Validator
from validators.formats import plain
from validators.formats.asserted import FORMATS
from validators.formats.text_test import TextTest
from validators.judge.reference import check_schema, compile_schema
from validators.load.bundle import bundle
from validators.quick import structs
from validators.quick.kinds import ASSERTING
from validators.quick.structs import Maker, make
from validators.words.keywords import _ASSERTING as ASSERTED_BY_THE_WALK


def nothing(uri: str) -> Any:
    raise SchemaError("unknown_schema", uri)


def made(schema: dict[str, Any]) -> Validator:
    whole = bundle(schema, "/a/b/1.0.0", nothing, check_schema)
    return Validator("/a/b/1.0.0", whole, compile_schema(whole, "/a/b/1.0.0"))


def is_accepted(validator: Validator, raw: bytes) -> bool:
    """Whether one pass is enough; and if so, the reference must agree."""
    before = validator.reference_checks
    is_valid = validator.check(raw) is None
    if validator.reference_checks > before:
        return False
    assert is_valid
    assert validator._refer(raw) is None, raw
    return True


def is_valid_elsewhere(judge: Any, raw: bytes) -> bool:
    """What jsonschema-rs says; it has no numbers beyond the doubles, so nobody asks it about those."""
    value = json.loads(raw, parse_int=lambda digits: int(digits) if len(digits) < 4_000 else math.inf)
    return "Infinity" in json.dumps(value) or judge.is_valid(value)


DAY = "2020-01-01T00:00:00"
TEXT_A = {"type": "string", "pattern": "^a"}


@pytest.mark.parametrize(
    ("schema", "accepted", "refused"),
    [
        ({"type": "string"}, ['"a"', '"é"', '"\\u0000"', '"\\ud83d\\ude00"'], ["1", "null", '"\\ud800"']),
        ({"type": "integer"}, ["1", "-0", "18446744073709551616"], ["1.5", "true", '"1"', "1e400"]),
        ({"type": "number"}, ["1", "1.5", "1e0", "18446744073709551616"], ["true", '"1"']),
        ({"type": "boolean"}, ["true"], ["1", "null"]),
        ({"type": "null"}, ["null"], ["0", "{}"]),
        ({"type": ["integer", "null"]}, ["1", "null"], ["1.5", "[]"]),
        ({"type": ["integer", "number"]}, ["1", "1.5"], ["null"]),
        ({"type": ["object", "string", "array"]}, ["{}", '"a"', "[1.5]"], ["1"]),
        ({"type": "string", "minLength": 1, "maxLength": 2}, ['"é"', '"😀😀"'], ['""', '"aaa"', '"ééé"']),
        ({"type": "integer", "minLength": 5, "pattern": "a"}, ["1"], ['"aaaaaa"']),
        (
            {"type": "integer", "minimum": 0, "maximum": 2**53 - 1},
            ["0", "9007199254740991"],
            ["-1", "9007199254740992"],
        ),
        ({"type": "integer", "minimum": 0.5, "maximum": 2.5}, ["1", "2"], ["0", "3"]),
        ({"type": "integer", "exclusiveMinimum": 0, "exclusiveMaximum": 3}, ["1", "2"], ["0", "3"]),
        ({"type": "integer", "maximum": 2**70}, ["1"], [str(2**70 + 1)]),
        ({"type": "number", "maximum": 2**53}, ["9007199254740992", "1.5"], ["9007199254740993", "9007199254740994.0"]),
        ({"type": "number", "exclusiveMinimum": 0}, ["5e-324", "1"], ["0", "-0.0", "0.0"]),
        ({"type": "number", "minimum": 0.1, "maximum": 1}, ["0.1", "1", "1.0"], ["0.09", "1.0000000000000002", "0"]),
        ({"type": "integer", "multipleOf": 3}, ["6", "-3", "0"], ["7", str(2**64)]),
        (
            {"type": "array", "items": {"type": "integer"}, "minItems": 1, "maxItems": 2},
            ["[1]"],
            ["[]", "[1,2,3]", '["a"]'],
        ),
        ({"enum": ["a", 1, None]}, ['"a"', "1", "null"], ['"b"', "true", "2"]),
        ({"enum": ["a", "bb"], "maxLength": 1}, ['"a"'], ['"bb"']),
        ({"const": 1}, ["1"], ["true", "2"]),
        ({"const": "é"}, ['"é"', '"\\u00e9"'], ['"e"']),
        (
            {"type": "object", "properties": {"a": {"type": "integer"}}},
            ["{}", '{"a":1,"b":1e400}'],
            ['{"a":null}', "[]"],
        ),
        ({"type": "object", "required": ["a"]}, ['{"a":[1]}', '{"a":1,"b":1e400}'], ["{}"]),
        (
            {"type": "object", "properties": {"a": {}}, "additionalProperties": False},
            ["{}", '{"a":1}', '{"\\u0061":null}'],
            ['{"b":1}', '{"f0":1}'],
        ),
        (
            {"type": "object", "additionalProperties": {"type": "string"}, "minProperties": 1, "maxProperties": 2},
            ['{"a":""}', '{"a":"","a":"","b":""}'],
            ["{}", '{"a":1}', '{"a":"","b":"","c":""}'],
        ),
        (
            {"type": "object", "propertyNames": {"pattern": "^a", "maxLength": 2}},
            ['{"a":1,"ab":2}'],
            ['{"b":1}', '{"abc":1}'],
        ),
        ({"type": "string", "pattern": r"^\d$", "maxLength": 9}, ['"1"'], ['"٣"', '"1\\n"', '"a"']),
        (
            {"type": "string", "format": "date-time", "maxLength": 40},
            [f'"{DAY}Z"', f'"{DAY}.5+01:00"', f'"{DAY}.123456789z"'],
            [f'"{DAY}"', f'"{DAY}+0100"', '"2020-01-01 00:00:00Z"', '"2020-02-30T00:00:00Z"', f'"{DAY}.{"1" * 30}Z"'],
        ),
        ({"type": "string", "format": "nothing"}, ['"a"'], ["1"]),
        ({"maxiumum": 3, "type": "integer"}, ["4"], ['""']),
        ({"$ref": "#/definitions/a", "definitions": {"a": {"type": "string"}}}, ['"a"'], ["1"]),
        ({}, ["1", "[]", '{"a":1}'], []),
        ({"type": ["string", "null"], "pattern": "^a", "maxLength": 3}, ['"a"', "null"], ['"b"', "1"]),
        (
            {"type": ["array", "object", "string"], "items": {"pattern": "^a", "type": "string"}},
            ["[]", '["a"]', '"b"'],
            ['["b"]'],
        ),
        ({"type": "string", "format": "email"}, ['"a@b.c"'], ['"a"']),
        ({"type": "string", "format": "ipv6"}, ['"::1"'], ['"1.1.1.1"']),
        ({"type": "string", "format": "regex", "pattern": "^a"}, ['"a+"'], ['"a("', '"b"']),
        ({"type": "array", "items": {"type": "string"}, "uniqueItems": True}, ["[]", '["a","b"]'], ['["a","\\u0061"]']),
        ({"type": "array", "items": {"type": ["integer", "null"]}, "uniqueItems": True}, ["[1,null]"], ["[1,1]"]),
        (
            {"type": "array", "items": {"type": "array", "items": TEXT_A}},
            ['[["a"],[]]'],
            ['[["a"],["b"]]'],
        ),
        (
            {
                "type": "object",
                "properties": {"a": {"type": "null"}},
                "additionalProperties": {"type": "integer"},
                "required": ["a"],
            },
            ['{"a":null}', '{"a":null,"b":1}', '{"a":1,"a":null}'],
            ['{"a":1}', '{"a":null,"b":"1"}', '{"b":1}', '{"a":null,"a":1}'],
        ),
        (
            {
                "type": "object",
                "properties": {"a": {"type": "string", "pattern": "^x"}},
                "maxProperties": 2,
                "minProperties": 1,
            },
            ['{"a":"x"}', '{"b":1,"c":[]}'],
            ["{}", '{"a":"y"}', '{"a":"x","b":1,"c":1}'],
        ),
        (
            {"type": "object", "properties": {"a": {}}, "propertyNames": {"maxLength": 1}},
            ['{"a":1,"b":2}'],
            ['{"aa":1}'],
        ),
        (
            {"type": "object", "properties": {"a": {}}, "maxProperties": 1, "additionalProperties": False},
            ['{"a":1}', "{}"],
            ['{"b":1}'],
        ),
        (
            {
                "type": "object",
                "additionalProperties": {"type": "string", "pattern": "^a"},
                "propertyNames": {"pattern": "^n"},
            },
            ['{"n":"a"}'],
            ['{"n":"b"}', '{"m":"a"}'],
        ),
    ],
)
def test_keywords_as_types(schema: dict[str, Any], accepted: list[str], refused: list[str]) -> None:
    validator = made(schema)
    wrong = [text for text in refused if validator.check(text.encode()) is None]

    assert validator.way.kind in ("one-pass", "residual")
    assert [text for text in accepted if not is_accepted(validator, text.encode())] == []
    assert wrong == []


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        ({"minLength": 1}, "minLength without type at /"),
        ({"properties": {"a": {}}}, "properties without type at /"),
        ({"type": "array", "contains": {}}, "contains at /"),
        ({"type": "array", "items": [{}]}, "items as a list at /"),
        ({"type": "object", "patternProperties": {"a": {}}}, "patternProperties at /"),
        ({"type": "object", "dependencies": {}}, "dependencies at /"),
        ({"type": "object", "required": ["a"], "additionalProperties": False}, "false at /properties/a"),
        ({"type": "array", "uniqueItems": True}, "uniqueItems of other items than texts or integers at /"),
        ({"type": "array", "items": {"type": "boolean"}, "uniqueItems": True}, "uniqueItems of other items"),
        ({"type": "number", "multipleOf": 1}, "multipleOf at /"),
        ({"type": "integer", "multipleOf": 0.5}, "bounds of numbers"),
        ({"type": "integer", "minimum": 2**64}, "bounds of numbers"),
        ({"enum": [1.5]}, "enum or const without texts and integers"),
        ({"type": "object", "properties": {'a"b': {"type": "null"}}}, "msgspec: Renamed field names"),
        ({"type": "object", "properties": {"a": {"$ref": "#"}}}, "$ref to what it is inside at /properties/a"),
        ({"allOf": [{}]}, "allOf at /"),
        ({"type": "integer", "not": {}}, "not at /"),
        ({"type": "object", "properties": {"a": False}, "required": ["a"]}, "false at /properties/a"),
        ({"type": "object", "propertyNames": {"enum": ["a"]}}, "enum at /propertyNames"),
    ],
)
def test_what_types_cannot_say_leaves_the_schema_to_the_reference(schema: dict[str, Any], reason: str) -> None:
    way = made(schema).way

    assert way.kind == "reference"
    assert way.reason.startswith(reason)


def test_no_keyword_that_asserts_is_unknown_here() -> None:
    assert set(ASSERTED_BY_THE_WALK) - {"$comment"} <= ASSERTING


TRAPS = {
    "type": "object",
    "properties": {
        "a": {"type": "integer"},
        "m": {"type": "object", "properties": {"x": {"type": "string"}}, "required": ["x"]},
        "d": {"type": "object", "additionalProperties": {"type": "integer"}},
    },
}


@pytest.mark.parametrize(
    ("raw", "verdict"),
    [
        (b'{"z":"\xff"}', False),
        (b'{"\xff":1}', False),
        (b'{"z":{"y":["\xed\xa0\x80"]}}', False),
        (b'{"z":"\\ud800"}', False),
        (b'{"\\udc00":1}', False),
        ('{"z":"é"}'.encode(), True),
        (b'{"z":1e400}', True),
        (b'{"z":[-1e400,{"y":' + b"1" * 5_000 + b"}]}", True),
        (b'{"a":1e400}', False),
        (b'{"a":' + b"1" * 5_000 + b"}", False),
        (b'{"a":"x","z":1e400}', False),
        (b'{"z":1e400,"y":"\\ud800"}', False),
        (b'{"z":1e400,"y":NaN}', False),
        (b'{"z":1e400', False),
        (b'{"a":"x","a":1}', True),
        (b'{"a":1,"a":"x"}', False),
        (b'{"m":{},"m":{"x":""}}', True),
        (b'{"m":{"x":""},"m":{}}', False),
        (b'{"d":{"k":"x","k":1}}', True),
        (b'{"d":{"k":1,"k":"x"}}', False),
        (b'{"a":null}', False),
        (b'{"z":' + b"[" * 5_000 + b"]" * 5_000 + b"}", False),
        (b'{"z":"\x00"}', False),
        (b'\xef\xbb\xbf{"a":1}', False),
        (b'{"a":1}{}', False),
    ],
)
def test_both_ways_give_one_verdict_of_odd_events(raw: bytes, verdict: bool) -> None:
    validator = made(TRAPS)

    assert (validator.check(raw) is None) == verdict
    assert (validator._refer(raw) is None) == verdict


def test_a_number_beyond_the_doubles_is_infinite() -> None:
    bounded = made({"type": "number", "maximum": 5})
    stepped = made({"multipleOf": 0.5})

    assert made({"type": "number"}).check(b"1e400") is None
    assert bounded.check(b"-1e400") is None
    assert bounded.check(b"1e400") is not None
    assert stepped.check(b"1e400") is not None


@pytest.mark.slow(reason="it compiles a type for each of 1,500 schemas")
@settings(derandomize=True, max_examples=1_500)
@given(schema=SCHEMAS, definition=schemas(BARE), value=VALUES)
def test_any_schema_gives_a_type_that_takes_only_what_is_valid(
    schema: dict[str, Any], definition: dict[str, Any], value: Any
) -> None:
    validator = made(schema | {"definitions": {"d": definition}})
    is_accepted(validator, json.dumps(value).encode())


@pytest.mark.slow(reason="it compiles every real schema")
def test_real_schemas_accept_their_events_in_one_pass(corpus: Path) -> None:
    versions = [(validator, events) for validator, events in corpus_versions(corpus) if events]
    settled = [all(is_accepted(each, json.dumps(event).encode()) for event in events) for each, events in versions]

    assert sum(settled) >= 0.9 * len(settled)


def differ(corpus: Path, per_event: int, seed: int) -> tuple[int, int]:
    """Mutate; return how many events there were and how many one pass accepted."""
    rng = random.Random(seed)
    count = accepted = 0
    for validator, events in corpus_versions(corpus):
        if validator.way.kind == "reference":
            continue
        judge = jsonschema_rs.Draft7Validator(validator.schema, validate_formats=True)
        for event in events:
            for raw in mutations(validator.schema, event, rng, per_event):
                count += 1
                if is_accepted(validator, raw):
                    accepted += 1
                    assert is_valid_elsewhere(judge, raw), (validator.uri, raw)
    return count, accepted


@pytest.mark.slow(reason="three judges see many mutations of real events")
def test_mutated_real_events_are_accepted_only_when_three_judges_agree(corpus: Path) -> None:
    count, accepted = differ(corpus, per_event=30, seed=4)

    assert count >= 5_000
    assert accepted >= 500


SEEDS = [
    *(f"{DAY}Z", "2020-02-29T00:00:00+00:00", "1900-02-28t23:59:59z", "2020-12-31T23:59:59.9-23:59", "2020-06-30"),
    *("00:00:00Z", "23:59:60Z", "/a/b/1.0.0", "https://a.b:80/c%20d?e=f#g", "http://a", "//a:b/c", "https://a.b/c:d@e"),
    "01234567-89ab-cdef-0123-456789abcdef",
]


def passes(test: TextTest, text: str) -> bool:
    try:
        said = bool(test.call(text)) != test.refuses
        return said and (not test.beside or bool(eval(test.beside.format(x="text"), {"text": text})))
    except ValueError:
        return False


def test_plain_spellings_are_spellings_of_their_formats() -> None:
    rng = random.Random(7)
    found = dict.fromkeys(plain.TESTS, 0)
    for _ in range(20_000):
        letters = list(rng.choice(SEEDS))
        for _ in range(rng.randrange(4)):
            at = rng.randrange(len(letters) + 1)
            letters[at : at + rng.randrange(2)] = rng.choice(["", *"0123456789-+:.TtZz/?#%@[] \n\\aé٣\0"])
        text = "".join(letters)
        for name, test in plain.TESTS.items():
            if passes(test, text):
                found[name] += 1
                assert FORMATS[name](text), (name, text)

    assert min(found.values()) > 100


@pytest.mark.slow(reason="it makes types of a quarter of the real schemas and collects garbage after each")
def test_types_survive_the_garbage_collector(corpus: Path) -> None:
    for validator, events in list(corpus_versions(corpus))[::4]:
        for event in events[:1]:
            raw = json.dumps(event).encode()
            for _ in range(50):
                validator.check(raw)
                validator.check(raw[:-1] + b',"undeclared":[1,{"a":"b"}]}')
        gc.collect()


def test_a_long_text_is_refused_before_it_is_searched(monkeypatch: pytest.MonkeyPatch) -> None:
    searched: list[str] = []

    def search(text: str) -> bool:
        searched.append(text)
        return True

    monkeypatch.setattr(structs, "automatic", lambda _: TextTest(search))
    validator = made({"type": "string", "pattern": "a.*b.*c$", "maxLength": 10})

    assert validator.check(b'"abc"') is None
    assert validator.check(b'"' + b"ab" * 50_000 + b'"') is not None
    assert searched == ["abc"]


@pytest.mark.slow(reason="it compiles every real schema")
def test_a_type_is_made_in_a_moment(corpus: Path) -> None:
    schemas_of_all = [validator.schema for validator, _ in corpus_versions(corpus)]
    start = time.process_time()
    for schema in schemas_of_all:
        make(Maker(schema))

    assert (time.process_time() - start) / len(schemas_of_all) < 0.01
