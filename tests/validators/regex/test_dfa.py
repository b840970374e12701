"""An automaton finds matches in the texts in which a search finds them, whether it runs compiled or not."""

from __future__ import annotations

import random

import pytest

from validators.formats.text_test import automatic
from validators.quick import structs
from validators.quick.structs import Maker, make
from validators.regex import dfa_builder, ecma262, pattern
from validators.regex.dfa import IS_FAST, Dfa


def built(text: str) -> Dfa | None:
    tables = dfa_builder.build(ecma262.read(text).parts)
    return None if tables is None else Dfa(*tables, pattern.compiled(text).search)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "^",
            "$",
            "^$",
            "$^",
            "^a",
            "a$",
            "^a$",
            "ab",
            "a|b$",
            "^a|b",
            "(a|^)b",
            "a($|b)",
            "(^a){2}",
            "a^b",
            "a$b",
        ),
        *("^(a|bc)*d?$", "^(?:a|)b$", "()a", "ab{2,3}c", "x{0}y", "^a{0,2}$", "a{2,}b", "(ab){1,2}$", "^(a+b?)+$"),
        *("(a|b)+c*$", "a+?b??$", "[^a]b", "^[^]$", "[]", ".b", "^.{2}$", r"\d+\.\d", r"^\S+\s\W$", r"\x61\u{62}"),
        *("^[0-9a-z]{4}$", "^[0-9a-c]{2}-[0-9a-c]{2}$", "^[a-z]+[a-z0-9_]*$", "aab", "a.c|b", "^(?<n>a)b", "é|a"),
    ],
)
def test_an_automaton_agrees_with_a_search(text: str) -> None:
    found, search = built(text), pattern.compiled(text).search
    assert found is not None
    rng = random.Random(text)
    texts = [
        "",
        *(
            "".join(rng.choices("aaabbcdxy09_-. .\n\x7f\x80é😀"[: rng.randrange(2, 20)], k=rng.randrange(1, 9)))
            for _ in range(2_000)
        ),
    ]

    assert [each for each in texts if found.accepts(each) != bool(search(each))] == []


@pytest.mark.parametrize(
    "text", ["(?=a)b", "(?!a)b", "(?<=a)b", r"(a)\1", r"\ba", "(a*)*", "(a?|b){2}", "(^)*", "a{2000}"]
)
def test_what_an_automaton_cannot_say_has_none(text: str) -> None:
    assert built(text) is None


@pytest.mark.parametrize(
    "text", ["[a-z].{0,12}[0-9].{5}x", "((a|b){1,60}c?){1,9}[^a-z]*$", "a{1,999}", "(" * 30 + ")" * 30]
)
def test_a_large_automaton_is_given_up_soon(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    spent: list[int] = []
    spend = dfa_builder._Subsets._spend

    def counted(self: dfa_builder._Subsets) -> None:
        spent.append(1)
        spend(self)

    monkeypatch.setattr(dfa_builder._Subsets, "_spend", counted)

    assert built(text) is None
    assert len(spent) <= dfa_builder.MAX_WORK + 1


def test_an_automaton_is_used_where_it_is_compiled() -> None:
    assert (automatic("^a$") is not None) == IS_FAST


def test_a_schema_has_a_limited_number_of_automata(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(structs, "automatic", asked.append)
    patterns = {f"p{at}": {"type": "string", "pattern": f"^a{{{at}}}$"} for at in range(structs.MAX_AUTOMATA + 8)}

    made, _ = make(Maker({"type": "object", "properties": patterns}))
    assert made is not None
    assert len(asked) == structs.MAX_AUTOMATA
