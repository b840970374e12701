"""What may have caused an alarm is near it in time, and bounded."""

from __future__ import annotations

import pytest

from server.plausibility.causes import MOST_CHANGES, MOST_SCHEMAS, NEAR, Causes, Change


def test_schemas_and_changes_are_those_of_the_two_hours_before() -> None:
    causes = Causes({"/a/b/1.0.0": 0})
    for minute, uri in ((1000, "/a/b/1.1.0"), (1000, "/a/bc/1.1.0"), (1000 - NEAR - 1, "/a/b/1.0.1")):
        causes.take(minute, [uri, "/a/b/1.0.0"], {})
    causes.announce(900, "web is deployed")
    causes.announce(1001, "later")

    assert causes.new_schemas("a/b", 1000) == ["/a/b/1.1.0"]
    assert causes.announced(1000) == [Change(900, "web is deployed")]
    assert causes.announced(900 + NEAR + 1) == [Change(1001, "later")]


def test_programs_are_shown_by_their_share_of_the_last_invalid_events() -> None:
    causes = Causes()
    causes.take(1, (), {"s old/1": 1000, "other x/1": 7})
    for minute in range(2, 302):
        causes.take(minute, (), {"s bad/2": 9, "s ": 1, "s c/1": 0})
    first, second = causes.agents("s")

    assert (first[0], second[0]) == ("bad/2", "")
    assert first[1] == pytest.approx(0.9, abs=0.01)
    assert causes.agents("none") == []


def test_everything_is_bounded() -> None:
    causes = Causes()
    causes.take(1, (f"/a/{at}/1.0.0" for at in range(2 * MOST_SCHEMAS)), {})
    for at in range(2 * MOST_CHANGES):
        causes.announce(at, str(at))

    assert len(causes.schemas) == MOST_SCHEMAS
    assert [one.text for one in causes.changes] == [str(at) for at in range(MOST_CHANGES, 2 * MOST_CHANGES)]
