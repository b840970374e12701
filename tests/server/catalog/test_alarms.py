"""The section ``alarms`` of a stream takes what it can use, and refuses the rest by name."""

from __future__ import annotations

from typing import Any

import pytest

from server.catalog.allowed import problems


def faults(alarms: Any) -> list[str]:
    return [f"{'.'.join(map(str, fault.path))}: {fault.reason}" for fault in problems({"alarms": alarms})]


@pytest.mark.parametrize(
    "alarms",
    [
        {},
        {"enabled": False},
        {"owner": "shop-team", "severity": "page", "expected_min_per_h": 0.5},
        {"owner": None, "expected_min_per_h": 100},
        {"fields": True},
        {"fields": ["action", "performer.is_bot"]},
    ],
)
def test_what_can_be_used_is_no_fault(alarms: dict[str, Any]) -> None:
    assert faults(alarms) == []


@pytest.mark.parametrize(
    ("alarms", "fault"),
    [
        ("off", "alarms: found text 'off'; allowed is a map of enabled, owner, severity, expected_min_per_h, fields"),
        ({"enabled": "no"}, "alarms.enabled: found text 'no'; allowed is true or false"),
        ({"owner": 'a"b'}, "alarms.owner: found text 'a\"b'; allowed is a name of up to 100 characters"),
        ({"severity": "high"}, "alarms.severity: found text 'high'; allowed is one of page, ticket"),
        (
            {"expected_min_per_h": 0},
            "alarms.expected_min_per_h: found whole number 0; allowed is a number of events above 0",
        ),
        (
            {"expected_min_per_h": True},
            "alarms.expected_min_per_h: found boolean True; allowed is a number of events above 0",
        ),
        ({"fields": ["a..b"]}, "alarms.fields.0: text 'a..b' is not a path in an event"),
        (
            {"fields": "action"},
            "alarms.fields: found text 'action'; allowed is true, or a list of up to 32 paths in an event",
        ),
        ({"expected_max": 1}, "alarms.expected_max: is no setting of alarms"),
    ],
)
def test_what_cannot_be_used_is_named(alarms: Any, fault: str) -> None:
    assert faults(alarms) == [fault]
