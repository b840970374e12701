"""What a schema withholds is in nothing that is stored or told: neither of accepted events nor of refused ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from server.boot.generation import read
from server.intake.arrival import Arrival
from server.intake.books.counts import Counts
from server.intake.event import Event
from server.intake.forms.piece import unreadable
from server.intake.verdict import EntryWriter
from tests.server.intake.private.conftest import DT, MARKER, Intake

NOT_SHOWN = "(not shown: it may hold values that x-privacy withholds)"
NOT_SHOWN_JSON = json.dumps(NOT_SHOWN).encode()
DEEP = b"[" * 2000 + b"]" * 2000


def user(stream: str = "users", **fields: Any) -> dict[str, Any]:
    meta = {"stream": stream, "dt": json.loads(DT)}
    return {"$schema": "/user/1.0.0", "meta": meta, "email": f"{MARKER}@example.org", **fields}


def stored(event: Event) -> Any:
    assert event.verdict is None, event.verdict
    return json.loads(event.value)


def raw_of(error_event: bytes) -> str:
    found: str = json.loads(error_event)["raw_event"]
    return found


def test_a_valid_event_is_stored_without_what_its_schema_drops(intake: Intake) -> None:
    first = intake.prepare(user(count=1, friends=[{"name": MARKER, "x": 1}]))
    again = intake.prepare(user(count=1, friends=[{"name": MARKER, "x": 1}]))  # By one decode.

    for event in (first, again):
        found = stored(event)
        assert "email" not in found
        assert (found["count"], found["friends"]) == (1, [{"x": 1}])
        assert found["http"]["client_ip"] == "10.20.30.0"


def test_a_required_value_that_is_dropped_has_to_be_sent_all_the_same(intake: Intake) -> None:
    event = user()
    del event["email"]
    found = intake.prepare(event)

    assert found.verdict is not None
    assert "should have required property 'email'" in found.verdict.text


def test_a_hash_is_the_same_for_each_event_of_a_person(intake: Intake) -> None:
    one, two, other = (stored(intake.prepare(user(user_id=name)))["user_id"] for name in ("ada", "ada", "bob"))

    assert one == two != other
    assert one.startswith("hmac:k1:")


@pytest.mark.parametrize("value", ["1", "1, 1", " 1 ", "0, 1"])
def test_sec_gpc_asks_for_the_strict_set(intake: Intake, value: str) -> None:
    """A field that is repeated comes as a list: a proxy may have added its own."""
    event = intake.prepare(user(user_id="ada"), sec_gpc=value, user_agent=MARKER, x_kept="kept")

    found = stored(event)
    assert "user_id" not in found
    assert found["http"] == {"request_headers": {"x-kept": "kept"}}


@pytest.mark.parametrize("value", ["0", "", "true", "11"])
def test_other_values_of_sec_gpc_ask_for_nothing(intake: Intake, value: str) -> None:
    assert "user_id" in stored(intake.prepare(user(user_id="ada"), sec_gpc=value))


def test_sec_gpc_says_nothing_of_a_schema_without_annotations(intake: Intake) -> None:
    event = {"$schema": "/plain/1.0.0", "meta": {"stream": "plain"}, "email": "a"}

    assert stored(intake.prepare(event, sec_gpc="1"))["http"]["client_ip"] == "10.20.30.40"


def test_settings_may_not_obey_sec_gpc(settings_file: Path) -> None:
    intake = Intake(read(settings_file, ["privacy.obey_gpc=false"]))

    assert "user_id" in stored(intake.prepare(user(user_id="ada"), sec_gpc="1"))


def test_a_strict_stream_leaves_out_what_the_server_knows_of_the_client(intake: Intake) -> None:
    event = {"$schema": "/plain/1.0.0", "meta": {"stream": "strict"}, "email": "a", "count": 1}
    found = stored(intake.prepare(event, user_agent=MARKER))

    assert (found["email"], found["count"]) == ("a", 1)
    assert found.get("http", {}) in ({}, {"request_headers": {}})


def test_a_route_without_annotations_has_nothing_to_do(intake: Intake) -> None:
    event = intake.prepare({"$schema": "/plain/1.0.0", "meta": {"stream": "plain"}})

    assert event.route.privacy is None


def test_a_key_is_made_of_what_is_stored(intake: Intake) -> None:
    event = intake.prepare(user("keyed", user_id=MARKER, count=3))

    assert event.key is not None
    assert json.loads(event.key) == {"user": stored(event)["user_id"], "count": 3}


def test_the_key_of_a_strict_event_has_null_for_what_is_not_stored(intake: Intake) -> None:
    event = intake.prepare(user("keyed", user_id=MARKER, count=3), sec_gpc="1")

    assert event.verdict is None
    assert event.key == b'{"user":null,"count":3}'


def test_a_key_field_that_was_not_sent_is_still_missed(intake: Intake) -> None:
    event = intake.prepare(user("keyed", count=3))

    assert event.verdict is not None
    assert event.verdict.error_type == "missing_key_field"


def test_the_time_of_a_record_is_that_of_the_stored_event(intake: Intake) -> None:
    event = intake.prepare({"$schema": "/timed/1.0.0", "meta": {"stream": "timed", "dt": json.loads(DT)}})

    assert stored(event)["meta"]["dt"] == "2026-11-29T06:00:00Z"
    assert event.timestamp_ms == 1_795_932_000_000


def test_an_event_that_is_accepted_although_it_is_invalid_is_applied_as_one_whose_shape_is_not_known(
    intake: Intake,
) -> None:
    for stream in ("watched", "anything"):
        event = intake.prepare(user(stream, friends=MARKER, count="x"))
        assert "friends" not in stored(event)
        assert MARKER not in event.value.decode()


def test_an_event_of_a_stream_that_is_not_validated_is_applied_by_the_newest_version_it_may_have(
    intake: Intake,
) -> None:
    event = intake.prepare(user("anything") | {"$schema": "/user/7.0.0"})

    assert MARKER not in json.dumps(stored(event))


REFUSED = {
    "a violation elsewhere": user(count="x"),
    "a violation of the value itself": user(email=[MARKER]),
    "a violation around it": user(friends={"name": MARKER}),
    "a violation inside a list": user(friends=[MARKER]),
    "an unknown stream": user("nowhere"),
    "a stream of another schema": user("plain"),
    "an unknown version": user() | {"$schema": "/user/9.9.9"},
    "an unknown schema in a known stream": user() | {"$schema": "/nothing/1.0.0"},
    "no schema in a known stream": {"meta": {"stream": "users"}, "email": MARKER},
    "another schema in a stream with annotations": user() | {"$schema": "/plain/1.0.0"},
    "nothing known at all": user("nowhere") | {"$schema": "/nothing/1.0.0"},
    "neither schema nor stream": {"email": MARKER},
    "too large for its stream": user("small", count=1, http={"request_headers": {"x-kept": "k" * 300}}),
    "no object": [MARKER],
    "half a pair": b'{"$schema":"/user/1.0.0","meta":{"stream":"users"},"email":"marker","a":"\\ud800"}',
    "too deep": b'{"$schema":"/user/1.0.0","meta":{"stream":"users"},"email":"marker","a":' + DEEP + b"}",
    "names that occur twice": b'{"$schema":"/user/1.0.0","meta":{"stream":"users"},"email":"marker","email":1}',
    "an origin that is dropped": user(count="x") | {"meta": {"stream": "users", "domain": MARKER}},
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_told_of_a_refused_event_holds_no_dropped_value(intake: Intake, case: str) -> None:
    intake.prepare(user())
    event = intake.prepare(REFUSED[case])

    assert event.verdict is not None
    assert event.shown is not None
    assert MARKER not in event.shown.decode()
    assert MARKER not in (event.verdict.told or event.verdict.text)
    assert MARKER not in intake.error_event(event).decode()


def test_the_sender_is_answered_with_its_own_event(intake: Intake) -> None:
    event = intake.prepare(user(count="x"))
    EntryWriter().write(event)

    assert event.verdict is not None
    assert MARKER in event.verdict.entry.decode()
    assert "'.count' should be integer" in event.verdict.text
    assert event.verdict.told == "#/properties/count/type should be integer"


def test_the_rest_of_a_refused_event_is_told(intake: Intake) -> None:
    found = json.loads(raw_of(intake.error_event(intake.prepare(user(count="x", user_id="ada")))))

    assert found["count"] == "x"
    assert found["user_id"].startswith("hmac:k1:")
    assert "email" not in found


def test_an_event_whose_schema_cannot_be_found_is_omitted_and_its_names_are_told(intake: Intake) -> None:
    intake.prepare(user())
    found = json.loads(intake.error_event(intake.prepare(REFUSED["nothing known at all"])))

    assert json.loads(found["raw_event"]) == NOT_SHOWN
    assert (found["errored_schema_uri"], found["errored_stream_name"]) == ("/nothing/1.0.0", "nowhere")


def test_settings_may_keep_events_whose_schema_cannot_be_found(settings_file: Path) -> None:
    intake = Intake(read(settings_file, ["privacy.unattributed=keep"]))
    intake.prepare(user())

    assert MARKER in raw_of(intake.error_event(intake.prepare({"email": MARKER})))


def test_a_piece_that_a_format_refuses_is_omitted(intake: Intake) -> None:
    piece = unreadable(b'{"email": "marker"', "no event")
    event = Event(0, piece.raw, piece.verdict)
    intake.pipeline.hide(event, Arrival(0, b'""', {}))

    assert event.shown is not None
    assert msgspec.json.decode(event.shown) == NOT_SHOWN


def test_a_bug_tells_no_message_of_its_exception(
    intake: Intake, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    intake.prepare(user())

    def break_down(*_: object, **__: object) -> bytes:
        raise ValueError(MARKER)

    monkeypatch.setattr("server.privacy.applied.RoutePrivacy.applied", break_down)
    event = intake.prepare(user())

    assert event.verdict is not None
    assert event.verdict.error_type == "internal"
    assert event.shown == NOT_SHOWN_JSON
    assert "ValueError" in caplog.text
    assert MARKER not in caplog.text


def test_the_example_of_the_log_names_no_part_of_the_event(intake: Intake) -> None:
    event = intake.prepare(user(http={"request_headers": {"user-agent": 1}}, count=MARKER))
    counts = Counts()

    assert event.verdict is not None
    counts.note(event.verdict, "users", "", is_observed=False)
    assert counts.examples["schema_violation"].text == event.verdict.told != event.verdict.text
