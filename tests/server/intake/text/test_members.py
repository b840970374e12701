"""server.intake.text.members: chosen members of an object, as raw JSON."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET, Raw

from server.intake.text.members import BLOCKED, MemberReader

NAMES = st.sampled_from(["a", "b", "$schema", "user-agent", "é"])
VALUES = st.recursive(
    st.sampled_from([None, True, 0, 2**70, "", "é", '"a":{']),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=6,
)
PATHS = st.lists(st.lists(NAMES, min_size=1, max_size=3).map(tuple), min_size=1, max_size=6)


def test_values_are_the_raw_text_of_the_members() -> None:
    reader = MemberReader([("meta", "stream"), ("n",)])

    values = reader.read(b'{"n": 1.10, "meta": {"stream" : "x\\u0041"}, "more": [1]}')

    assert bytes(values[reader.at(("n",))]) == b"1.10"
    assert bytes(values[reader.at(("meta", "stream"))]) == b'"x\\u0041"'


def test_a_member_is_found_however_its_name_is_escaped() -> None:
    reader = MemberReader([("meta", "dt")])

    values = reader.read(b'{"m\\u0065ta": {"d\\u0074": 1}}')

    assert bytes(values[reader.at(("meta", "dt"))]) == b"1"


def test_the_last_of_two_members_of_one_name_is_read() -> None:
    reader = MemberReader([("a", "b")])

    values = reader.read(b'{"a": {"b": 1}, "a": {"b": 2, "b": 3}}')

    assert bytes(values[reader.at(("a", "b"))]) == b"3"


def test_what_lies_below_a_value_that_is_no_object_is_blocked() -> None:
    reader = MemberReader([("a", "b", "c")])

    values = reader.read(b'{"a": null}')

    assert values[reader.at(("a", "b"))] is BLOCKED
    assert values[reader.at(("a", "b", "c"))] is BLOCKED


@pytest.mark.parametrize("raw", [b"1", b"null", b"[]", b'"x"'])
def test_what_is_no_object_raises_a_validation_error(raw: bytes) -> None:
    with pytest.raises(msgspec.ValidationError):
        MemberReader([("a",)]).read(raw)


@given(paths=PATHS, event=st.dictionaries(NAMES, VALUES, max_size=5))
def test_any_paths_of_any_event_are_read_as_a_walk_would_find_them(
    paths: list[tuple[str, ...]], event: dict[str, Any]
) -> None:
    reader = MemberReader(paths)

    values = reader.read(json.dumps(event).encode())

    for path in paths:
        found = values[reader.at(path)]
        expected = _walk(event, path)
        if isinstance(found, Raw):
            assert [json.loads(bytes(found))] == expected
        else:
            assert found is (BLOCKED if expected == "blocked" else UNSET)
            assert expected in ("blocked", "missing")


def _walk(value: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        if not isinstance(value, dict):
            return "blocked"
        if name not in value:
            return "missing"
        value = value[name]
    return [value]
