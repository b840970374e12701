"""server.intake.pipeline: the steps of docs/DESIGN.md, one event at a time."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

import pytest

from server.boot.generation import read
from server.intake.arrival import Arrival
from server.intake.event import Event
from server.intake.pipeline import Pipeline, make_pipeline
from server.shared.lines import OTHERS
from tests.server.intake.conftest import Make

RECEIVED_MS = 1_767_323_045_678
RECEIVED_DT = "2026-01-02T03:04:05.678Z"


def arrival(headers: dict[bytes, bytes] | None = None, **query: str) -> Arrival:
    made = Arrival(RECEIVED_MS, f'"{RECEIVED_DT}"'.encode(), headers or {}, lambda _: "192.0.2.7")
    made.schema_uri = json.dumps(query["schema_uri"]).encode() if "schema_uri" in query else None
    made.stream = json.dumps(query["stream"]).encode() if "stream" in query else None
    return made


def event(stream: str = "plain", title: str = "test/event", **more: Any) -> bytes:
    return json.dumps({"$schema": f"/{title}/1.0.0", "meta": {"stream": stream}, **more}).encode()


def prepare(pipeline: Pipeline, raw: bytes, at: Arrival | None = None) -> Event:
    return pipeline.prepare(0, raw, at or arrival())


def value(prepared: Event) -> Any:
    assert prepared.verdict is None, prepared.verdict
    return json.loads(prepared.value)


def error_type(prepared: Event) -> str | None:
    return None if prepared.verdict is None else str(prepared.verdict.error_type)


# Steps 1 and 2: schema and stream.


def test_a_valid_event_becomes_a_record_for_its_topic(pipeline: Pipeline) -> None:
    prepared = prepare(pipeline, event(test="x"))

    assert error_type(prepared) is None
    assert prepared.topic == "dc1.plain"
    assert prepared.key is None
    assert prepared.headers == [("content-type", b"application/json"), ("schema-uri", b"/test/event/1.0.0")]


@pytest.mark.parametrize(
    ("names", "headers"),
    [
        ("[schema-uri, content-type]", [("schema-uri", b"/test/event/1.0.0"), ("content-type", b"application/json")]),
        ("[schema-uri]", [("schema-uri", b"/test/event/1.0.0")]),
        ("[]", []),
    ],
)
def test_settings_choose_the_headers_of_records(make: Make, names: str, headers: list[tuple[str, bytes]]) -> None:
    assert prepare(make(f"sink.kafka_headers={names}"), event(test="x")).headers == headers


def test_schema_and_stream_come_from_the_query_when_the_event_names_none(pipeline: Pipeline) -> None:
    prepared = prepare(pipeline, b'{"test":"x"}', arrival(schema_uri="/test/event/1.0.0", stream="plain"))

    assert value(prepared)["$schema"] == "/test/event/1.0.0"
    assert value(prepared)["meta"]["stream"] == "plain"


def test_the_query_does_not_override_the_event(pipeline: Pipeline) -> None:
    prepared = prepare(pipeline, event(), arrival(schema_uri="/test/http/1.0.0", stream="http"))

    assert value(prepared)["$schema"] == "/test/event/1.0.0"


def test_of_several_fields_the_first_that_is_present_names_the_stream(make: Make) -> None:
    pipeline = make("intake.stream_field=[stream, meta.stream]")
    raw = b'{"$schema":"/test/event/1.0.0","stream":"plain","meta":{"stream":"nowhere"}}'

    assert prepare(pipeline, raw).topic == "dc1.plain"


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"1", "not_an_object"),
        (b'"x"', "not_an_object"),
        (b"null", "not_an_object"),
        (b"{}", "missing_schema_uri"),
        (b'{"$schema":7}', "missing_schema_uri"),
        (b'{"$schema":null}', "missing_schema_uri"),
        (b'{"$schema":""}', "missing_schema_uri"),
        (b'{"$schema":"/a/../b/1.0.0"}', "bad_schema_uri"),
        (b'{"$schema":"/test/event/latest"}', "bad_schema_uri"),
        (b'{"$schema":"https://example.org/test/event/1.0.0"}', "bad_schema_uri"),
        (b'{"$schema":"/test/event/9.0.0"}', "unknown_schema"),
        (b'{"$schema":"/test/insecure/1.0.0","meta":{"stream":"plain"}}', "insecure_schema"),
        (b'{"$schema":"/test/event/1.0.0"}', "missing_stream"),
        (b'{"$schema":"/test/event/1.0.0","meta":7}', "missing_stream"),
        (b'{"$schema":"/test/event/1.0.0","meta":{"stream":["plain"]}}', "missing_stream"),
        (event("nowhere"), "unknown_stream"),
        (event("closed"), "unknown_stream"),
        (event("http"), "schema_title_mismatch"),
        (event("elsewhere"), "wrong_service"),
        (event(test=1), "schema_violation"),
        (event("keyed", n=1), "missing_key_field"),
        (event("small", test="x" * 200), "event_too_large"),
    ],
)
def test_what_is_wrong_has_an_error_type_of_its_own(pipeline: Pipeline, raw: bytes, expected: str) -> None:
    prepared = prepare(pipeline, raw)

    assert error_type(prepared) == expected
    assert prepared.verdict is not None and prepared.verdict.is_invalid


def test_all_violations_are_reported_in_the_words_of_ajv(pipeline: Pipeline) -> None:
    prepared = prepare(pipeline, event(test=1, n="x"))

    assert prepared.verdict is not None
    assert prepared.verdict.text == "'.test' should be string, '.n' should be number"
    assert [problem.keyword for problem in prepared.verdict.errors] == ["type", "type"]


# Step 4: what is filled in.


def test_identity_and_receive_time_are_filled_in_where_the_schema_has_them(pipeline: Pipeline) -> None:
    meta = value(prepare(pipeline, event()))["meta"]

    assert uuid.UUID(meta["id"]).version == 7
    assert meta["dt"] == RECEIVED_DT


def test_what_the_event_has_is_not_overwritten(pipeline: Pipeline) -> None:
    raw = b'{"$schema":"/test/event/1.0.0","meta":{"stream":"plain","id":"mine","dt":"2020-01-01T00:00:00Z"}}'

    assert prepare(pipeline, raw).value == raw


def test_an_explicit_null_counts_as_present(pipeline: Pipeline) -> None:
    prepared = prepare(pipeline, b'{"$schema":"/test/event/1.0.0","meta":{"stream":"plain","dt":null}}')

    assert error_type(prepared) == "schema_violation"


def test_dt_is_filled_in_for_legacy_titles_alone(pipeline: Pipeline) -> None:
    assert value(prepare(pipeline, event("legacy", "analytics/legacy/old")))["dt"] == RECEIVED_DT
    assert "dt" not in value(prepare(pipeline, event()))


def test_headers_and_client_address_are_filled_in_where_the_schema_declares_them(pipeline: Pipeline) -> None:
    headers = {b"user-agent": b'A "quoted" agent', b"x-request-id": b"r1", b"x-not-declared": b"no"}

    filled = value(prepare(pipeline, event("http", "test/http"), arrival(headers)))

    assert filled["http"] == {"client_ip": "192.0.2.7", "request_headers": {"user-agent": 'A "quoted" agent'}}
    assert filled["meta"]["request_id"] == "r1"
    assert "test" not in filled


def test_a_header_joins_those_that_the_event_has(pipeline: Pipeline) -> None:
    raw = event("http", "test/http", http={"request_headers": {"accept": "a"}})

    filled = value(prepare(pipeline, raw, arrival({b"user-agent": b"ua"})))

    assert filled["http"]["request_headers"] == {"accept": "a", "user-agent": "ua"}


def test_a_header_is_cut_at_400_characters(pipeline: Pipeline) -> None:
    filled = value(prepare(pipeline, event("http", "test/http"), arrival({b"user-agent": b"x" * 500})))

    assert len(filled["http"]["request_headers"]["user-agent"]) == 400


def test_a_header_that_was_not_sent_leaves_no_trace(pipeline: Pipeline) -> None:
    assert value(prepare(pipeline, event("http", "test/http")))["http"] == {"client_ip": "192.0.2.7"}


def test_defaults_of_the_schema_are_written_in(pipeline: Pipeline) -> None:
    bare = value(prepare(pipeline, event("defaults", "test/defaults")))
    nested = value(prepare(pipeline, event("defaults", "test/defaults", kind="own", part={})))

    assert bare["kind"] == "plain" and "part" not in bare
    assert nested["kind"] == "own" and nested["part"] == {"size": 3}


# Steps 5 to 8: stream, verdict, topic, value.


def test_a_regex_takes_what_no_name_takes(pipeline: Pipeline) -> None:
    assert prepare(pipeline, event("job.x")).topic == "dc1.job.x"


def test_an_explicit_topic_and_null_prefixes_leave_the_prefix_out(pipeline: Pipeline) -> None:
    assert prepare(pipeline, event("ours")).topic == "a.topic.of.its.own"
    assert prepare(pipeline, event("legacy", "analytics/legacy/old")).topic == "legacy"


def test_the_key_has_the_fields_in_declared_order(pipeline: Pipeline) -> None:
    prepared = prepare(pipeline, event("keyed", n=12, page={"wiki": "enwiki", "more": 1}))

    assert prepared.key == b'{"wiki":"enwiki","n":12}'


def test_two_spellings_of_one_key_meet_in_one_partition(pipeline: Pipeline) -> None:
    raw = b'{"$schema":"/test/event/1.0.0","meta":{"stream":"keyed"},"n":%s,"page":{"wiki":"%s"}}'

    keys = {prepare(pipeline, raw % pair).key for pair in [(b"12", b"en"), (b"12.0", b"\\u0065n"), (b"1.2e1", b"en")]}

    assert keys == {b'{"wiki":"en","n":12}'}


def test_a_key_field_that_is_null_is_there(pipeline: Pipeline) -> None:
    prepared = prepare(pipeline, event("keyed", n=1, page={"wiki": None}))

    assert prepared.key == b'{"wiki":null,"n":1}'


@pytest.mark.parametrize(
    ("dt", "expected_ms"),
    [
        ("2026-01-02T03:04:05.678Z", RECEIVED_MS),
        ("2020-01-01T00:00:00Z", 1_577_836_800_000),
        ("2020-01-01T01:00:00+01:00", 1_577_836_800_000),
        ("1969-12-31T23:59:59Z", RECEIVED_MS),
        ("2026-01-02T03:50:00Z", 1_767_325_800_000),
        ("2026-01-02T04:04:05Z", RECEIVED_MS),
    ],
)
def test_the_record_has_the_time_of_the_event(pipeline: Pipeline, dt: str, expected_ms: int) -> None:
    raw = b'{"$schema":"/test/event/1.0.0","meta":{"stream":"plain","dt":"%s"}}' % dt.encode()

    assert prepare(pipeline, raw).timestamp_ms == expected_ms


def test_numbers_keep_their_text(pipeline: Pipeline) -> None:
    for number in (b"1.10", b"18446744073709551617", b"-0", b"1e2"):
        raw = b'{"$schema":"/test/event/1.0.0","meta":{"stream":"plain"},"n":' + number + b"}"

        assert b'"n":' + number + b"}" in prepare(pipeline, raw).value


def test_a_name_that_occurs_twice_is_refused_only_when_asked_for(make: Make) -> None:
    raw = b'{"$schema":"/test/event/1.0.0","meta":{"stream":"plain"},"test":"a","test":"b"}'

    assert error_type(prepare(make(), raw)) is None
    assert error_type(prepare(make("intake.duplicate_keys=reject"), raw)) == "duplicate_key"
    assert error_type(prepare(make("profile=external"), raw)) == "duplicate_key"


def test_names_that_occur_twice_are_found_before_anything_is_filled_in(make: Make) -> None:
    pipeline = make("intake.duplicate_keys=reject")
    raw = b'{"$schema":"/test/event/1.0.0","test":"a","test":"b"}'

    assert error_type(prepare(pipeline, raw, arrival(stream="plain"))) == "duplicate_key"


def test_a_schema_that_comes_later_is_used_when_it_is_there(settings_path: Path) -> None:
    generation = read(settings_path, [])
    found: list[Any] = [("unknown_schema", "not there"), generation.schemas.find("/test/event/1.0.0")]
    pipeline = make_pipeline(generation.config, lambda _: found.pop(0), generation.snapshot.find)

    early, late = prepare(pipeline, event("anything")), prepare(pipeline, event("anything"))

    assert "id" not in value(early)["meta"]
    assert "id" in value(late)["meta"]


def test_what_was_validated_is_what_a_last_wins_reader_sees(pipeline: Pipeline) -> None:
    raw = b'{"$schema":"/test/event/1.0.0","meta":{"stream":"plain"},"test":"a","test":1}'

    assert error_type(prepare(pipeline, raw)) == "schema_violation"


def test_an_observed_stream_takes_what_is_invalid_and_tells(pipeline: Pipeline) -> None:
    prepared = prepare(pipeline, event("watched", test=1))

    assert prepared.verdict is None
    assert prepared.observed is not None and prepared.observed.error_type == "schema_violation"
    assert prepared.topic == "dc1.watched"


def test_a_stream_without_validation_needs_only_a_schema_uri(pipeline: Pipeline) -> None:
    assert error_type(prepare(pipeline, event("anything", "test/nowhere", test=1))) is None
    assert error_type(prepare(pipeline, event("anything", "../nowhere"))) == "bad_schema_uri"


def test_a_schema_that_nobody_looked_for_is_no_label_of_a_metric(pipeline: Pipeline) -> None:
    for number in range(50):
        assert error_type(prepare(pipeline, event("anything", f"made/up{number}"))) is None
        assert error_type(prepare(pipeline, event("plain", f"made/up{number}"))) == "unknown_schema"
    assert error_type(prepare(pipeline, event("anything"))) is None, "its schema is known, and not asked for"
    assert {judged.schema_uri for judged in pipeline.judged} == {OTHERS}

    assert error_type(prepare(pipeline, event("plain"))) is None
    assert {judged.schema_uri for judged in pipeline.judged} == {OTHERS, "/test/event/1.0.0"}


def test_an_event_of_another_kind_than_the_one_before_is_read_by_its_own_rules(pipeline: Pipeline) -> None:
    headers = {b"user-agent": b"ua"}
    raws = [
        event("keyed", n=1, page={"wiki": "a"}),
        event("http", "test/http"),
        event(),
        b"{}",
        event("http", "test/http"),
    ]

    prepared = [pipeline.prepare(index, raw, arrival(headers)) for index, raw in enumerate(raws)]

    assert [error_type(one) for one in prepared] == [None, None, None, "missing_schema_uri", None]
    assert prepared[0].key == b'{"wiki":"a","n":1}'
    assert value(prepared[4])["http"]["request_headers"] == {"user-agent": "ua"}


def test_routes_are_bounded_and_their_schemas_are_forgotten_with_them(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.intake.router.MAX_ROUTES", 2)
    pipeline = make()
    router = pipeline._router
    steps = (
        ("job.a", "test/event", ["/test/event/1.0.0"]),
        ("job.b", "test/event", ["/test/event/1.0.0"]),
        ("legacy", "analytics/legacy/old", ["/test/event/1.0.0", "/analytics/legacy/old/1.0.0"]),  # job.a is gone.
        ("legacy", "analytics/legacy/old", ["/test/event/1.0.0", "/analytics/legacy/old/1.0.0"]),
    )
    for name in ("job.a", "job.b"):  # Names made up have no route before an event of theirs was taken.
        assert error_type(prepare(pipeline, event(name))) is None
    for stream, title, schemas in steps:
        assert error_type(prepare(pipeline, event(stream, title))) is None
        assert list(router._shortcuts) == [json.dumps(uri).encode() for uri in schemas]
    prepare(pipeline, event("ours"))
    prepare(pipeline, event("watched"))

    assert list(router._shortcuts) == [b'"/test/event/1.0.0"']
    assert sum(router._sharing.values()) == len(router.known) == 2
    before = sum(one.one_decode for one in pipeline.judged)
    assert error_type(prepare(pipeline, event("ours"))) is None
    assert sum(one.one_decode for one in pipeline.judged) == before + 1


def test_events_of_a_request_that_was_told_of_enough_are_told_in_short(pipeline: Pipeline) -> None:
    at = arrival()
    at.problems_left = 3
    told = [prepare(pipeline, event(test=5, n="x"), at).verdict for _ in range(3)]

    assert [(found.error_type, len(found.errors)) for found in told if found] == [
        ("schema_violation", 2),
        ("schema_violation", 0),
        ("schema_violation", 0),
    ]
    assert told[0] is not None and told[2] is not None and told[2].text == told[0].text


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b'{"$schema":"/test/defaults/1.0.0","meta":{"uri":"x"}}', "missing_stream"),
        (b'{"$schema":"/test/defaults/1.0.0","meta":{"stream":"nowhere"}}', "unknown_stream"),
        (b'{"$schema":"/test/defaults/1.0.0","meta":{"stream":"closed"}}', "unknown_stream"),
        (b'{"$schema":"/test/defaults/1.0.0","meta":{"stream":"plain"}}', "schema_title_mismatch"),
        (b'{"$schema":"\\/test/defaults/1.0.0","meta":{"stream":7}}', "missing_stream"),
    ],
)
def test_an_event_that_no_stream_takes_is_shown_with_the_defaults_of_its_schema(
    pipeline: Pipeline, raw: bytes, expected: str
) -> None:
    """Defaults are step 4 of the contract, the stream is step 5, and ``event`` is as received, with defaults."""
    for _ in range(2):
        refused = prepare(pipeline, raw)
        shown = json.loads(refused.value)

        assert error_type(refused) == expected
        assert shown["kind"] == "plain"
        assert shown["meta"]["dt"] == RECEIVED_DT
        assert uuid.UUID(shown["meta"]["id"]).version == 7
        assert {**json.loads(raw)["meta"], **shown["meta"]} == shown["meta"]


def test_an_event_of_another_service_is_shown_with_defaults(make: Make) -> None:
    refused = prepare(make("service_name=here"), event("elsewhere", test="x"))

    assert error_type(refused) == "wrong_service"
    assert json.loads(refused.value)["meta"]["dt"] == RECEIVED_DT


def test_an_event_whose_schema_is_not_known_is_shown_as_it_came(pipeline: Pipeline) -> None:
    for raw in (event("nowhere", "test/nothing"), b'{"meta":{"stream":"nowhere"}}', event("plain", "test/insecure")):
        assert prepare(pipeline, raw).value == raw
