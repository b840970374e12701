"""Requests that clients send again are counted by the attempt that their query names."""

from __future__ import annotations

import pytest

from server.intake.books.counts import REPEATED, Counts
from server.intake.request_options import attempt_of


@pytest.mark.parametrize(
    ("text", "attempt"),
    [
        *(("1", 1), ("2", 2), ("007", 7), ("999999999", 999_999_999)),
        *(("9999999999", 1), ("0", 1), ("-2", 1), ("two", 1), ("٢", 1), ("", 1)),
    ],
)
def test_what_is_no_number_is_the_first_attempt(text: str, attempt: int) -> None:
    assert attempt_of(text) == attempt


@pytest.mark.parametrize(
    ("attempt", "name"),
    [(2, "2"), (3, "3"), (4, "4"), (5, "5 to 9"), (9, "5 to 9"), (10, "10 or more"), (999_999_999, "10 or more")],
)
def test_each_attempt_has_its_count(attempt: int, name: str) -> None:
    counts = Counts()
    counts.repeat(attempt)

    assert [each for each, count in zip(REPEATED, counts.repeated, strict=True) if count] == [name]
