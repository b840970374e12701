"""Attributes of CloudEvents in headers are read in time linear in their length."""

from __future__ import annotations

import pytest

from server.intake.forms import cloudevents


@pytest.mark.parametrize("end", ["", "x", "\\"])
@pytest.mark.parametrize("unit", ['\\"', 'a\\"', '\\\\\\"'])
def test_a_quote_that_nothing_closes_is_tried_once(unit: str, end: str) -> None:
    """A header of escaped quotes took time in the square of its length: each was the beginning of a search."""
    text = "a" + '"' + unit * 2_000 + end
    found = list(cloudevents._QUOTED.finditer(text))

    assert [(one[0], one[1]) for one in found] == [(text[1:], None)]
    assert cloudevents._of_header(text.encode()) == text
