"""What schema files come to, kept on disk and in memory: always the same verdicts, never stale."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from validators import Registry, SchemaError, Sharing
from validators.judge import reference
from validators.judge.deferred import Deferred
from validators.load.disk_cache import DiskCache
from validators.load.required import requires

SCHEMA = """
title: t
type: object
required: [a]
properties: {a: {type: string, maxLength: 3}, b: {type: integer, default: 5}}
"""


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    (tmp_path / "schemas" / "t").mkdir(parents=True)
    (tmp_path / "schemas" / "t" / "1.0.0.yaml").write_text(SCHEMA)
    return tmp_path


def opened(repository: Path, **options: Any) -> Registry:
    return Registry([str(repository / "schemas")], keep_in=repository / "kept", **options)


def entries(repository: Path) -> list[Path]:
    return [path for path in (repository / "kept").rglob("*") if path.is_file()]


def test_the_second_reading_asks_the_file_and_parses_nothing(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = opened(repository).validator("/t/1.0.0")
    monkeypatch.setattr("validators.registry.bundle", None)
    second = opened(repository).validator("/t/1.0.0")

    assert second.schema == first.schema
    assert list(second.schema) == list(first.schema)
    assert second.fill_defaults(b"{}", 99) == first.fill_defaults(b"{}", 99) == b'{"b":5}'
    assert second.check(b'{"a":"xxxx"}') == first.check(b'{"a":"xxxx"}')
    assert second.check(b'{"a":"x"}') is None


def test_a_file_that_changes_is_read_anew(repository: Path) -> None:
    opened(repository).validator("/t/1.0.0")
    (repository / "schemas" / "t" / "1.0.0.yaml").write_text(SCHEMA.replace("maxLength: 3", "maxLength: 9"))

    assert opened(repository).validator("/t/1.0.0").check(b'{"a":"xxxx"}') is None
    assert len(entries(repository)) == 2


def test_what_other_code_has_kept_is_removed(repository: Path) -> None:
    opened(repository).validator("/t/1.0.0")
    own = entries(repository)[0].parent
    (own.parent / ("0" * len(own.name))).mkdir()
    (own.parent / "somebody's").mkdir()
    opened(repository)

    assert {path.name for path in own.parent.iterdir()} == {own.name, "somebody's"}


@pytest.mark.parametrize("damage", [b"", b"x" * 40, None])
def test_a_damaged_entry_is_as_if_it_were_not_there(repository: Path, damage: bytes | None) -> None:
    opened(repository).validator("/t/1.0.0")
    entry = entries(repository)[0]
    entry.write_bytes(damage if damage is not None else entry.read_bytes()[:-1])

    assert opened(repository).validator("/t/1.0.0").check(b'{"a":1}') is not None
    assert opened(repository)._disk_cache is not None


def test_references_and_refused_schemas_are_not_kept(repository: Path) -> None:
    (repository / "schemas" / "t" / "2.0.0.yaml").write_text("title: t\nallOf: [{$ref: /t/1.0.0}]\n")
    (repository / "schemas" / "t" / "3.0.0.yaml").write_text("properties: {a: {type: string, pattern: a}}\n")
    registry = opened(repository)
    registry.validator("/t/2.0.0")
    with pytest.raises(SchemaError):
        registry.validator("/t/3.0.0")
    assert entries(repository) == []

    opened(repository, allow_insecure=True).validator("/t/3.0.0")
    assert len(entries(repository)) == 1
    with pytest.raises(SchemaError):
        opened(repository).validator("/t/3.0.0")


def test_without_a_place_to_write_nothing_is_kept_and_everything_works(repository: Path) -> None:
    (repository / "kept").write_text("a file")

    assert opened(repository).validator("/t/1.0.0").check(b'{"a":"x"}') is None
    kept = DiskCache(repository / "there")
    for path in (repository / "there").iterdir():
        os.rmdir(path)
    kept.put("a", {})
    assert kept.get("a") is None


def test_an_earlier_registry_gives_what_is_the_same(repository: Path) -> None:
    (repository / "schemas" / "t" / "2.0.0.yaml").write_text(SCHEMA)
    first = Registry([str(repository / "schemas")])
    before = [first.validator(f"/t/{version}.0.0") for version in (1, 2)]
    (repository / "schemas" / "t" / "2.0.0.yaml").write_text(SCHEMA.replace("maxLength: 3", "maxLength: 9"))
    second = Registry([str(repository / "schemas")], before=first)

    assert second.validator("/t/1.0.0") is before[0]
    assert second.validator("/t/2.0.0").check(b'{"a":"xxxx"}') is None
    stricter = Registry([str(repository / "schemas")], before=first, allow_insecure=True)
    assert stricter.validator("/t/1.0.0") is not before[0]
    third = Registry([str(repository / "schemas")], before=second)
    third.forget_before()
    assert third.validator("/t/1.0.0") is not before[0]


def test_the_function_is_compiled_for_the_first_event_that_needs_it(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled: list[str] = []
    compile_schema = reference.compile_schema

    def counted(whole: dict[str, Any], uri: str) -> reference.Validate:
        compiled.append(uri)
        return compile_schema(whole, uri)

    monkeypatch.setattr(reference, "compile_schema", counted)
    validator = opened(repository, is_deferred=True).validator("/t/1.0.0")
    assert validator.check(b'{"a":"x"}') is None
    assert compiled == []

    assert validator.check(b'{"a":1}') == opened(repository).validator("/t/1.0.0").check(b'{"a":1}')
    assert compiled == []

    for _ in range(2):
        assert validator.check(b'{"a":"x","b":1.0}') is None
    assert compiled == ["/t/1.0.0"]


def test_what_cannot_be_compiled_is_judged_by_the_walk(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(whole: dict[str, Any], uri: str) -> reference.Validate:
        raise SchemaError("schema_unavailable", "too large")

    monkeypatch.setattr(reference, "compile_schema", fail)
    judge = Deferred({"type": "object", "required": ["a"]}, "/t/1.0.0")

    assert judge({"a": 1}) == {"a": 1}
    with pytest.raises(reference.Refused):
        judge({})
    assert judge.compile() == "too large"


VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from([1.0, 0.0, -0.0, 0.5, "", "a", "1", "map"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "map"]), inner, max_size=3),
    max_leaves=20,
)


@pytest.mark.slow(reason="it shares many generated values")
@given(st.lists(VALUES, max_size=6))
def test_shared_values_are_what_they_were_to_the_last_digit(values: list[Any]) -> None:
    sharing = Sharing()
    for value in values:
        assert json.dumps(sharing.of(value)) == json.dumps(value)
        assert sharing.of(value) == value


def test_equal_parts_are_held_once() -> None:
    sharing = Sharing()
    one, two = sharing.of([{"a": [1, 2]}, {"default": 1}]), sharing.of([{"a": [1, 2]}, {"default": 1}, 3])

    assert one[0] is two[0]
    assert one[1] is two[1]


@pytest.mark.parametrize(
    ("schema", "path", "answer"),
    [
        ({"required": ["a"]}, ("a",), True),
        ({"properties": {"a": {}}}, ("a",), False),
        ({"required": ["a"], "properties": {"a": {"required": ["b"]}}}, ("a", "b"), True),
        ({"required": ["a"], "properties": {"a": {}}}, ("a", "b"), False),
        ({"properties": {"a": {"required": ["b"]}}}, ("a", "b"), False),
        ({"allOf": [{"$ref": "#/definitions/x"}], "definitions": {"x": {"required": ["a"]}}}, ("a",), True),
        ({"anyOf": [{"required": ["a"]}]}, ("a",), False),
        ({"required": ["a"], "properties": {"a": True}}, ("a", "b"), False),
    ],
)
def test_what_is_required(schema: dict[str, Any], path: tuple[str, ...], answer: bool) -> None:
    assert requires(schema, path) is answer
