"""Times as text and as milliseconds, and the results that are remembered."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.page_change.map import END_OF_CALENDAR_MS
from processors.page_change.remembered import Remembered
from processors.page_change.times import millis_of, text_of

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@given(st.integers(0, END_OF_CALENDAR_MS - 1))
def test_a_text_is_that_of_the_calendar_and_is_read_back(millis: int) -> None:
    moment = EPOCH + timedelta(milliseconds=millis)
    text = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z").replace(".000Z", "Z")

    assert text_of(millis) == text
    assert millis_of(text) == millis


@pytest.mark.parametrize(
    ("text", "millis"),
    [
        ("1970-01-01T00:00:01", 1_000),
        ("1970-01-01T01:00:00.001+01:00", 1),
        ("1969-12-31T23:59:59.999Z", -1),
        ("1970-01-01T00:00:00.0014Z", 1),
        ("1970-01-01T00:00:00.0016Z", 2),
        ("1970-01-01T00:00:00.9999Z", 1_000),
        ("yesterday", None),
        (7, None),
    ],
)
def test_other_texts(text: object, millis: int | None) -> None:
    assert millis_of(text) == millis


def test_no_more_is_remembered_than_asked_for() -> None:
    made: list[int] = []

    def double(number: int) -> int:
        made.append(number)
        return 2 * number

    found = Remembered(double, 3)

    assert [found[number] for number in (1, 2, 1, 3, 4, 4)] == [2, 4, 2, 6, 8, 8]
    assert made == [1, 2, 3, 4]
    assert len(found) <= 3
