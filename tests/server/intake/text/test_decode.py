"""server.intake.text.decode: a body becomes the raw text of its events, or words for the client."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.intake.text.cut import split
from server.intake.text.decode import EMPTY, NOT_EVENTS, _has_duplicate_names, has_duplicate_names


def test_one_object_is_one_event() -> None:
    assert split(b' {"a": 1.10}\r\n') == [b'{"a": 1.10}']


def test_a_byte_order_mark_is_skipped() -> None:
    assert split(b' \xef\xbb\xbf {"a":1}') == [b'{"a":1}']
    assert split(b"\xef\xbb\xbf[1,2]", 1) == 2


def test_an_array_gives_each_element_untouched() -> None:
    assert split(b'[ {"a":1.10} ,2, "x" ]') == [b'{"a":1.10}', b"2", b'"x"']


@pytest.mark.parametrize("body", [b"", b" \n", b"[]", b" [ ] "])
def test_nothing_is_an_empty_body(body: bytes) -> None:
    assert split(body) == EMPTY


@pytest.mark.parametrize("body", [b"1", b'"x"', b"null", b"true"])
def test_a_scalar_is_no_event(body: bytes) -> None:
    assert split(body) == NOT_EVENTS


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"a":', "truncated"),
        (b'{"a":1}x', "trailing characters"),
        (b'[{"a":1},]', "byte 9"),
        (b'{"a":NaN}', "byte 5"),
        (b'{"a":"\xff"}', "byte 6 is not UTF-8"),
        (b"\xef\xbb\xbf\xef\xbb\xbf{}", "byte 0"),
        (b"\xef\xbb\xbf{", "truncated"),
        (b"[" * 100_000, "truncated"),
        (b'{"a":' * 100_000, "truncated"),
    ],
)
def test_what_is_not_json_is_said_with_its_place(body: bytes, reason: str) -> None:
    words = split(body)

    assert isinstance(words, str)
    assert reason in words


def test_half_of_a_surrogate_pair_is_the_fault_of_one_event() -> None:
    body = b'[ {"a":"x\\ud800"} ,\n7, {"b":"\\ud83d\\ude00", "n":%s} ]' % (b"9" * 5000)

    assert split(body) == [b'{"a":"x\\ud800"}', b"7", b'{"b":"\\ud83d\\ude00", "n":%s}' % (b"9" * 5000)]
    assert split(b'{"a":"\\udc00"}') == [b'{"a":"\\udc00"}']


@pytest.mark.parametrize(
    "body",
    [
        b'["\\ud800"',
        b'["\\ud800",]',
        b'["\\ud800" 1]',
        b'["\\ud800"]x',
        b'[{"\\ud800"}]',
        b'{"a":"\\ud83d\\ude00"',
        b'{"a":"\\ud800","b":NaN}',
        b'["\\ud800",' + b"[" * 90_000,
    ],
)
def test_half_of_a_pair_excuses_no_other_fault(body: bytes) -> None:
    assert isinstance(split(body), str)


@pytest.mark.parametrize("raw", [b'{"a":1,"a":1}', b'{"a":{"b":1,"\\u0062":2}}', b'{"a":[{"x":1,"x":2}]}'])
def test_a_name_that_occurs_twice_is_found_at_any_depth(raw: bytes) -> None:
    assert has_duplicate_names(raw)


@pytest.mark.parametrize("raw", [b'{"a":1,"b":{"a":1}}', b'{"a":[{"a":1},{"a":1}]}', b'{"a":1e999}'])
def test_a_name_may_occur_in_several_objects(raw: bytes) -> None:
    assert not has_duplicate_names(raw)


_spelled = st.text('a:b"\\/é<', max_size=3).flatmap(
    lambda text: st.sampled_from(
        [
            json.dumps(text),
            json.dumps(text, ensure_ascii=False),
            "".join(['"', *(f"\\u{ord(each):04x}" for each in text), '"']),
            "".join(['"', *(f"\\u{ord(each):04X}" for each in text), '"']),
            json.dumps(text).replace("/", "\\/"),
        ]
    )
)
_texts = st.recursive(
    st.one_of(_spelled, st.sampled_from(["1", "-0.0", "1e5", "9" * 30, "true", "null", '"\\ud800"'])),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]"),
        st.lists(st.tuples(_spelled, inner), max_size=4).map(
            lambda members: "{" + ",".join(f"{name} :{value}" for name, value in members) + "}"
        ),
    ),
    max_leaves=12,
)


@given(_texts)
def test_counting_colons_finds_what_looking_at_every_object_finds(text: str) -> None:
    raw = text.encode()

    assert has_duplicate_names(raw) == _has_duplicate_names(raw)
