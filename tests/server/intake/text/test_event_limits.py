"""Values, nesting and digits of an event: at each bound, one below and one above, in whatever company."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.config.limit_settings import Limits
from server.intake.text import event_limits
from server.intake.text.event_limits import DECODERS_DEPTH, DECODERS_STOP, EventLimits
from tests.steps import steps_of

LIMITS = Limits(max_json_depth=5, max_json_nodes=50, max_number_digits=20)


def over(raw: bytes) -> str | None:
    """As the pipeline asks."""
    return said_of(raw, LIMITS)


def said_of(raw: bytes, limits: Limits) -> str | None:
    bounds = EventLimits(limits)
    return bounds.over(raw) if len(raw) > bounds.sure_bytes else None


PADS = [
    b"",
    b'"]]]]]]]]]]]]",',
    b'"{{{{{{{{{{{{[[[[",',
    b'"\\\\",',
    b'"\\"[[[[[[[[",',
    b"[[]],[],{},",
    b'"1' + b"0" * 60 + b'",',
]


@pytest.mark.parametrize("pad", PADS)
@pytest.mark.parametrize(("depth", "is_over"), [(4, False), (5, False), (6, True), (30, True)])
@pytest.mark.parametrize("kind", ["array", "object", "both"])
def test_nesting(pad: bytes, depth: int, is_over: bool, kind: str) -> None:
    opening, closing = {"array": (b"[", b"]"), "object": (b'{"a":', b"}"), "both": (b'[{"a":', b"}]")}[kind]
    levels = (depth - 1) // (2 if kind == "both" else 1)
    is_over = is_over and 1 + levels * (2 if kind == "both" else 1) > 5
    said = over(b"[" + pad + opening * levels + b"0" + closing * levels + b"]")

    assert said == ("the event is nested more than 5 deep" if is_over else None)


@pytest.mark.parametrize(("count", "is_over"), [(48, False), (49, False), (50, True), (5000, True)])
def test_values(count: int, is_over: bool) -> None:
    members = ",".join(f'"{at}": "a,b,[,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,"' for at in range(count))
    for raw in (b"[" + b",".join([b"0"] * count) + b"]", b"{" + members.encode() + b"}"):
        assert over(raw) == ("the event has more than 50 values" if is_over else None)


@pytest.mark.parametrize("before", range(0, 45, 4))
@pytest.mark.parametrize(("digits", "is_over"), [(19, False), (20, False), (21, True), (22, True), (400, True)])
@pytest.mark.parametrize("shape", [b"%b", b"-%b", b"%b.5", b"1.%b", b"1e%b", b"%b,1"])
def test_digits(before: int, digits: int, is_over: bool, shape: bytes) -> None:
    """Wherever they stand."""
    raw = b'["' + b"x" * before + b'",' + shape % (b"7" * digits) + b"]"

    assert over(raw) == ("the event has a number of more than 20 digits in a row" if is_over else None)


def test_digits_of_a_string_are_no_number() -> None:
    assert over(b'{"a":"' + b"7" * 500 + b'","b":"x\\"' + b"8" * 500 + b'"}') is None


def _depth(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    return isinstance(value, dict | list) + max(map(_depth, inner), default=0)


def _values(value: Any) -> int:
    if not isinstance(value, dict | list):
        return 1
    inner = value.values() if isinstance(value, dict) else value
    return 1 + (sum(map(_values, inner)) if value else 1)


VALUES = st.recursive(
    st.integers(-(10**25), 10**25) | st.text(alphabet='[]{},"\\ 0a', max_size=40) | st.booleans() | st.none(),
    lambda inner: (
        st.lists(inner, max_size=8) | st.dictionaries(st.text(alphabet='{["\\,a', max_size=5), inner, max_size=6)
    ),
    max_leaves=60,
)


@pytest.mark.slow(reason="it walks through many generated values")
@given(VALUES, st.sampled_from([None, 1]))
def test_it_is_what_a_walk_through_the_value_finds(value: Any, indent: int | None) -> None:
    raw = json.dumps([value], indent=indent).encode()
    digits = max((len(str(abs(one))) for one in _leaves(value) if type(one) is int), default=0)
    is_over = _depth([value]) > 5 or _values([value]) > 50 or digits > 20

    assert (over(raw) is not None) == is_over


def _leaves(value: Any) -> list[Any]:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return [value] if inner is None else [leaf for one in inner for leaf in _leaves(one)]


@pytest.mark.parametrize(
    ("raw", "word"),
    [
        (b"[" * 500_000 + b"]" * 500_000, "values"),
        (b"[" * 100_000 + b"]" * 100_000, "deep"),
        (b"[" + b"{}," * 300_000 + b"{}]", "values"),
        (b"[" + b"9" * 1_000_000 + b"]", "digits"),
        (b"[" + (b"9" * 990 + b",") * 1_000 + b"0]", ""),
        (b'["' + b"\\\\" * 500_000 + b'"]', ""),
        (b'["' + b"[" * 1_000_000 + b'"]', ""),
    ],
)
def test_the_worst_megabyte_takes_milliseconds(raw: bytes, word: str) -> None:
    """With a power more it would be minutes, which no test has."""
    said = said_of(raw, Limits(max_json_depth=500, max_json_nodes=250_000))

    assert word in (said or "") and bool(said) == bool(word)


def test_a_megabyte_of_escapes_takes_no_memory_of_its_own() -> None:
    raw = b'["' + b"\\u00e9" * 150_000 + b'",' + b"1," * 200 + b"1]"
    limits = Limits(max_json_nodes=300_000, max_json_depth=64, max_number_digits=20)
    bounds = EventLimits(limits)
    Path("/proc/self/clear_refs").write_text("5")  # Forgets the peaks so far.
    before_kb = _peak_kb()
    assert bounds._look(raw) is None

    assert _peak_kb() - before_kb < 20_000


@pytest.mark.parametrize("unit", [rb"\"", rb"\n\"", rb"a\""])
@pytest.mark.parametrize("end", [b"}", b"x}", b"\\}"])
def test_a_string_without_an_end_is_passed_once(unit: bytes, end: bytes) -> None:
    """A quote at which a search fails stays, and the search has read all that follows to find that out."""
    body = b'{"' + unit * 300_000 + end

    assert b'"' not in event_limits._STRING.sub(b"", body)
    assert said_of(body, Limits()) is None


def test_no_more_is_looked_at_once_there_are_too_many() -> None:
    """A string costs 0.1 µs to take out, and an event may have more than a hundred thousand."""
    raw = b"{" + b'"k":"",' * 100_000 + b'"k":0}'
    limits = EventLimits(Limits(max_json_nodes=4_000))

    assert limits.over(raw) == "the event has more than 4000 values"
    assert steps_of(lambda: limits.over(raw)) < 200


def _peak_kb() -> int:
    found = re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1])


def test_from_the_decoders_own_bound_on_it_is_counted_only_where_they_do_not_stop() -> None:
    """The pipeline answers for what they refuse (test_pipeline)."""
    said = None if DECODERS_STOP else f"the event is nested more than {DECODERS_DEPTH} deep"
    assert said_of(b"[" * 5000 + b"]" * 5000, Limits()) == said
