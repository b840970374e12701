"""The filter language: what each form of it means, and what is said of a text that is no filter."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from server.filter.facts import Fact, Facts, Kind
from server.filter.fault import FilterError
from server.filter.language import compile_filter

EVENT: dict[str, Any] = {
    "$schema": "/mediawiki/page/1.0.0",
    "meta": {"stream": "page.edit", "domain": "en.wikipedia.org", "dt": "2026-11-28T10:00:00Z"},
    "wiki": "enwiki",
    "rev": 42,
    "ratio": 0.5,
    "exact": Decimal("0.10"),
    "minor": False,
    "comment": None,
    "a b": "spaced",
    "has": "member",
    "tags": ["mobile", "visual editor"],
    "slots": [{"role": "main", "size": 10}, {"role": "extra", "size": 99}],
    "matrix": [[1, 2], [3]],
    "verdict": "of the event",
    "count": "12",
}
FACTS = Facts(
    [
        Fact("verdict", Kind.WORD, ("accepted", "invalid", "refused")),
        Fact("status", Kind.NUMBER),
        Fact("at", Kind.TIME),
        Fact("hasty", Kind.FLAG),
        Fact("test", Kind.TEXT),
    ]
)
KNOWN = {"verdict": "invalid", "status": 400, "at": "2026-11-28T10:00:00.500Z", "hasty": True, "test": "abc"}

MATCHES = [
    "",
    "   ",
    "wiki:enwiki",
    'wiki:"enwiki"',
    "wiki:en*",
    "wiki:*wi*",
    "wiki:*",
    "wiki=enwiki",
    "wiki!=dewiki",
    "wiki!=(dewiki, frwiki)",
    "wiki:(dewiki, enwiki)",
    "wiki:( dewiki ,en*)",
    "$schema:/mediawiki/page/1.0.0",
    "meta.stream:page.edit",
    "meta.dt:2026-11-28T10:00:00Z",
    "meta.dt>=2026-11-28",
    "meta.dt<2026-11-28T12:00:00+01:00",
    "rev:42",
    "rev=42.0",
    "rev>41 rev<43 rev>=42 rev<=42",
    "ratio<1",
    "exact<0.2",
    "count:12",
    "minor:false",
    "comment:null",
    "has:comment",
    "not has:missing",
    "-has:missing",
    "has:meta.domain",
    ".has:member",
    "has:.has",
    '"a b":spaced',
    "tags:mobile",
    'tags:"visual editor"',
    "tags[0]:mobile",
    "tags[*]:*editor",
    "slots.role:extra",
    "slots[1].size>90",
    "slots.size>50",
    "matrix[0][1]:2",
    "matrix[*][*]:3",
    "wikipedia",
    "WIKIPEDIA",
    '"visual editor"',
    "role",
    "42",
    "wiki:dewiki or wiki:enwiki",
    "wiki:dewiki or wiki:enwiki and rev:42",
    "(wiki:dewiki or wiki:enwiki) AND NOT minor:true",
    "verdict:invalid",
    'verdict:"invalid"',
    "verdict:(invalid, refused)",
    "verdict:inv*",
    "status>=400 status<500",
    "at>2026-11-28T10:00:00Z",
    "hasty:true",
    "test:abc",
    "has:test",
    '.verdict:"of the event"',
]
OTHERS = [
    "wiki:ENWIKI",
    "wiki:*e*n*w*k*x*",
    "wiki=en*",
    'wiki:"en*"',
    "wiki!=enwiki",
    "wiki!=(dewiki, enwiki)",
    "missing!=enwiki",
    "missing:null",
    "not wiki:enwiki",
    'rev:"42"',
    "rev>42",
    "wiki>5",
    "count>5",
    "minor:0",
    "minor<1",
    "meta.dt>2026-11-29",
    "tags[2]:mobile",
    "slots[0].role:extra",
    "tags.role:main",
    "wiki.name:x",
    "has:meta.missing",
    "nothing-like-this",
    "wiki:enwiki rev:43",
    "verdict:accepted",
    "status<400",
    "hasty:false",
]

FAULTS = [
    ("(wiki:a", 0, 'add ")"'),
    ("wiki:a)", 6, "remove it"),
    ('wiki:"a', 5, "add a quote"),
    ("wiki:", 5, "the value is missing"),
    ("wiki: a", 5, "the value is missing"),
    ("meta.:a", 5, "the name of a field is missing"),
    ("tags[x]:a", 4, "write [0]"),
    ("or wiki:a", 0, "has no term before it"),
    ("wiki:a or", 9, "the name of a field is missing"),
    ("not", 3, "the name of a field is missing"),
    ("wiki:(a b)", 5, 'separate values by ","'),
    ("rev>(1, 2)", 4, "compares with one value"),
    ("rev>many", 4, "write a number, or a time"),
    ('rev>"5"', 4, "write a number, or a time"),
    ("rev>1e999", 4, "write a number, or a time"),
    ("verdict:invald", 8, "did you mean invalid?"),
    ("verdict:xyz", 8, "use one of accepted, invalid, refused"),
    ("verdict:(invalid, xyz)", 18, "use one of"),
    ("verdict>accepted", 8, "has no order"),
    ("verdict.x:y", 0, "write .verdict.x"),
    ("status:many", 7, "write a number"),
    ("status:4*", 7, "write a number"),
    ("hasty:yes", 6, "write true or false"),
    ("at>5", 3, "write a date or a time"),
    (r'wiki:"\x"', 5, "escape"),
    (r'wiki:"\ud800"', 5, "escape"),
    ("a" * 2001, 2000, "at most 2000"),
    ("a " * 33, 64, "at most 32"),
    ("(" * 17 + "a" + ")" * 17, 16, "at most 16"),
    ("-" * 17 + "a", 16, "at most 16"),
    (".".join("a" * 18) + ":1", 33, "at most 16"),
    ("a b c d e", 0, "at most 4"),
    ("x:(" + "1," * 64 + "1)", 131, "at most 64"),
    ("tags[0]", 7, "not compared"),
]


@pytest.mark.parametrize("text", MATCHES)
def test_it_matches(text: str) -> None:
    assert compile_filter(text, FACTS).matches(EVENT, KNOWN)


@pytest.mark.parametrize("text", OTHERS)
def test_it_does_not_match(text: str) -> None:
    assert not compile_filter(text, FACTS).matches(EVENT, KNOWN)


@pytest.mark.parametrize(("text", "at", "remedy"), FAULTS, ids=[text[:30] for text, _, _ in FAULTS])
def test_a_fault_has_its_place_and_a_remedy(text: str, at: int, remedy: str) -> None:
    with pytest.raises(FilterError) as raised:
        compile_filter(text, FACTS)

    assert raised.value.at == at
    assert remedy in f"{raised.value.problem}: {raised.value.remedy}"


def test_without_facts_every_name_is_that_of_a_field() -> None:
    assert compile_filter('verdict:"of the event"').matches(EVENT)
    assert compile_filter("verdict:anything").text == "verdict:anything"


def test_a_number_of_more_digits_than_python_writes_is_compared_and_not_searched() -> None:
    event = {"rev": 10**5000}

    assert compile_filter("rev>42").matches(event)
    assert not compile_filter("rev:42").matches(event)
    assert not compile_filter("42").matches(event)


def test_a_fault_points_at_its_place_in_a_terminal() -> None:
    with pytest.raises(FilterError) as raised:
        compile_filter("verdict:invald", FACTS)

    assert raised.value.pointed() == ("verdict:invald\n        ^\ninvald is no value of verdict: did you mean invalid?")
    assert raised.value.document() == {
        "at": 8,
        "problem": "invald is no value of verdict",
        "remedy": "did you mean invalid?",
    }


def test_the_terms_of_a_filter_say_which_of_them_an_event_misses() -> None:
    terms = compile_filter("wiki:enwiki slots.size:50 verdict:accepted", FACTS).explain(EVENT, KNOWN)

    assert [(term.text, term.is_met, term.found) for term in terms] == [
        ("wiki:enwiki", True, ["enwiki"]),
        ("slots.size:50", False, [10, 99]),
        ("verdict:accepted", False, ["invalid"]),
    ]


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("  wiki:a   AND rev>1 ", "wiki:a rev>1"),
        ("-(a or b)", 'not ("a" or "b")'),
        ("a (b or c)", '"a" ("b" or "c")'),
        ("a or b c", '"a" or "b" "c"'),
        ('wiki:( a,"b c" )', 'wiki:(a, "b c")'),
        ('"or":1', '"or":1'),
        ("", ""),
    ],
)
def test_a_filter_has_one_canonical_text(text: str, canonical: str) -> None:
    assert compile_filter(text).text == canonical
