"""One decode, or step by step: the same event, the same verdict, the same record."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.boot.generation import read
from server.catalog.stream import make
from server.config.settings import Config
from server.intake.arrival import Arrival
from server.intake.event import Event
from server.intake.pipeline import Pipeline, make_pipeline
from server.intake.text.cut import split
from tests.server.auth.guarded import access, key
from tests.validators.mutations import mutations
from tests.validators.quick.test_structs import made

RECEIVED = 1_767_323_045_678, b'"2026-01-02T03:04:05.678Z"'
HEADERS = {b"user-agent": b'curl "7\\', b"x-request-id": b"r1"}


def arrival(headers: dict[bytes, bytes]) -> Arrival:
    return Arrival(*RECEIVED, headers, lambda _: "192.0.2.7" if headers else "")


def record(prepared: Event) -> Any:
    """Everything that leaves the pipeline, but for identities, which are random. Of what is refused, no record does."""
    verdicts = [each and (each.error_type, each.text) for each in (prepared.verdict, prepared.observed)]
    if prepared.verdict is not None:
        return tuple(verdicts)
    value = json.loads(prepared.value, parse_int=str, parse_float=str)
    meta = value.get("meta") if isinstance(value, dict) else None
    new_id = meta.pop("id", None) if isinstance(meta, dict) else None
    is_new = isinstance(new_id, str) and len(new_id) == 36
    return (*verdicts, value, is_new or new_id, prepared.topic, prepared.key, prepared.timestamp_ms, prepared.headers)


def in_one_decode(pipeline: Pipeline) -> int:
    return sum(judged.one_decode for judged in pipeline.judged)


class Ways:
    """The same pipeline twice; one of them never takes the short way."""

    def __init__(self, make_one: Any) -> None:
        self.short: Pipeline = make_one()
        self.long: Pipeline = make_one()
        self.taken = 0

    def compare(self, raw: bytes, headers: dict[bytes, bytes] = HEADERS) -> Any:
        before = in_one_decode(self.short)
        short = record(self.short.prepare(0, raw, arrival(headers)))
        self.taken += in_one_decode(self.short) - before
        self.long._known.clear()  # The routes that have a short way.
        long = self.long.prepare(0, raw, arrival(headers))
        assert in_one_decode(self.long) == 0
        assert short == record(long), raw
        return short


TEXT = [
    {},
    {"type": "string"},
    {"type": "string", "maxLength": 36},
    {"type": "string", "maxLength": 23},
    {"type": "string", "pattern": "^[0-9a-f-]{36}$", "maxLength": 40},
    {"type": "string", "format": "date-time", "maxLength": 64},
    {"type": "string", "format": "uri-reference", "maxLength": 500},
    {"type": ["string", "null"]},
    {"enum": ["x"]},
    {"type": "integer"},
]
META: dict[str, Any] = {"type": "object", "properties": {"stream": TEXT[1], "request_id": TEXT[1]}}
NAMES = ["dt", "id", "stream", "http", "user-agent", "meta", "x"]


def objects(properties: dict[str, st.SearchStrategy[Any]], maps: bool = False) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {"type": st.sampled_from(["object", "object", ["object", "null"]])},
        optional={
            "properties": st.fixed_dictionaries({}, optional=properties),
            "required": st.lists(st.sampled_from(sorted(properties)), max_size=2, unique=True),
            "additionalProperties": st.sampled_from([True, False, {"type": "string", "maxLength": 400}]),
            "maxProperties": st.sampled_from([1, 3, 9]),
            "propertyNames": st.sampled_from([{"maxLength": 128}, {"maxLength": 4}]),
        }
        if maps
        else {
            "properties": st.fixed_dictionaries({}, optional=properties),
            "required": st.lists(st.sampled_from(sorted(properties)), max_size=2, unique=True),
            "additionalProperties": st.sampled_from([True, True, False]),
        },
    )


LEAF = st.sampled_from(TEXT)
SCHEMAS = objects(
    {
        "$schema": st.just({"type": "string"}),
        "dt": LEAF,
        "meta": objects({"dt": LEAF, "id": LEAF, "stream": st.just({"type": "string"}), "request_id": LEAF}),
        "http": objects(
            {"client_ip": LEAF, "x": LEAF, "request_headers": objects({"user-agent": LEAF, "x": LEAF}, maps=True)}
        ),
    }
)
VALUES: st.SearchStrategy[Any] = st.sampled_from([None, 1, "x", "2026-01-02T03:04:05Z", {}, [], {"x": "x"}])
HTTP = st.dictionaries(st.sampled_from(["client_ip", "request_headers", "x"]), VALUES, max_size=3)
EVENTS: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {
        "$schema": st.just("/a/b/1.0.0"),
        "meta": st.dictionaries(st.sampled_from(["dt", "id", "request_id", "x"]), VALUES, max_size=3).map(
            lambda some: {**some, "stream": "s"}
        ),
    },
    optional={"dt": VALUES, "http": VALUES | HTTP, "meta ": st.just({"meta": {}}), "é\\": st.just("meta")},
)
STREAM = make(
    "s",
    "s",
    {
        "message_key_fields": {"who": "meta.request_id", "n": "x"},
        "producers": {
            "eventgate": {
                "enrich_fields_from_http_headers": {
                    "meta.request_id": "x-request-id",
                    "http.request_headers.user-agent": "user-agent",
                }
            }
        },
    },
    "",
)


STREAM_WITHOUT_KEY = msgspec.structs.replace(STREAM, key_fields=())


@pytest.mark.slow(reason="it compiles a validator for each of 1,500 schemas")
@settings(derandomize=True, max_examples=1_500, deadline=None)
@given(
    schema=SCHEMAS, events=st.lists(EVENTS, min_size=2, max_size=4), is_keyed=st.booleans(), has_headers=st.booleans()
)
def test_any_schema_and_event(
    schema: dict[str, Any], events: list[dict[str, Any]], is_keyed: bool, has_headers: bool
) -> None:
    stream = STREAM if is_keyed else STREAM_WITHOUT_KEY
    validator = made(schema)
    ways = Ways(lambda: make_pipeline(Config(), lambda _: validator, lambda _: stream))
    for each in [{"$schema": "/a/b/1.0.0", "meta": {"stream": "s"}}, *events]:
        ways.compare(json.dumps(each, separators=(",", ":")).encode(), HEADERS if has_headers else {})


@pytest.mark.parametrize(
    "http",
    [
        {"properties": {"request_headers": {"type": "object", "required": ["z"]}}},
        {"properties": {"request_headers": {"type": "object", "required": ["z"]}}, "required": ["request_headers"]},
        {"properties": {"request_headers": {"$ref": "#/definitions/h"}}},
        {"properties": {"request_headers": {"type": "object", "additionalProperties": {"format": "regex"}}}},
        {"properties": {"request_headers": {"type": "object", "properties": {}, "additionalProperties": True}}},
    ],
)
def test_an_object_that_filling_in_would_make_two_levels_deep(http: dict[str, Any]) -> None:
    headers = {"type": "object", "required": ["z"], "properties": {"user-agent": {"type": "string"}}}
    meta = {"type": "object", "properties": {"stream": {"type": "string"}}}
    schema = {
        "type": "object",
        "properties": {"$schema": {"type": "string"}, "meta": meta, "http": {"type": "object", **http}},
        "definitions": {"h": headers},
    }
    of_http: Any = schema["properties"]
    at = of_http["http"]["properties"]["request_headers"]
    if "properties" not in at and "$ref" not in at and "additionalProperties" not in at:
        at["properties"] = {"user-agent": {"type": "string"}}
    validator = made(schema)
    ways = Ways(lambda: make_pipeline(Config(), lambda _: validator, lambda _: STREAM_WITHOUT_KEY))
    for _ in range(3):
        ways.compare(b'{"$schema":"/a/b/1.0.0","meta":{"stream":"s"}}', {b"user-agent": b"("})


@pytest.mark.slow(reason="it mutates all real events")
def test_real_events_and_their_mutations(corpus: Path, tmp_path: Path) -> None:
    file = tmp_path / "penstock.yaml"
    names = {
        "schemas": {"base_uris": [str(corpus / "jsonschema")]},
        "streams": {"sources": [str(corpus / "streams.yaml")]},
    }
    file.write_text(json.dumps({**names, "sink": {"kind": "memory"}}))
    generation = read(file, [])
    ways = Ways(lambda: make_pipeline(generation.config, generation.schemas.find, generation.snapshot.find))
    rng = random.Random(5)
    count = 0
    for line in (corpus / "events-routed.ndjson").read_bytes().splitlines():
        event = json.loads(line)
        validator = generation.schemas.find_here(event["$schema"])
        assert not isinstance(validator, tuple)
        ways.compare(line)
        for raw in (line, *mutations(validator.schema, event, rng, 60)):
            if not isinstance(split(raw), str):  # The rest gets no further.
                count += 1
                ways.compare(raw)

    assert ways.taken > count * 0.2


def test_a_schema_with_defaults_is_filled_in_alike_and_never_read_in_one_decode() -> None:
    item = {"type": "object", "required": ["a"], "properties": {"a": {"type": "integer", "default": 1}}}
    validator = made(
        {
            "type": "object",
            "properties": {
                "$schema": TEXT[1],
                "meta": {**META, "properties": {**META["properties"], "dt": TEXT[1]}},
                "l": {"type": "array", "items": item},
                "http": {"type": "object", "default": {}, "properties": {"client_ip": TEXT[1]}},
            },
        }
    )
    ways = Ways(lambda: make_pipeline(Config(), lambda _: validator, lambda _: STREAM_WITHOUT_KEY))
    for more, expected in (("[{},{}]", [{"a": "1"}, {"a": "1"}]), ('[{"a":2.0}]', [{"a": "2.0"}])):
        for _ in range(3):
            found = ways.compare(b'{"$schema":"/a/b/1.0.0","meta":{"stream":"s"},"l":%b}' % more.encode())

            assert found[2]["l"] == expected
            assert found[2]["http"] == {"client_ip": "192.0.2.7"}
    assert ways.taken == 0


def test_an_event_that_its_defaults_make_too_large_is_refused_as_too_large() -> None:
    large = {"type": "object", "properties": {"a": {"type": "string", "default": "x" * 40}}}
    properties = {"$schema": TEXT[1], "meta": META, "l": {"type": "array", "items": large}}
    validator = made({"type": "object", "properties": properties})
    ways = Ways(lambda: make_pipeline(Config(), lambda _: validator, lambda _: SMALL))
    raw = b'{"$schema":"/a/b/1.0.0","meta":{"stream":"s"},"l":[{},{},{}]}'

    assert ways.compare(raw) == (
        ("event_too_large", "with the defaults of its schema the event has more than the 90 bytes that are allowed"),
        None,
    )


SMALL = msgspec.structs.replace(STREAM_WITHOUT_KEY, max_event_bytes=90)


@pytest.mark.parametrize("stream", [STREAM, STREAM_WITHOUT_KEY, SMALL], ids=["keyed", "plain", "small"])
@pytest.mark.parametrize(
    ("given", "expected"), [("web", None), ("other", "forbidden"), ("nobody", "unauthorized"), (None, "unauthorized")]
)
def test_who_may_not_write_is_refused_either_way(given: str | None, expected: str | None, stream: Any) -> None:
    text, kept = key("web", streams=("s",))
    other_text, other = key("other", streams=("t",))
    guard = access(kept, other, default=["api_keys"]).guard
    keys = {"web": text, "other": other_text, "nobody": text[:-4] + "xxxx"}
    headers = {**HEADERS, b"x-api-key": keys[given].encode()} if given else HEADERS
    validator = made({"type": "object", "properties": {"$schema": TEXT[1], "meta": META}})
    ways = Ways(lambda: make_pipeline(Config(), lambda _: validator, lambda _: stream, None, guard))
    for more in ("", ',"x":"y"', ',"x":"' + "y" * 99 + '"'):
        raw = b'{"$schema":"/a/b/1.0.0","meta":{"stream":"s","request_id":"r"}%b}' % more.encode()
        found = [ways.compare(raw, headers)[0] for _ in range(3)]

        assert len({*found}) == 1
        assert expected is None or found[0][0] == expected
    assert ways.taken
