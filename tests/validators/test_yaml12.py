"""YAML 1.2's core schema, duplicate keys, lines, and bounds."""

from __future__ import annotations

import math
from typing import Any

import pytest

from validators import yaml12
from validators.yaml12 import YamlError


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", "yes"),
        ("on", "on"),
        ("No", "No"),
        ("y", "y"),
        ("2020-01-01", "2020-01-01"),
        ("2020-01-01T00:00:00Z", "2020-01-01T00:00:00Z"),
        ("12:30:45", "12:30:45"),
        ("1_000", "1_000"),
        ("0b11", "0b11"),
        ("0777", 777),
        ("0o17", 15),
        ("0x1F", 31),
        ("-0x1F", "-0x1F"),
        ("+12", 12),
        ("true", True),
        ("True", True),
        ("FALSE", False),
        ("tRUE", "tRUE"),
        ("null", None),
        ("~", None),
        ("", None),
        ("1.", 1.0),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("-1.5E-3", -0.0015),
        ("1.2.3", "1.2.3"),
        (".inf", math.inf),
        ("-.Inf", -math.inf),
        ("123456789012345678901234567890", 123456789012345678901234567890),
        ("'true'", "true"),
        ('"1"', "1"),
        ("!!str 1", "1"),
        ("! 1", "1"),
        ("!!int '3'", 3),
        ("!!float 1", 1.0),
        ("|\n  yes\n", "yes\n"),
        ("<<", "<<"),
    ],
)
def test_a_scalar_is_what_the_core_schema_says(text: str, value: Any) -> None:
    loaded = yaml12.load(text)

    assert loaded == value
    assert type(loaded) is type(value)


def test_nan_is_a_number() -> None:
    assert math.isnan(yaml12.load(".nan"))


def test_keys_are_text_as_written() -> None:
    loaded = yaml12.load("404: a\ntrue: b\non: c\n~: d\n1.0: e\n'x': f\n")

    assert loaded == {"404": "a", "true": "b", "on": "c", "~": "d", "1.0": "e", "x": "f"}


def test_a_merge_key_merges_nothing() -> None:
    assert yaml12.load("a: &a {x: 1}\nb: {<<: *a}\n") == {"a": {"x": 1}, "b": {"<<": {"x": 1}}}


def test_json_is_yaml() -> None:
    assert yaml12.load('{"a": [1, "b", null], "c": {}}') == {"a": [1, "b", None], "c": {}}


def test_every_path_has_its_line() -> None:
    _, lines = yaml12.load_with_lines("# head\na:\n  b: 1\n  c:\n  - x\n  -\n    y: 2\n", "f.yaml")

    assert lines == {(): 1, ("a",): 2, ("a", "b"): 3, ("a", "c"): 4, ("a", "c", 0): 5, ("a", "c", 1): 7} | {
        ("a", "c", 1, "y"): 7
    }


def test_what_an_alias_stands_for_has_the_line_of_the_alias_and_is_a_copy() -> None:
    value, lines = yaml12.load_with_lines("a: &a\n  x: 1\nb: *a\n", "f.yaml")

    assert value == {"a": {"x": 1}, "b": {"x": 1}}
    assert value["a"] is not value["b"]
    assert lines["b", "x"] == 3


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("a: 1\nb: 2\na: 3\n", 3, "has the key 'a' twice (first on line 1)"),
        ("a:\n  b: 1\n  'b': 2\n", 3, "has the key 'b' twice (first on line 2)"),
        ("a: *b\n", 1, "has the alias *b before its anchor is complete"),
        ("a: &a [*a]\n", 1, "has the alias *a before its anchor is complete"),
        ("a: 1\n---\nb: 2\n", 2, "holds a second document"),
        ("? [a]\n: 1\n", 1, "has a key that is not a plain scalar"),
        ("a: !!python/object:os.system x\n", 1, "with the tag"),
        ("a: !mine [1]\n", 1, "not of YAML's core schema"),
        ("a: !!int x\n", 1, "does not fit"),
        ("a: 1\n\tb: 2\n", 2, ""),
        ("a: [1\nb", 3, ""),
        ("a: " + "1" * 5000, 1, "too many digits"),
        ("a: 0x" + "f" * 5000, 1, "too many digits"),
        ("a: 0o" + "7" * 5000, 1, "too many digits"),
        ("a: \x01", 1, ""),
        ("[" * 200 + "]" * 200, 1, "nested deeper"),
    ],
)
def test_an_error_names_its_line(text: str, line: int, reason: str) -> None:
    with pytest.raises(YamlError) as caught:
        yaml12.load(text, "f.yaml")

    assert caught.value.line == line
    assert reason in caught.value.reason
    assert str(caught.value).startswith(f"f.yaml:{line}: ")


@pytest.mark.parametrize("text", [b"\xff", b"a: \xed\xa0\x80", "a: \ud800"])
def test_what_is_not_utf8_is_an_error(text: str | bytes) -> None:
    with pytest.raises(YamlError, match="UTF-8"):
        yaml12.load(text)


def test_aliases_cannot_stand_for_too_much() -> None:
    laughs = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"{name}: &{name} [{','.join(['*' + before] * 10)}]\n"
        for before, name in zip("abcdefg", "bcdefgh", strict=True)
    )

    with pytest.raises(YamlError, match="aliases"):
        yaml12.load(laughs)


def test_depth_without_end_is_refused_without_recursion() -> None:
    with pytest.raises(YamlError):
        yaml12.load("[" * 1_000_000)
