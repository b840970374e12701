"""Lines of a body are found at once where they are few, and in turns where they are many."""

from __future__ import annotations

from server.intake.forms import ndjson


def test_many_lines_are_found_in_turns() -> None:
    """Each costs a microsecond, however short it is."""
    few = b"{\n" * ndjson.AT_ONCE_LINES

    assert isinstance(ndjson.lines(few, 10_000, 1_000, may_take_long=True), list)
    assert isinstance(ndjson.lines(few * 9, 10_000, 1_000, may_take_long=True), ndjson.BodyLines)
