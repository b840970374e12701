"""server.intake.text.splice: members inserted without touching the rest."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.intake.text.members import Path
from server.intake.text.splice import insert_by_path, needle_of, splice

STRINGS = st.sampled_from(["", "{}", '{"x": 1}', 'a"meta":{', "\\", "é", "\u2028"])
VALUES = st.recursive(
    st.none() | st.integers() | STRINGS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["meta", "x", 'q"'])
    , inner, max_size=3),
    max_leaves=8,
)  # fmt: skip
EVENTS = st.fixed_dictionaries({"meta": st.dictionaries(st.sampled_from(["x", "y"]), VALUES)}, optional={"x": VALUES})


META: Path = ("meta",)


def _splice(raw: bytes, *edits: tuple[Path, bytes]) -> bytes:
    return splice(raw, [(path, needle_of(path), members) for path, members in edits])


def test_the_bytes_of_the_client_stay_as_they_are() -> None:
    raw = b'{ "n" : 1.10,"big":18446744073709551617, "meta" : { "stream":"\\u0061"} }'

    spliced = _splice(raw, (META, b'"dt":"now",'), ((), b'"id":7,'))

    assert spliced == (b'{"id":7, "n" : 1.10,"big":18446744073709551617, "meta" : {"dt":"now", "stream":"\\u0061"} }')


def test_an_empty_object_gets_no_comma() -> None:
    raw = b'{"meta": { }}'

    assert _splice(raw, (META, b'"dt":1,')) == b'{"meta": {"dt":1 }}'
    assert _splice(b"{}", ((), b'"dt":1,')) == b'{"dt":1}'


def test_the_right_one_of_two_equal_objects_is_changed() -> None:
    raw = b'{"old":{"meta":{"stream":"x"}},"meta":{"stream":"x"}}'

    spliced = _splice(raw, (META, b'"dt":1,'))

    assert json.loads(spliced) == {"old": {"meta": {"stream": "x"}}, "meta": {"dt": 1, "stream": "x"}}


def test_the_last_of_two_members_of_one_name_is_changed() -> None:
    raw = b'{"meta":{"a":1},"meta":{"a":2}}'

    assert json.loads(_splice(raw, (META, b'"dt":1,')))["meta"] == {"dt": 1, "a": 2}


@pytest.mark.parametrize(
    "raw",
    [
        rb'{"m\u0065ta":{"a":1},"x":{"meta":{}}}',
        rb'{"x":{"meta":{}},"\u006deta":{"a":1}}',
        b'{"x":"meta","meta":{"a":1}}',
        b'{"meta":{"a":1},"x":["meta",{"meta":{"a":1}}]}',
        rb'{"meta":{"a":1},"x":"say \"meta"}',
    ],
)
def test_a_name_that_stands_there_twice_or_in_other_letters_is_not_mistaken(raw: bytes) -> None:
    event = json.loads(raw)

    assert json.loads(_splice(raw, (META, b'"dt":1,'))) == {**event, "meta": {"dt": 1, **event["meta"]}}


def test_a_name_outside_ascii_is_found_in_any_spelling() -> None:
    raw = '{"\\u0436":{"a":1},"note":"ж","other":{"b":2}}'.encode()

    spliced = _splice(raw, (("ж",), b'"dt":1,'))

    assert json.loads(spliced) == {"ж": {"dt": 1, "a": 1}, "note": "ж", "other": {"b": 2}}


def test_parents_that_are_absent_are_made() -> None:
    assert json.loads(insert_by_path(b'{"a":1}', ("http", "request_headers"), b'"ua":"x",')) == {
        "a": 1,
        "http": {"request_headers": {"ua": "x"}},
    }


def test_an_ancestor_that_is_no_object_is_left_alone() -> None:
    assert json.loads(insert_by_path(b'{"meta":null}', ("meta",), b'"dt":1,')) == {"meta": None}


@given(event=EVENTS, spaces=st.sampled_from([(",", ":"), (", ", ": "), (" ,\n", " :\t")]))
def test_the_fast_way_gives_the_same_event_as_the_slow_way(event: dict[str, Any], spaces: tuple[str, str]) -> None:
    raw = json.dumps(event, separators=spaces).encode()

    fast = _splice(raw, (META, b'"new":[1],'), ((), b'"top":2,'))
    slow = insert_by_path(insert_by_path(raw, ("meta",), b'"new":[1],'), (), b'"top":2,')

    assert json.loads(fast) == json.loads(slow) == {**event, "top": 2, "meta": {**event["meta"], "new": [1]}}
