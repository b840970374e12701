"""Regular expressions mean what ECMA-262 says, whatever Python's own say."""

from __future__ import annotations

import warnings

import pytest

from validators.regex import pattern
from validators.regex.pattern import PatternError


@pytest.mark.parametrize(
    ("text", "matching", "other"),
    [
        (r"^\d$", ["5"], ["٥", "x", "5\n"]),
        (r"^\D$", ["٥", "x"], ["5"]),
        (r"^\w$", ["a", "_", "0"], ["é", "-"]),
        (r"^\W$", ["é", "-"], ["a"]),
        (r"^[\W]$", ["é", "-"], ["a"]),
        (r"^[\d\w-]+$", ["a-1"], ["é"]),
        (r"^[\w-.]$", ["-", ".", "a"], [",", "/"]),
        (r"^\s$", [" ", "\t", "\ufeff", "\u2028", "\xa0"], ["\x1c", "\x85", "\u200b"]),
        (r"^\S$", ["\x1c", "\x85"], ["\ufeff"]),
        (r"^[\S\n]$", ["a", "\n"], [" "]),
        (r"a$", ["a"], ["a\n"]),
        (r"^a\$$", ["a$"], ["a"]),
        (r"^[$^]$", ["$", "^"], ["a"]),
        (r"^.$", ["\x85", "\x0b", "😀"], ["\n", "\r", "\u2028", "\u2029", ""]),
        (r"\bé\b", [], ["é"]),
        (r"^\cA\0\x41\u0042\u{1F600}\ud83d\ude00\t$", ["\x01\x00AB😀😀\t"], [""]),
        (r"^[\b]$", ["\b"], ["b"]),
        (r"^[]$", [], ["", "a", "]"]),
        (r"^[^]$", ["a", "\n"], [""]),
        (r"^[a&&b||c~~[-]$", ["&", "|", "~", "[", "-"], ["f"]),
        (r"^a{,3}$", ["a{,3}"], ["aaa"]),
        (r"^a{x}]$", ["a{x}]"], ["a"]),
        (r"^(?<year>\d{4})-\k<year>$", ["2020-2020"], ["2020-2021"]),
        (r"^(a)?\1b$", ["aab", "b"], ["ab"]),
        (r"^\1(a)$", ["a"], ["aa"]),
        (r"^(?=a)(?!ab)(?:a|b)(?<=a)(?<!b)c$", ["ac"], ["bc"]),
        (r"^a+?b*?c??$", ["aab"], ["b"]),
        (r"^\/\-\_\é$", ["/-_é"], [""]),
        (r"^😀{2}$", ["😀😀"], ["😀"]),
        (r"^[😀-😂]$", ["😁"], ["a", "\ud83d"]),
        (r"^(?:a|)$", ["a", ""], ["b"]),
    ],
)
def test_a_pattern_matches_as_in_ecma_262(text: str, matching: list[str], other: list[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        search = pattern.compiled(text).search

    assert [each for each in matching if not search(each)] == []
    assert [each for each in other if search(each)] == []
    assert "$" not in pattern.translate(text)


@pytest.mark.parametrize(
    "text",
    [
        *("(", ")", "a)", "[a", "[z-a]", "*", "a**", "a++", "a{2}{3}", "a{3,2}", "(?i)a", "(?P<n>a)", "(?>a)", "(?#c)"),
        *(r"\Z", r"\A", r"\a", r"\p{L}", r"\8", r"\2(a)", r"\k<x>", r"\x1", r"\u12", r"\u{110000}", "\\", r"\c1"),
        *(
            "^*",
            r"\b+",
            "(?<=a*)b",
            "(?<n>a)(?<n>b)",
            "(?",
            "a{99999999999}",
            "|*",
            "(?<1a>b)",
            "(?(1)a|b)",
            "a" * 10_001,
        ),
    ],
)
def test_what_is_not_ecma_262_is_refused(text: str) -> None:
    with pytest.raises(PatternError):
        pattern.compiled(text)


@pytest.mark.parametrize(
    "text",
    [
        *("(a+)+", "(a*)*b", "(a|b+)*", "((ab)+c)*", "(a?)+", "(a{1,3})*", "(a+){50}", "(?:x(?:y|z*)?)+", "(a?){30}"),
        *(r"([a-z]+\.)*", "(?<n>a+)+", "((a+){2,}){2}"),
    ],
)
def test_quantifiers_inside_quantifiers_are_found(text: str) -> None:
    assert pattern.danger(text) == "has nested quantifiers"


@pytest.mark.parametrize(
    "text",
    [
        "^[0-9a-z]{20}$",
        r"^[a-fA-F0-9]{8}(-[a-fA-F0-9]{4}){3}-[a-fA-F0-9]{12}$",
        r"^\d{1,2}\/\d{1,7}\/\d{1,7}$",
        r"^([0-9]{1,3}\.){3}[0-9]{1,3}$",
        "^[$a-z]+[a-z0-9_]*$",
        "(ab)+",
        "(a+b+)?",
        r"\(a+\)+",
        "[(a+)+]",
        r"^swift\.(.+\.)?upload-complete$",
    ],
)
def test_other_quantifiers_are_let_be(text: str) -> None:
    assert pattern.danger(text) is None


def test_a_text_is_tried_as_a_pattern_without_being_remembered() -> None:
    assert pattern.is_pattern("a+")
    assert not pattern.is_pattern("(")
    assert pattern.is_pattern("(" * 5_000 + ")" * 5_000)
    assert not pattern.is_pattern("a" * 10_001)
