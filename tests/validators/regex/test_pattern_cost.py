"""No text makes a search slow: what could be, an automaton runs, or the schema is refused."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.harness.redos import ATTACKS
from validators.regex import backtracking, ecma262, pattern
from validators.regex.pattern import PatternError


@pytest.mark.parametrize(("text", "attack"), ATTACKS, ids=[text for text, _ in ATTACKS])
def test_a_slow_pattern_is_refused_or_run_by_the_linear_engine(text: str, attack: Callable[[int], str]) -> None:
    assert pattern.danger(text) is not None or not isinstance(pattern.compiled(text), re.Pattern)


@pytest.mark.parametrize("text", [text for text, _ in ATTACKS if pattern.danger(text) is None])
def test_the_linear_engine_ends_on_a_million_characters(text: str) -> None:
    attack = dict(ATTACKS)[text]

    assert not pattern.compiled(text).search(attack(1_000_000))


@pytest.mark.parametrize(
    ("text", "is_cheap"),
    [
        ("^[0-9a-z]{20}$", True),
        ("^[a-fA-F0-9]{8}(-[a-fA-F0-9]{4}){3}-[a-fA-F0-9]{12}$", True),
        (r"^\d{1,2}\/\d{1,7}\/\d{1,7}$", True),
        (r"^([0-9]{1,3}\.){3}[0-9]{1,3}$", True),
        (r"^swift\.(.+\.)?upload-complete$", True),
        ("^[a-z]+$", True),
        ("[a-z]{3}", True),
        ("^[a-z]{1,255}$", True),
        ("^a|^b", True),
        ("^a+", True),
        ("^a|b+", False),
        ("a+b", False),
        ("^[$a-z]+[a-z0-9_]*$", False),
        ("^.*a{500}$", False),
        ("(ab)+c", False),
        ("^(?:a|b)*$", False),
    ],
)
def test_the_bound_on_steps_tells_which_engine_runs_a_pattern(text: str, is_cheap: bool) -> None:
    assert ecma262.read(text).is_cheap is is_cheap
    assert isinstance(pattern.compiled(text), re.Pattern) is is_cheap


def test_steps_add_up_as_backtracking_takes_them() -> None:
    one, text = backtracking.ONE, backtracking.TEXT

    assert backtracking.then(one, one) == (2, 1)
    assert backtracking.either(one, one) == (2, 2)
    assert backtracking.repeated(one, 1, 3) == (4, 3)
    assert backtracking.repeated(one, 0, float("inf")) == (text + 1, text + 1)
    assert backtracking.repeated(backtracking.either(one, one), 0, 2) == (7, 7)
    assert backtracking.repeated(backtracking.either(one, one), 0, 65).steps == float("inf")


def test_what_neither_engine_can_bound_is_named() -> None:
    assert pattern.danger("(?=.*a.*a)b") == "can be searched for by backtracking alone, and that can take very long"
    assert pattern.danger("(?=a)b") is None
    assert pattern.danger("a{2000}b*c*") is not None  # RE2 repeats a thousand times at most.


_pieces = st.sampled_from(
    ["a", "b", ".", "[ab]", "[^a]", r"\w", r"\S", r"\s", "é", "😀", "^", "$", r"\b", "[]", "[^]", r"\n", "|", "-"]
)
_patterns = st.recursive(
    _pieces,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=4).map("".join),
        st.tuples(inner, st.sampled_from(["*", "+", "?", "{1,3}", "{2}", "*?", "{0,2}?"])).map(
            lambda each: f"(?:{each[0]}){each[1]}"
        ),
        inner.map(lambda each: f"({each})"),
    ),
    max_leaves=6,
)


@given(_patterns, st.lists(st.text("ab\né😀 _-!\u2028\x00", max_size=8), max_size=5))
def test_both_engines_give_the_same_verdict(text: str, values: list[str]) -> None:
    try:
        found = ecma262.read(text)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            by_backtracking = re.compile(found.in_python)
    except (PatternError, re.error):
        return
    assert found.in_re2 is not None
    linear = pattern._linear(found.in_re2)
    assert linear is not None

    assert [linear.search(each) for each in values] == [by_backtracking.search(each) is not None for each in values]
