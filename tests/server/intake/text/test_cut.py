"""server.intake.text.cut: bodies are taken apart in small steps, no tree is built, and one odd event costs no other."""

from __future__ import annotations

import json
import random
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.intake.forms.piece import MAX_SHOWN_CHARS, Piece
from server.intake.text import cut
from server.intake.text.cut import Elements, split
from server.intake.text.decode import EMPTY, NOT_EVENTS
from server.intake.text.event_limits import DECODERS_DEPTH

MOST_BYTES = 1_000
DEEP = b"[" * 20_000 + b"]" * 20_000  # Too deep for the decoders of every Python.
HALF = b'{"a":"\\ud800","b":"x\\\\ud"}'


def taken_apart(body: bytes, most: int = 10_000, max_event_bytes: int = MOST_BYTES) -> Any:
    """What a large body gives."""
    elements = Elements(body, most, max_event_bytes)
    for _ in elements:
        pass
    return elements.raws if elements.fault is None else elements.fault


def told(raws: list[bytes | Piece]) -> list[Any]:
    """The verdict of each; the text where there is none."""
    return [raw.verdict.error_type if isinstance(raw, Piece) and raw.verdict else raw for raw in raws]


def test_the_decoder_says_where_a_value_ends_and_stops_there() -> None:
    for text, end in ((b'{"a":1},{"b', 7), (b"12 , ", 3), (b'"x"\n]', 4)):
        with pytest.raises(msgspec.DecodeError) as caught:
            cut._decode_one(text)
        assert str(caught.value) == f"{cut.TRAILING}{end + 1})"
    with pytest.raises(msgspec.DecodeError) as caught:
        cut._decode_one(b'{"a":[1')
    assert str(caught.value) == cut.TRUNCATED


_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text('ab"\\]}[{,é\ud800', max_size=9)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text('a"}', max_size=3), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(st.lists(_values, min_size=1, max_size=7), st.sampled_from([None, 1]), st.sampled_from([5, 16, 100]))
def test_elements_are_those_of_the_array_whatever_is_in_them(
    values: list[Any], indent: int | None, slice_: int
) -> None:
    body = json.dumps(values, indent=indent).encode()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(cut, "SLICE_BYTES", slice_)
        raws = taken_apart(body)
        passed_over = taken_apart(body, max_event_bytes=1)

    assert [json.loads(raw) for raw in raws] == values
    shown = [json.loads(json.loads(raw.raw)) if isinstance(raw, Piece) else json.loads(raw) for raw in passed_over]
    assert shown == values


@pytest.mark.parametrize("body", [b"", b" \n", b"[]", b"\xef\xbb\xbf [ ] "])
def test_nothing_is_an_empty_body(body: bytes) -> None:
    assert taken_apart(body) == EMPTY


def test_a_scalar_is_no_event() -> None:
    assert taken_apart(b'"x"') == NOT_EVENTS


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'[{"a":1}', "truncated"),
        (b'[{"a":', "truncated"),
        (b'{"a":1} x', "trailing characters (byte 8)"),
        (b'[{"a":1},]', "byte 9"),
        (b'[1 , {"a":tru}]', "byte 11"),
        (b"[1 2]", "expected ',' or ']' (byte 3)"),
        (b'[1,"\xff"]', "byte 4 is not UTF-8"),
        (b'[{"a":"\\ud800","b":NaN}]', "invalid"),
        (b'["\\ud800",', "truncated"),
        (b'["\\ud800"}', "byte 9"),
        (b"[" * 5_000, "truncated"),
        (b'["' + b"x" * 5_000, "truncated"),
    ],
)
def test_what_is_not_json_is_said_with_its_place(body: bytes, reason: str) -> None:
    assert reason in taken_apart(body)


@pytest.mark.parametrize("odd", [DEEP, b'{"a":%b}' % DEEP], ids=["array", "object"])
def test_an_event_nested_too_deeply_is_too_large_and_costs_no_other(odd: bytes) -> None:
    expected = [b"1", "event_too_large", b"3"]
    whole = b"[1," + odd + b" ,3]"

    assert told(split(whole)) == expected  # type: ignore[arg-type]
    raws = taken_apart(whole, max_event_bytes=100_000)
    assert told(raws) == expected
    assert str(DECODERS_DEPTH) in raws[1].verdict.text
    assert json.loads(raws[1].raw) == odd.decode()


def test_half_a_surrogate_pair_costs_no_other_in_a_body_of_any_size() -> None:
    many = [b'{"n":%d,"x":"%b"}' % (number, b"x" * 50) for number in range(6_000)]
    body = b"[" + b",".join([*many, HALF, *many[:2]]) + b"]"

    assert len(body) > cut.AT_ONCE_BYTES
    assert split(body) == [*many, HALF, *many[:2]]


def test_a_large_event_is_not_looked_at_and_shown_in_short() -> None:
    noise = b'["noise",[' + b"{}," * 90_000 + b"{}]]"
    raws = taken_apart(b"[7," + noise + b',"' + b'\\\\\\"' * 900 + b'",' + b"9" * 5_000 + b",7]")

    assert told(raws) == [b"7", *["event_too_large"] * 3, b"7"]
    assert len(json.loads(raws[1].raw)) == MAX_SHOWN_CHARS


def test_every_step_gives_the_decoder_no_more_than_an_event(monkeypatch: pytest.MonkeyPatch) -> None:
    given_bytes: list[int] = []
    decode = cut._decode_one

    def counted(window: Any) -> Any:
        given_bytes.append(len(window))
        return decode(window)

    monkeypatch.setattr(cut, "_decode_one", counted)
    elements = Elements(b'[["noise",[' + b"{}," * 200_000 + b"{}]]]", 10_000, 50_000)
    steps = sum(1 for _ in elements)

    assert told(elements.raws) == ["event_too_large"]
    assert max(given_bytes) <= 50_001
    assert len(given_bytes) == 1
    assert steps >= 600_000 // cut.SLICE_BYTES


def test_no_more_elements_are_made_than_may_be_but_for_a_chunk() -> None:
    elements = Elements(b"[" + b"1," * 2_000_000 + b"1]", 100, MOST_BYTES)
    for _ in elements:
        assert len(elements.raws) <= 100 + cut.CHUNK_BYTES

    assert isinstance(elements.fault, int)
    assert not elements.raws


def test_elements_that_look_alike_are_taken_many_at_a_time_and_come_out_the_same() -> None:
    dice = random.Random(7)
    inner = [{"$schema": "/a/1.0.0", "list": [{"$schema": "/a/1.0.0"}] * dice.randrange(3)} for _ in range(4_000)]
    for separators in ((",", ":"), (" ,\n", ": ")):
        raws = taken_apart(json.dumps(inner, separators=separators).encode())
        assert [json.loads(raw) for raw in raws] == inner
