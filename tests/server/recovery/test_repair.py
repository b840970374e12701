"""Repairs of refused events: each changes one member and no byte of the others."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.errors import UsageError
from server.recovery.members import edit, member, text_at
from server.recovery.repair import path_of, repaired, repairs_of

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("repair", "before", "after"),
    [
        ("set .a 5", '{"a":1,"b":2}', '{"a":5,"b":2}'),
        ('set .m.a {"x": 1}', '{"b":2}', '{"b":2,"m":{"a":{"x": 1}}}'),
        ("default .a 0", '{"b":2}', '{"b":2,"a":0}'),
        ("default .a 0", '{"a":null}', '{"a":null}'),
        ("delete .m.a", '{"m":{"a":1,"b":1e400}}', '{"m":{"b":1e400}}'),
        ("delete .m.a", '{"m":5}', '{"m":5}'),
        ("delete .m.a", "{}", "{}"),
        ('delete "a b"."c.d"', '{"a b":{"c.d":1}}', '{"a b":{}}'),
        ("rename .pageId .page.id", '{"pageId":1.10}', '{"page":{"id":1.10}}'),
        ("rename .a .b", '{"a":1,"b":2}', '{"a":1,"b":2}'),
        ("rename .a .b.c", '{"a":1,"b":2}', '{"a":1,"b":2}'),
        ("integer .a", '{"a":"12345678901234567890123"}', '{"a":12345678901234567890123}'),
        ("integer .a", '{"a":12.000}', '{"a":12}'),
        ("integer .a", '{"a":" -3 "}', '{"a":-3}'),
        ("integer .a", '{"a":12.5}', '{"a":12.5}'),
        ("integer .a", '{"a":"012"}', '{"a":"012"}'),
        ("integer .a", '{"a":true}', '{"a":true}'),
        ("number .a", '{"a":"1.50e3"}', '{"a":1.50e3}'),
        ("number .a", '{"a":"NaN"}', '{"a":"NaN"}'),
        ("string .a", '{"a":1.10}', '{"a":"1.10"}'),
        ("string .a", '{"a":false}', '{"a":"false"}'),
        ("string .a", '{"a":{}}', '{"a":{}}'),
        ("boolean .a", '{"a":"true"}', '{"a":true}'),
        ("boolean .a", '{"a":0}', '{"a":false}'),
        ("boolean .a", '{"a":"yes"}', '{"a":"yes"}'),
        ("boolean .a", '{"a":[1]}', '{"a":[1]}'),
        ("cut .a 3", '{"a":"äöüß"}', '{"a":"äöü"}'),
        ("cut .a 3", '{"a":"ab"}', '{"a":"ab"}'),
        ("cut .a 0", '{"a":"ab"}', '{"a":""}'),
    ],
)
def test_a_repair_changes_what_it_names(repair: str, before: str, after: str) -> None:
    assert repaired(before.encode(), repairs_of([repair])) == after.encode()


def test_repairs_are_made_in_their_order() -> None:
    repairs = repairs_of(["rename .b .a", "integer .a", "default .a 7"])

    assert repaired(b'{"b":"5"}', repairs) == b'{"a":5}'


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("drop .a", "begin with one of boolean, cut, default, delete"),
        ("delete", "write delete PATH"),
        ("delete .a .b", "write delete PATH"),
        ("delete .a[0]", "write delete PATH"),
        ("set .a enwiki", 'write set PATH JSON, such as set .wiki "enwiki"'),
        ("rename .a .a.b", "neither inside the other"),
        ("rename .a", "neither inside the other"),
        ("cut .a -1", "write cut PATH CHARACTERS"),
        ("cut .a some", "write cut PATH CHARACTERS"),
        ("integer .a 5", "write integer PATH"),
    ],
)
def test_a_mistake_in_a_repair_says_how_it_is_written(text: str, why: str) -> None:
    with pytest.raises(UsageError) as failed:
        repairs_of([text])

    assert why in str(failed.value)


def test_too_many_repairs_are_refused() -> None:
    with pytest.raises(UsageError):
        repairs_of(["delete .a"] * 33)


@given(st.dictionaries(st.text(max_size=3), JSON, max_size=4), st.lists(st.text(max_size=3), min_size=1, max_size=3))
def test_setting_a_member_changes_no_other(event: dict[str, object], names: list[str]) -> None:
    raw = json.dumps(event).encode()
    path = path_of(".".join(json.dumps(name) for name in names))
    expected = json.loads(raw)
    inside, is_possible = expected, True
    for name in path[:-1]:
        inside = inside.setdefault(name, {})
        is_possible = is_possible and isinstance(inside, dict)
        if not is_possible:
            break
    after = repaired(raw, repairs_of([f"set {'.'.join(json.dumps(name) for name in names)} 123"]))

    if is_possible:
        inside[path[-1]] = 123
        assert json.loads(after) == expected
    else:
        assert after == raw


def test_members_are_read_where_objects_lead_to_them() -> None:
    raw = b'{"a":{"b":"x"},"c":[1],"c":"last"}'

    assert (text_at(raw, ("a", "b")), text_at(raw, ("c",)), text_at(raw, ("c", "d"))) == ("x", "last", None)
    assert (member(b"no JSON", ("a",)), text_at(raw, ("a",))) == (None, None)
    assert edit(raw, ("x", "y"), lambda before: None) == raw
