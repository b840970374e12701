"""Which settings fulfil which constraints, as the existing system has it, and what cannot be meant."""

from __future__ import annotations

from typing import Any

import pytest

from server.catalog.constraints import MAX_CONSTRAINTS, ConstraintError, matches, parse
from tests.steps import steps_of

SETTINGS: dict[str, Any] = {
    "text": "hello",
    "none": None,
    "yes": True,
    "no": False,
    "words": "true",
    "producers": {"foo": {"foo_setting": False}, "bar": True, "baz": 0.1, "qux": ["hello", "world"], "n.m": 3},
    "foo": {},
    "maps": [{"a": 1, "b": 2}],
    "whole": 1.0,
    "topics": ["a.s", "b.s"],
}


def fits(*items: str, stream: str = "s") -> bool:
    return matches(SETTINGS, parse(items), lambda name: name == stream)


@pytest.mark.parametrize(
    ("item", "answer"),
    [
        ("text=hello", True),
        ("text=Hello", False),
        ("text=", False),
        ("unrecognized=true", False),
        ("none=", False),
        ("none=null", False),
        ("yes=1", True),
        ("yes=true", True),
        ("yes=True", False),
        ("yes=", False),
        ("no=", True),
        ("no=false", True),
        ("no=0", False),
        ("no=1", False),
        ("words=true", True),
        ("words=1", False),
        ("producers[bar]=1", True),
        ("producers[bar]=true", True),
        ("producers[foo][foo_setting]=", True),
        ("producers[foo][foo_setting]=false", True),
        ("producers[foo][foo_setting]=0", False),
        ("producers[baz]=0.1", True),
        ("producers[baz]=0.10", False),
        ("producers[n.m]=3", True),
        ("producers[qux][]=world", True),
        ("producers[qux][0]=world", True),
        ("producers[qux]=world", False),
        ("producers[qux][1]=world", False),
        ("foo[]=hello", False),
        ("producers=1", False),
        ("text[a]=hello", False),
        ("text[]=hello", False),
        ("maps[0][a]=1", True),
        ("maps[0][a]=2", False),
        ("whole=1", True),
        ("whole=1.0", True),
        ("topics[]=a.s", True),
        ("stream=s", True),
        ("stream=t", False),
        ("text=hel%6Co", True),
        ("yes=1&text=hello", True),
        ("yes=1&text=other", False),
    ],
)
def test_one_constraint(item: str, answer: bool) -> None:
    assert fits(item) is answer


def test_all_constraints_must_be_fulfilled() -> None:
    assert fits("text=hello", "yes=1", "stream=s")
    assert not fits("text=hello", "yes=", "stream=s")
    assert fits("producers[foo][foo_setting]=", "producers[bar]=1")
    assert fits()


def test_a_key_that_comes_twice_asks_for_a_list_with_both() -> None:
    assert fits("producers[qux]=hello", "producers[qux]=world")
    assert fits("producers[qux][]=world", "producers[qux][]=hello")
    assert not fits("producers[qux][]=hello", "producers[qux][]=world", "producers[qux][]=quux")
    assert not fits("text=hello", "text=hello")


def test_a_blank_and_a_plus_are_read_as_forms_write_them() -> None:
    assert parse(["a+b=c+d%2B"]) == {"a b": "c d+"}
    assert parse(["", "a=b=c"]) == {"a": "b=c"}


@pytest.mark.parametrize(
    ("items", "reason"),
    [
        (["text"], "has no `=`"),
        (["=x"], "a key that cannot be read"),
        (["a[b=x"], "a key that cannot be read"),
        (["a]b=x"], "a key that cannot be read"),
        (["a" + "[b]" * 10 + "=x"], "deeper than 10"),
        (["a=1", "a[b]=2"], "both for a value and for a map"),
        (["a[b]=1", "a=2"], "both for a value and for a map"),
        (["stream=a", "stream=b"], "streams=a|b"),
        (["stream[]=a"], "streams=a|b"),
        (["&".join(f"a{n}=1" for n in range(201))], "more than 200"),
    ],
)
def test_what_cannot_be_meant_is_said(items: list[str], reason: str) -> None:
    with pytest.raises(ConstraintError) as told:
        parse(items)

    assert reason in str(told.value)


@pytest.mark.parametrize("item", ["a={}", "a[]={}", "a[{}]=x", "a[b{}][c]=x", "a[][c]={}", "a={}%2B", "a=x&a=y{}"])
def test_reading_constraints_takes_steps_in_proportion(item: str) -> None:
    """Every 1,000 alternatives of one key cost 110 ms when the place of each was looked for among all before it."""
    few = steps_of(lambda: parse([item.format(number) for number in range(10)]))
    many = steps_of(lambda: parse([item.format(number) for number in range(100)]))

    assert many < 11 * few


def test_comparing_a_list_takes_steps_in_proportion() -> None:
    settings = {"topics": [f"t{number}" for number in range(50)]}

    def steps(most: int) -> int:
        wanted = parse([f"topics[]=t{number % 50}" for number in range(most)])
        return steps_of(lambda: matches(settings, wanted, str.isdigit))

    assert steps(MAX_CONSTRAINTS) < steps(1) + 20 * MAX_CONSTRAINTS


@pytest.mark.parametrize("index", ["9" * 5_000, "9" * 19, "007", "-1", "\u0663", "1_0"])
def test_what_is_no_index_is_a_name(index: str) -> None:
    """PHP's arrays take canonical decimal integers of 64 bits for indices, and all else for names (its manual,
    Arrays); int() here refuses more than 4,300 digits."""
    assert parse([f"a[{index}]=x", "a[]=y"]) == {"a": {index: "x", "0": "y"}}


def test_the_next_place_is_behind_the_highest_index() -> None:
    assert parse(["a[7]=x", "a[]=y"]) == {"a": {"7": "x", "8": "y"}}
    assert parse(["a[][b]=x", "a[][b]=y"]) == {"a": [{"b": "x"}, {"b": "y"}]}
