"""What /v1/validate says of many events stays within bounds."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from server.intake import report
from server.intake.event import Event
from server.intake.verdict import MAX_SHORT_CHARS, MIN_BODY_BYTES, Verdict


def request(body_bytes: int, compressed_bytes: int = 0) -> Any:
    return SimpleNamespace(body=bytes(body_bytes), compressed_bytes=compressed_bytes)


def refused(index: int) -> Event:
    event = Event(index, b'{"a":1}')
    event.verdict = Verdict("schema_violation", "x" * 5_000, ["a problem"] * 20)
    return event


def test_beyond_the_bound_events_are_told_in_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "MAX_BYTES", 10_000)
    events = [*(refused(index) for index in range(10)), Event(10, b'{"a":2}')]
    told = json.loads(report.reports(events, request(100)))["events"]

    assert [each["index"] for each in told] == list(range(11))
    assert [each["status"] for each in told] == ["invalid"] * 10 + ["valid"]
    assert ["event" in each for each in told] == [True] + [False] * 9 + [True], "whatever still has room"
    assert told[5]["context"] == {
        "error_type": "schema_violation",
        "errors": [],
        "errorsText": "x" * MAX_SHORT_CHARS,
    }


def test_a_large_request_may_have_an_answer_twice_as_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "MAX_BYTES", 10_000)
    told = json.loads(report.reports([refused(index) for index in range(10)], request(50_000)))["events"]

    assert all("event" in each for each in told)


def test_a_small_compressed_request_has_no_large_answer() -> None:
    events = [refused(index) for index in range(10_000)]
    answer = report.reports(events, request(30_000, compressed_bytes=60))
    told = json.loads(answer)

    assert len(answer) < 2 * MIN_BODY_BYTES + 20_000
    assert [each["index"] for each in told["events"]] == list(range(len(told["events"])))
    assert told["left_out"] == {"events": [[len(told["events"]), 9_999]]}


def test_what_is_observed_is_told_apart_from_what_is_refused() -> None:
    violation = Verdict("schema_violation", "'.test' should be string")
    events = [Event(index, b"{}") for index in range(4)]
    events[1].observed = events[2].observed = violation
    events[2].verdict = Verdict("event_too_large", "too large")
    events[3].verdict = Verdict("schema_unavailable", "not now")
    told = [report.report(event) for event in events]

    assert [each["status"] for each in told] == ["valid", "observed", "invalid", "error"]
    assert [each.get("context", {}).get("error_type") for each in told] == [
        None,
        "schema_violation",
        "event_too_large",
        "schema_unavailable",
    ]
    assert [each["status"] for each in json.loads(report.reports(events, request(0)))["events"]] == [
        each["status"] for each in told
    ]
