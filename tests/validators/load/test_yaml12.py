"""YAML 1.2's core schema, duplicate keys, lines, and bounds."""

from __future__ import annotations

import math
from typing import Any

import pytest
import yaml

from validators.load import yaml12
from validators.load.yaml12 import YamlError


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


BASES = "a: &a {x: 1, y: 2}\nb: &b {y: 3, z: 4}\nl: &l [*a, *b]\n"


@pytest.mark.parametrize(
    ("text", "merged"),
    [
        ("{<<: *a}", {"x": 1, "y": 2}),
        ("{<<: *a, y: 0}", {"x": 1, "y": 0}),
        ("{y: 0, <<: *a}", {"y": 0, "x": 1}),
        ("{<<: [*a, *b]}", {"x": 1, "y": 2, "z": 4}),
        ("{<<: [*b, *a], w: 0}", {"y": 3, "z": 4, "x": 1, "w": 0}),
        ("{<<: *l}", {"x": 1, "y": 2, "z": 4}),
        ("{<<: [{w: 0}, *a]}", {"w": 0, "x": 1, "y": 2}),
        ("{<<: {w: 0, x: 9}, x: 1}", {"w": 0, "x": 1}),
        ("{<<: []}", {}),
        ("{!!merge <<: *a}", {"x": 1, "y": 2}),
        ("{'<<': *a}", {"<<": {"x": 1, "y": 2}}),
    ],
)
def test_a_merge_key_merges_as_yaml_1_1_does(text: str, merged: Any) -> None:
    """yaml.org/type/merge.html: keys of the map itself win, then those of earlier maps. The order is that of js-yaml:
    each key where it is first named. PyYAML agrees on all but the order."""
    loaded = yaml12.load(f"{BASES}v: {text}\n")["v"]

    assert loaded == merged
    assert list(loaded) == list(merged)
    assert yaml.safe_load(f"{BASES}v: {text}\n")["v"] == merged


def test_a_merged_map_can_be_merged_and_is_a_copy() -> None:
    loaded = yaml12.load("a: &a {x: {y: 1}}\nb: &b {<<: *a, z: 2}\nc: {<<: *b}\n")

    assert loaded["c"] == {"x": {"y": 1}, "z": 2}
    assert loaded["c"]["x"] is not loaded["a"]["x"]


def test_what_is_merged_has_the_line_on_which_it_was_written() -> None:
    text = "a: &a\n  x:\n    y: 1\n  z: 2\nb: &b\n  <<: *a\n  w: 3\nc:\n  <<: *b\n  z: 4\nd: *b\n"
    _, lines = yaml12.load_with_lines(text, "f.yaml")

    assert [lines[path] for path in (("b", "x", "y"), ("c", "x", "y"), ("c", "w"), ("c", "z"))] == [3, 3, 7, 10]
    assert lines["d", "x"] == 11, "an alias that is no merge has its own line"


def test_a_byte_order_mark_is_no_part_of_the_first_key() -> None:
    assert yaml12.load("\ufeffa: 1\n") == yaml12.load(b"\xef\xbb\xbfa: 1\n") == {"a": 1}


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
        ("a: &a {x: 1,\n <<: *a}\n", 2, "has the alias *a before its anchor is complete"),
        ("a:\n  <<: 1\n", 2, "merges (<<) something else than a map"),
        ("a:\n  b: 1\n  <<:\n", 3, "merges (<<) something else than a map"),
        ("a: &a x\nb:\n  <<: [*a]\n", 3, "merges (<<) something else than a map"),
        ("a: &a {}\nb:\n  <<: *a\n  <<: *a\n", 4, "merges (<<) twice"),
        ("a: &a {x: 1}\nb: {<<: *a, y: 1, y: 2}\n", 2, "has the key 'y' twice"),
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


def test_merges_cannot_stand_for_too_much() -> None:
    """Though all but the first name keys that are there already."""
    large = "a: &a {" + ",".join(f"k{number}: 1" for number in range(1_000)) + "}\n"

    with pytest.raises(YamlError, match=r"f\.yaml:2: has aliases"):
        yaml12.load(large + "b: {<<: [" + ",".join(["*a"] * 101) + "]}\n", "f.yaml")


def test_depth_without_end_is_refused_without_recursion() -> None:
    with pytest.raises(YamlError):
        yaml12.load("[" * 1_000_000)


def test_a_document_that_declares_yaml_1_1_is_refused_where_that_would_change_values() -> None:
    text = "%YAML 1.1\n---\nopen: yes\n"

    with pytest.raises(YamlError, match="remove the directive") as refused:
        yaml12.load(text, "streams.yaml", is_strict=True)
    assert refused.value.line == 1
    assert yaml12.load(text) == {"open": "yes"}  # A schema, as EventGate's reader takes it.
    assert yaml12.load("%YAML 1.2\n---\nopen: yes\n", is_strict=True) == {"open": "yes"}
