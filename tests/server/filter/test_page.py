"""docs/FILTERS.md: every example is a filter, and every limit is that of the code."""

from __future__ import annotations

import re

from server.filter import language, parse, predicate
from server.filter.language import compile_filter
from tests.harness.running import ROOT

PAGE = (ROOT / "docs" / "FILTERS.md").read_text("utf-8")


def test_every_example_is_a_filter() -> None:
    block = PAGE.partition("\n\n    ")[2].partition("\n\n")[0]
    lines = [line.strip() for line in block.splitlines()]
    terms = PAGE.partition("## Terms")[2].partition("\n\n#")[0]
    examples = [
        text for row in re.findall(r"^\| (`.*?) \|", terms, re.MULTILINE) for text in re.findall("`(.*?)`", row)
    ]

    assert len(lines) == 4
    assert len(examples) == 12
    assert all(compile_filter(text).text for text in lines + examples)


def test_the_limits_are_those_of_the_code() -> None:
    numbers = re.findall(r"\d[\d,]*", PAGE.partition("|---|---|\n| characters of a filter")[2])[:9]

    assert [int(number.replace(",", "")) for number in numbers] == [
        parse.MAX_CHARS,
        parse.MAX_TERMS,
        language.MAX_SEARCHES,
        parse.MAX_DEPTH,
        parse.MAX_STEPS,
        parse.MAX_VALUES,
        predicate.MAX_LOOKED,
        predicate.MAX_SEARCHED,
        predicate.MAX_SEARCHED_CHARS,
    ]
