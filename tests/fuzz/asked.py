"""A server over a memory sink that is asked, and everything that must be true of an answer, whatever was asked.

Place: doors makes two, and sends each its requests.
Rules: the loop turns until nothing is left to do; time stands still, so that two answers can be compared to the byte.
Not here: what is asked (doors).
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

from server.http.around.beacon import Beacon
from tests.server.http.fakes import Harness, Response, responses
from tests.server.intake.conftest import write
from tests.server.intake.forms.test_forms import SETTINGS
from tests.server.intake.test_error_events import ERROR_SCHEMA
from tests.server.intake.test_receive import Bench

LIMITS: dict[str, Any] = {"max_body_bytes": 262_144, "max_decompressed_bytes": 524_288, "max_ratio": 100}
MAX_EVENTS = 200  # So that no input takes long, and too many are soon sent.
ERRORS = "job.errors"  # A name that the streams of the tests allow.
STATUSES = {200, 201, 202, 204, 207, 400, 413, 414, 415, 431}
IN_SHORT_FROM_BYTES = 1_000_000  # Of an answer: it may tell of some events in short.
SMALL_BYTES = 8_192  # Of an event: its error event is no larger than an event may be.

_COUNTS = re.compile(r"(\d+) (?:events hastily received|out of (\d+) events )")
_RECEIVED_NS = 1_767_323_045_678_000_000  # When every request comes.


class Sent(NamedTuple):
    """A record in the sink, decoded, without the identity that it was given."""

    topic: str
    key: Any
    value: Any


class Asked(NamedTuple):
    """An answer, and what is in the sink because of it, error events apart."""

    answer: Response
    sent: list[Sent]

    def is_refused(self) -> bool:
        """Whether the request was turned away as a whole."""
        return self.answer.headers.get("Content-Type") == "application/problem+json"

    def told(self) -> list[dict[str, Any]]:
        """The entries of the body, by index: of all events, or of those that were not accepted."""
        whole = json_of(self.answer.body) if self.answer.body else {}
        entries = [entry for entries in whole.values() for entry in entries]
        return sorted(entries, key=lambda entry: int(entry["index"]))


class Asking:
    """``directory`` is the caller's, and empty."""

    def __init__(self, directory: Path, *overrides: str) -> None:
        settings = write(directory)
        (directory / "schemas" / "error").mkdir()
        (directory / "schemas" / "error" / "2.1.0.yaml").write_bytes(ERROR_SCHEMA.read_bytes())
        streams = json.loads((directory / "streams.yaml").read_bytes())
        streams["streams"][ERRORS] = {"schema_title": "error"}
        (directory / "streams.yaml").write_text(json.dumps(streams))
        bounds = (
            f"http.limits.max_events={MAX_EVENTS}",
            f"intake.error_stream={ERRORS}",
            "intake.error_events_per_s=1000000",
        )
        bench = self._bench = Bench(settings, *SETTINGS, *bounds, *overrides)
        receiver = bench.receiver
        routes: Any = {  # Of one length: what is too long for one is so for all.
            "/events": {"POST": receiver.handle_events},
            "/beacon": {"POST": receiver.handle_beacon, "GET": Beacon(receiver.handle_query).handle},
            "/judged": {"POST": receiver.handle_validate},
        }
        self._harness = Harness(routes=routes, **LIMITS)
        self._loop = self._harness.loop
        self._loop.is_held = True
        self._pairs = _only_once if bench.generation.config.rejects_duplicates else None
        bench.sink._call_soon = self._loop.call_soon  # type: ignore[assignment]

    def ask(self, request: bytes) -> Asked:
        """Send it, and wait for the answer. Raises AssertionError, or whatever escaped."""
        bench, loop, server = self._bench, self._loop, self._harness.server
        bench.sink.records.clear()
        made = bench.errors.produced
        with mock.patch.object(time, "time_ns", return_value=_RECEIVED_NS), loop.running():
            wire = self._harness.wire()
            wire.send(request)
            while loop.soon:
                loop.turns()
                wire.pump()
        answers = responses(wire.sent)
        if not wire.is_lost():
            wire.hang_up()
        self._harness.wires.clear()
        assert len(answers) == 1, f"{len(answers)} answers"
        (answer,) = answers
        assert answer.status in STATUSES, f"answered {answer.status} {answer.body[:300]!r}"
        assert b'"internal"' not in answer.body, answer.body[:1_000]
        caught, server.handler_errors = server.handler_errors, 0
        assert not caught, "an exception was caught at the top"
        assert server.in_flight_bytes == 0, "something is held for ever"
        assert not bench.sink.outstanding() and not bench.sink.callback_failures
        assert not any(tally.in_flight() for tally in bench.tallies), "the books do not balance"
        records = [record for record in bench.sink.records if not record.topic.endswith(ERRORS)]
        assert len(bench.sink.records) - len(records) == bench.errors.produced - made, "an error event is lost"
        return Asked(answer, [_sent(record, self._pairs) for record in records])

    def noted(self) -> tuple[int, int, int]:
        """Events so far that were invalid or observed; error events that were made of them, and that were not."""
        counts, errors = self._bench.receiver.counts, self._bench.errors
        return sum(counts.by_type.values()) + counts.observed, errors.produced, errors.dropped


def compare(asked: Asked, judged: Asked) -> None:
    """What was done with events, and what /validate says of the same ones. Raises AssertionError."""
    answer = asked.answer
    if judged.is_refused():
        assert (answer.status, answer.body) == (judged.answer.status, judged.answer.body), "refused in another way"
        assert not asked.sent, "sent although it was refused"
        return
    assert judged.answer.status == 200, judged.answer.status
    entries = judged.told()
    valid = [entry for entry in entries if entry["status"] in ("valid", "observed")]
    assert len(asked.sent) == len(valid), f"{len(asked.sent)} records of {len(valid)} events"
    for record, entry in zip(asked.sent, valid, strict=True):
        if "event" in entry:
            expected = Sent(entry["topics"][0], entry["key"], _without_id(entry["event"]))
            assert record == expected, f"sent is {record}, shown {expected}"
    if answer.status != 204:
        is_whole = max(len(answer.body), len(judged.answer.body)) < IN_SHORT_FROM_BYTES
        _compare_words(asked, entries, len(valid), is_whole=is_whole)


def _compare_words(asked: Asked, entries: list[dict[str, Any]], valid: int, *, is_whole: bool) -> None:
    """The answer of a POST, and the entries of /validate, so many of them valid. ``is_whole``: neither is in short."""
    answer, count = asked.answer, len(entries)
    said = _COUNTS.search(answer.phrase)
    assert said is not None, answer.phrase
    assert int(said[2] or said[1]) == count, f"{answer.phrase} of {count} events"
    if answer.status == 202:
        assert not answer.body
        return
    assert answer.status == (201 if valid == count else 207 if valid else 400)
    assert int(said[1]) == (valid or count), answer.phrase
    failed = [entry for entry in entries if entry["status"] not in ("valid", "observed")]
    told = asked.told()
    assert [entry["index"] for entry in told] == [entry["index"] for entry in failed]
    for found, entry in zip(told, failed, strict=True):
        assert found["context"]["error_type"] == entry["context"]["error_type"]
        assert found["status"] == entry["status"]
        if is_whole:
            assert found["context"] == entry["context"]
            assert _without_id(found.get("event")) == _without_id(entry.get("event"))  # None: it is too large to tell.


def json_of(text: bytes, pairs: Callable[[list[tuple[str, Any]]], Any] | None = None) -> Any:
    """Strictly, with numbers as they are written. Raises ValueError."""
    how: dict[str, Any] = {"parse_int": str, "parse_float": str, "parse_constant": _refuse, "object_pairs_hook": pairs}
    return json.loads(str(text, "utf-8"), **how)


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _only_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    assert len(found) == len(pairs), "a name that occurs twice was sent"
    return found


def _sent(record: Any, pairs: Callable[[list[tuple[str, Any]]], Any] | None) -> Sent:
    value = _without_id(json_of(record.value, pairs))
    assert isinstance(value, dict), "an event that is no object was sent"
    return Sent(record.topic, None if record.key is None else json_of(record.key), value)


def _without_id(event: Any) -> Any:
    """The event without an identity that may be one of ours."""
    meta = event.get("meta") if isinstance(event, dict) else None
    if isinstance(meta, dict) and isinstance(given := meta.get("id"), str) and len(given) == 36:
        del meta["id"]
    return event
