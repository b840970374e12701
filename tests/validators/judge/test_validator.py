"""``check`` takes any bytes: it returns None or problems, and never raises."""

from __future__ import annotations

import doctest
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import validators
from validators import Registry, Validator, Violation


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    root: Path = tmp_path_factory.mktemp("schemas")
    schemas = {
        "any": "{}",
        "object": "{title: object, type: object, properties: {a: {type: integer, maximum: 10, default: 3}}}",
        "big": "{maximum: 18446744073709551617, minimum: 18446744073709551615}",
        "tree": '{properties: {a: {$ref: "#"}}, additionalProperties: false}',
        "fine": "{multipleOf: 0.5}",
    }
    for name, text in schemas.items():
        (root / name).mkdir()
        (root / name / "1.0.0.yaml").write_text(text)
    return Registry([str(root)])


def text_of(problems: list[Violation] | None) -> str | None:
    return None if problems is None else validators.errors_text(problems)


@pytest.mark.parametrize(
    ("raw", "keyword", "message"),
    [
        (b"", "json", "should be JSON"),
        (b"{", "json", "should be JSON"),
        (b'{"a": 1} x', "json", "should be JSON"),
        (b"{'a': 1}", "json", "should be JSON"),
        (b'{"a": NaN}', "json", "should be JSON"),
        (b'{"a": 01}', "json", "should be JSON"),
        (b'\xef\xbb\xbf{"a": 1}', "json", "should be JSON"),
        (b'"\\ud800"', "json", "should be JSON"),
        (b'"\\udc00\\ud800"', "json", "should be JSON"),
        (b'"\xff"', "encoding", "should be UTF-8"),
        (b'"\xed\xa0\x80"', "encoding", "should be UTF-8"),
        (b"[" * 100_000, "depth", "should NOT be nested so deeply"),
        (b'{"a":' * 5_000 + b"1" + b"}" * 5_000, "depth", "should NOT be nested so deeply"),
    ],
)
def test_what_cannot_be_read_is_a_problem(registry: Registry, raw: bytes, keyword: str, message: str) -> None:
    assert registry.validator("/any/1.0.0").check(raw) == [Violation(keyword, "", "#", {}, message)]


@pytest.mark.parametrize(
    "raw",
    [
        b'{"a": 1, "a": 2}',
        b'"\\u0000"',
        b" 1 ",
        b"-0",
        b"1e308",
        b'"\\ud83d\\ude00"',
        b"5e-400",
        b"1e400",
        b"[-1e999]",
        b"1" * 5_000,
    ],
)
def test_odd_json_that_every_reader_takes_is_judged(registry: Registry, raw: bytes) -> None:
    assert registry.validator("/any/1.0.0").check(raw) is None


def test_of_a_name_that_occurs_twice_the_last_counts(registry: Registry) -> None:
    check = registry.validator("/object/1.0.0").check

    assert check(b'{"a": "x", "a": 1}') is None
    assert text_of(check(b'{"a": 1, "a": "x"}')) == "'.a' should be integer"


@pytest.mark.parametrize(
    "raw",
    [
        b'{"b": "\\ud800", "b": 1, "c": 1e400}',
        b'{"c": 1e400, "b": "\\ud800", "b": 1}',
        b'{"c": 1e400, "b": {"\\udc00": 1}, "b": 1}',
        b'{"c": [1e400, "\\udC00\\uD800"]}',
        b'{"c": 1e400, "b": "\\ud800\\ud800\\udc00"}',
    ],
)
def test_half_a_pair_is_seen_wherever_it_stands(registry: Registry, raw: bytes) -> None:
    assert text_of(registry.validator("/any/1.0.0").check(raw)) == "'' should be JSON"
    assert text_of(registry.validator("/tree/1.0.0").check(raw)) == "'' should be JSON"


def test_a_whole_pair_and_an_escaped_backslash_are_no_half_pair(registry: Registry) -> None:
    raw = b'["\\uD83D\\ude00", "\\\\ud800", "\\\\\\\\udc00", 1e400]'

    assert registry.validator("/any/1.0.0").check(raw) is None


def test_integers_are_exact(registry: Registry) -> None:
    check = registry.validator("/big/1.0.0").check

    assert check(b"18446744073709551616") is None
    assert check(b"18446744073709551617") is None
    assert text_of(check(b"18446744073709551618")) == "'' should be <= 18446744073709551617"
    assert text_of(check(b"18446744073709551614")) == "'' should be >= 18446744073709551615"


def test_an_integer_beyond_the_doubles_can_be_a_multiple_of_a_fraction(registry: Registry) -> None:
    check = registry.validator("/fine/1.0.0").check

    assert check(b"1" + b"0" * 400) is None
    assert check(b"0.25") is not None


def test_a_value_deeper_than_the_function_can_go_is_a_problem(registry: Registry) -> None:
    check = registry.validator("/tree/1.0.0").check

    assert check(b'{"a":' * 100 + b"{}" + b"}" * 100) is None
    for depth in range(200, 1_000, 100):
        result = check(b'{"a":' * depth + b'{"b": 1}' + b"}" * depth)
        assert result is not None
        assert result[0].keyword in ("depth", "additionalProperties", "schema")


@settings(derandomize=True, max_examples=300)
@given(raw=st.binary(max_size=40) | st.text(alphabet='{}[]",:01eE+-.tfn\\u ', max_size=40).map(str.encode))
def test_no_bytes_make_check_raise(registry: Registry, raw: bytes) -> None:
    for name in ("any", "object", "tree", "fine"):
        result = registry.validator(f"/{name}/1.0.0").check(raw)

        assert result is None or (result and all(isinstance(each, Violation) for each in result))


def test_a_validator_tells_title_defaults_and_properties(registry: Registry) -> None:
    validator = registry.validator("/object/1.0.0")

    assert isinstance(validator, Validator)
    assert validator.title == "object"
    assert validator.schema["title"] == "object"
    assert validator.fill_defaults(b"{}", 99) == b'{"a":3}'
    assert validator.declares(("a",))
    assert not validator.declares(("b",))
    assert registry.validator("/any/1.0.0").title is None


def test_a_refusal_that_the_walk_cannot_explain_is_still_a_refusal(registry: Registry) -> None:
    honest = registry.validator("/object/1.0.0")
    stricter = Validator("/x/1.0.0", {"allOf": []}, honest._validate)
    laxer = Validator("/x/1.0.0", honest.schema | {"allOf": []}, lambda value: value)

    assert text_of(stricter.check(b"[]")) == "'' should match the schema"
    assert laxer.check(b"[]") is None


def test_what_no_type_took_and_the_walk_finds_wrong_is_not_asked_about_again(registry: Registry) -> None:
    asked: list[Any] = []
    validator = Validator("/x/1.0.0", registry.validator("/object/1.0.0").schema, asked.append)

    assert text_of(validator.check(b"[]")) == "'' should be object"
    assert asked == []
    assert validator.check(b'{"test": "", "a": 1.0}') is None
    assert len(asked) == 1


def test_the_example_of_the_package_is_true() -> None:
    assert doctest.testmod(validators).failed == 0
