"""server.intake.verdict: statuses, phrases and bodies of answers."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from server.intake import verdict
from server.intake.event import Event

INVALID = verdict.Verdict("unknown_stream", "no such stream")
TIMEOUT = verdict.error("broker_timeout")
INTERNAL = verdict.error("internal")


def _events(*verdicts: verdict.Verdict | None) -> list[Event]:
    events = []
    for index, found in enumerate(verdicts):
        event = Event(index, b'{"n":1.10}')
        event.verdict = found
        events.append(event)
    return events


@pytest.mark.parametrize(
    ("verdicts", "status", "phrase"),
    [
        ([INVALID], 400, "1 out of 1 events were invalid and not accepted."),
        ([INVALID, INVALID], 400, "2 out of 2 events were invalid and not accepted."),
        ([None, INVALID], 207, "1 out of 2 events were accepted, but 1 failed (1 invalid and 0 errored)."),
        ([None, INVALID, INTERNAL], 207, "1 out of 3 events were accepted, but 2 failed (1 invalid and 1 errored)."),
        ([INTERNAL], 500, "1 out of 1 events had failures and were not accepted. (0 invalid and 1 errored)."),
        ([TIMEOUT, INTERNAL], 500, "2 out of 2 events had failures and were not accepted. (0 invalid and 2 errored)."),
        ([TIMEOUT], 503, "1 out of 1 events had failures and were not accepted. (0 invalid and 1 errored)."),
        ([INVALID, TIMEOUT], 503, "2 out of 2 events had failures and were not accepted. (1 invalid and 1 errored)."),
    ],
)
def test_status_and_phrase_follow_from_the_verdicts(
    verdicts: list[verdict.Verdict | None], status: int, phrase: str
) -> None:
    answer = verdict.failed(_events(*verdicts))

    assert (answer.status, answer.phrase) == (status, phrase)
    assert (answer.retry_after_s > 0) == (status == 503)


def test_the_body_lists_each_failure_with_index_event_and_context() -> None:
    body = verdict.failed(_events(None, INVALID, TIMEOUT)).body

    assert b'"event":{"n":1.10}' in body
    assert json.loads(body) == {
        "invalid": [
            {
                "status": "invalid",
                "index": 1,
                "event": {"n": 1.1},
                "context": {"error_type": "unknown_stream", "errors": [], "errorsText": "no such stream"},
            }
        ],
        "error": [
            {
                "status": "error",
                "index": 2,
                "event": {"n": 1.1},
                "context": {
                    "error_type": "broker_timeout",
                    "message": TIMEOUT.text,
                    "retry_after_s": verdict.RETRY_AFTER_S,
                },
            }
        ],
    }


def test_when_all_are_invalid_the_body_has_no_error_list() -> None:
    assert list(json.loads(verdict.failed(_events(INVALID)).body)) == ["invalid"]


def test_every_error_type_is_in_exactly_one_set() -> None:
    assert not verdict.INVALID_TYPES & verdict.ERROR_TYPES
    assert verdict.RETRIABLE_TYPES < verdict.ERROR_TYPES


def test_no_entry_makes_an_answer_longer_than_it_may_be_not_even_the_first() -> None:
    """16.8 MB came out for 106 kB in, compressed: the first entry was told in full whatever its size."""
    large, small = Event(0, b'"%b"' % (b"x" * verdict.MAX_BODY_BYTES)), Event(1, b"{}")
    large.verdict = small.verdict = INVALID
    answer = verdict.failed([large, small])
    entries = json.loads(answer.body)["invalid"]

    assert ["event" in entry for entry in entries] == [False, True]
    assert entries[0]["context"]["error_type"] == "unknown_stream"


def test_what_is_written_down_as_it_is_found_is_what_the_answer_says() -> None:
    long = verdict.Verdict("schema_violation", "x" * 90_000, [{"message": "x" * 90_000}])
    verdicts = [None, INVALID, TIMEOUT, *[long] * 40, INTERNAL]
    at_the_end, as_found = _events(*verdicts), _events(*verdicts)
    writer = verdict.EntryWriter()
    for event in as_found:
        writer.write(event)

    found = json.loads(verdict.failed(as_found).body)
    assert found["invalid"] == json.loads(verdict.failed(at_the_end).body)["invalid"]
    assert [entry["index"] for entry in found["error"]] == [2, 43]
    assert all(event.verdict is None or not event.verdict.errors for event in as_found)


@pytest.mark.parametrize("is_written_before", [True, False])
def test_a_small_compressed_request_has_no_large_answer_and_every_failure_has_its_place(
    *, is_written_before: bool
) -> None:
    """Some 60 bytes of ``[{},{},…]`` were answered with 3 MB."""
    events = _events(*[[None, INVALID, INVALID, TIMEOUT][number % 4] for number in range(10_000)])
    room_bytes = verdict.room_of(SimpleNamespace(compressed_bytes=60))
    if is_written_before:
        writer = verdict.EntryWriter(room_bytes)
        for event in events:
            writer.write(event)
    answer = verdict.failures(events, room_bytes).answer(len(events))
    told = json.loads(answer.body)
    left_out = {
        status: [index for first, last in told["left_out"][status] for index in range(first, last + 1)]
        for status in ("invalid", "error")
    }

    assert len(answer.body) < 2 * verdict.MIN_BODY_BYTES + 100_000
    assert answer.status == 207
    assert answer.phrase.endswith("but 7500 failed (5000 invalid and 2500 errored).")
    for status, places in (("invalid", (1, 2)), ("error", (3,))):
        indexes = [entry["index"] for entry in told[status]] + left_out[status]
        assert indexes == [number for number in range(10_000) if number % 4 in places]


@pytest.mark.parametrize(
    ("compressed", "room"), [(0, verdict.MAX_BODY_BYTES), (10, 65_536), (10_000, 640_000), (10**6, 4_194_304)]
)
def test_the_room_for_failures_follows_what_was_sent(compressed: int, room: int) -> None:
    assert verdict.room_of(SimpleNamespace(compressed_bytes=compressed)) == room
