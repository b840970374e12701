"""server.intake.splice: members inserted without touching the rest."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from server.intake.members import Members, Path
from server.intake.splice import Edit, insert_by_path, splice

STRINGS = st.sampled_from(["", "{}", '{"x": 1}', 'a"meta":{', "\\", "é", "\u2028"])
VALUES = st.recursive(
    st.none() | st.integers() | STRINGS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["meta", "x", 'q"'])
    , inner, max_size=3),
    max_leaves=8,
)  # fmt: skip
EVENTS = st.fixed_dictionaries({"meta": st.dictionaries(st.sampled_from(["x", "y"]), VALUES)}, optional={"x": VALUES})


def _edit(raw: bytes, path: Path, members: bytes) -> Edit:
    reader = Members([(*path, "?")])
    return (path, reader.read(raw)[reader.at(path)] if path else None, members)


def test_the_bytes_of_the_client_stay_as_they_are() -> None:
    raw = b'{ "n" : 1.10,"big":18446744073709551617, "meta" : { "stream":"\\u0061"} }'

    spliced = splice(raw, [_edit(raw, ("meta",), b'"dt":"now",'), ((), None, b'"id":7,')])

    assert spliced == (b'{"id":7, "n" : 1.10,"big":18446744073709551617, "meta" : {"dt":"now", "stream":"\\u0061"} }')


def test_an_empty_object_gets_no_comma() -> None:
    raw = b'{"meta": { }}'

    assert splice(raw, [_edit(raw, ("meta",), b'"dt":1,')]) == b'{"meta": {"dt":1 }}'
    assert splice(b"{}", [((), None, b'"dt":1,')]) == b'{"dt":1}'


def test_the_right_one_of_two_equal_objects_is_changed() -> None:
    raw = b'{"old":{"meta":{"stream":"x"}},"meta":{"stream":"x"}}'

    spliced = splice(raw, [_edit(raw, ("meta",), b'"dt":1,')])

    assert json.loads(spliced) == {"old": {"meta": {"stream": "x"}}, "meta": {"dt": 1, "stream": "x"}}


def test_the_last_of_two_members_of_one_name_is_changed() -> None:
    raw = b'{"meta":{"a":1},"meta":{"a":2}}'

    assert json.loads(splice(raw, [_edit(raw, ("meta",), b'"dt":1,')]))["meta"] == {"dt": 1, "a": 2}


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

    fast = splice(raw, [_edit(raw, ("meta",), b'"new":[1],'), ((), None, b'"top":2,')])
    slow = insert_by_path(insert_by_path(raw, ("meta",), b'"new":[1],'), (), b'"top":2,')

    assert json.loads(fast) == json.loads(slow) == {**event, "top": 2, "meta": {**event["meta"], "new": [1]}}
