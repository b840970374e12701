"""server.intake.forms.forms: whatever a body is made of, its events are judged as if they had been posted as JSON."""

from __future__ import annotations

import asyncio
import base64
import json
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from server.http.around.content import FORMATS
from server.intake import receive
from server.intake.text import cut
from server.timing import turns
from tests.server.intake.test_receive import Bench, FakeRequest

EVENT: dict[str, Any] = {"$schema": "/test/event/1.0.0", "meta": {"stream": "plain"}, "test": "x"}
NDJSON, REPORTS = b"application/x-ndjson", b"application/reports+json"
CLOUD, BATCH = b"application/cloudevents+json", b"application/cloudevents-batch+json"

SETTINGS = (
    """intake.reports={crash: {stream: plain, schema: /test/event/1.0.0},
    csp-report: {stream: plain, schema: /test/event/1.0.0}}""",
    """intake.cloudevents=[{source: /shop*, type: org.*.sold, stream: plain, schema: /test/event/1.0.0},
    {type: odd, stream: keyed}]""",
    "intake.source_field=test",
)
Seen = list[dict[str, Any]]


class Doors:
    """Asks /v1/validate of a receiver."""

    def __init__(self, settings_path: Path, *overrides: str) -> None:
        self.bench = Bench(settings_path, *SETTINGS, *overrides)

    def ask(self, body: bytes, headers: dict[bytes, bytes]) -> FakeRequest:
        request = FakeRequest(body)
        request.headers = headers
        self.bench.receiver.handle_validate(request)
        return request

    def __call__(self, body: Any, content_type: bytes, **headers: bytes) -> Seen:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        named = {name.replace("_", "-").encode(): value for name, value in headers.items()}
        request = self.ask(raw, {b"content-type": content_type, **named})
        assert request.status == 200, request.replies
        events: Seen = request.answer["events"]
        return events


@pytest.fixture
def doors(settings_path: Path) -> Doors:
    return Doors(settings_path)


def outcomes(events: Seen) -> list[Any]:
    return [event["context"]["error_type"] if "context" in event else "valid" for event in events]


def test_every_line_of_ndjson_is_judged_by_itself_and_empty_lines_have_no_index(doors: Doors) -> None:
    line = json.dumps(EVENT).encode()
    lines = [b"", line, b'{"a":', b" \t", line + b"\r", b"[1]", b"7", b"\xff", line.replace(b'"x"', b"1")]
    events = doors(b"\n".join(lines) + b"\n", NDJSON)

    bad = "not_an_object"
    assert outcomes(events) == ["valid", bad, "valid", bad, bad, bad, "schema_violation"]
    assert [event["index"] for event in events] == list(range(7))
    assert events[1]["event"] == '{"a":'
    assert "truncated" in events[1]["context"]["errorsText"]
    assert events[5]["event"] == "\ufffd"


def test_ndjson_skips_a_byte_order_mark_and_bounds_its_lines(settings_path: Path) -> None:
    doors = Doors(settings_path, "http.limits.max_events=2")
    line = json.dumps(EVENT).encode() + b"\n"

    assert outcomes(doors(b"\xef\xbb\xbf" + line * 2 + b"\n\n", NDJSON)) == ["valid", "valid"]
    assert doors.ask(line * 3, {b"content-type": NDJSON}).status == 413
    assert doors.ask(b" \n\n", {b"content-type": NDJSON}).status == 400


def test_a_line_that_is_no_json_is_shown_in_short(doors: Doors) -> None:
    (event,) = doors(b"x" * 1_000_000, NDJSON)

    assert len(event["event"]) == 65_536


def test_a_report_becomes_an_event_of_the_stream_of_its_type(doors: Doors) -> None:
    report = {"type": "crash", "age": 12, "url": "https://a.example/", "user_agent": "B/1", "body": {"reason": "oom"}}
    other = {**report, "type": "deprecation"}
    events = doors([report, other, {"age": 1}, 7, EVENT], REPORTS)

    assert outcomes(events) == ["valid", "unknown_stream", "missing_stream", "not_an_object", "valid"]
    assert (events[0]["stream"], events[0]["schema_uri"]) == ("plain", "/test/event/1.0.0")
    assert events[0]["event"].items() >= report.items()
    assert "'deprecation'" in events[1]["context"]["errorsText"]
    assert outcomes(doors(report, REPORTS)) == ["valid"]


def cloud(**more: Any) -> dict[str, Any]:
    made = {"specversion": "1.0", "id": "A-1", "source": "/shop/7", "type": "org.example.sold", "data": {}} | more
    return {name: value for name, value in made.items() if value is not None}


def test_a_cloudevent_gives_schema_stream_identity_time_and_source(doors: Doors) -> None:
    (event,) = doors(cloud(time="2026-01-02T03:04:05Z", data={"n": 1.50}), CLOUD)

    assert (event["status"], event["stream"]) == ("valid", "plain")
    assert event["event"] == {
        "$schema": "/test/event/1.0.0",
        "meta": {"id": "A-1", "dt": "2026-01-02T03:04:05Z", "stream": "plain"},
        "test": "/shop/7",
        "n": 1.5,
    }


def test_what_an_event_says_itself_goes_before_what_its_envelope_says(doors: Doors) -> None:
    own = {**EVENT, "meta": {"stream": "anything", "id": "mine", "dt": "2025-01-01T00:00:00Z"}}
    (event,) = doors(cloud(time="2026-01-02T03:04:05Z", dataschema="/test/none/1.0.0", data=own), CLOUD)

    assert (event["event"], event["stream"]) == (own, "anything")


@pytest.mark.parametrize(
    ("envelope", "outcome"),
    [
        (cloud(dataschema="/test/event/1.0.0"), "valid"),
        (cloud(dataschema="/test/none/1.0.0"), "unknown_schema"),
        (cloud(dataschema="file:///etc/passwd"), "bad_schema_uri"),
        (cloud(source="/elsewhere"), "missing_schema_uri"),
        (cloud(source="/elsewhere", dataschema="/test/event/1.0.0"), "missing_stream"),
        (cloud(type="odd", dataschema="/test/event/1.0.0"), "missing_key_field"),
        (cloud(data=None), "valid"),
        (cloud(data=None, data_base64=base64.b64encode(b'{"n":1}').decode()), "valid"),
        (cloud(data=None, data_base64=base64.b64encode(b"no JSON").decode()), "not_an_object"),
        (cloud(data=None, data_base64="%%%"), "not_an_object"),
        (cloud(data=None, data_base64="\u00e9"), "not_an_object"),
        (cloud(data=None, data_base64=7), "not_an_object"),
        (cloud(data=None, data_base64=""), "valid"),
        (cloud(data=None, data_base64=base64.b64encode(b'[{"n":1}]').decode()), "not_an_object"),
        (cloud(data=None, data_base64=base64.b64encode(b'\xef\xbb\xbf {"n":1} ').decode()), "valid"),
        (cloud(data_base64=""), "schema_violation"),
        (cloud(datacontenttype="application/vnd.acme+json", comexampleextension1=7, subject=None), "valid"),
        (cloud(datacontenttype="application/xml", data='<much wow="xml"/>'), "not_an_object"),
        (cloud(time={"odd": 1}), "valid"),
        (cloud(data=[1]), "not_an_object"),
        (cloud(data="text"), "not_an_object"),
        (cloud(data={"n": "x"}), "schema_violation"),
        (cloud(time="yesterday"), "schema_violation"),
        (cloud(id=None), "schema_violation"),
        (cloud(id=""), "schema_violation"),
        (cloud(id=7), "schema_violation"),
        (cloud(type=None), "schema_violation"),
        (cloud(specversion="0.3"), "schema_violation"),
        (cloud(source="x" * 9_000), "schema_violation"),
        (7, "not_an_object"),
    ],
)
def test_an_envelope_is_judged_for_its_own_event(doors: Doors, envelope: Any, outcome: str) -> None:
    events = doors([cloud(), envelope, cloud()], BATCH)

    assert outcomes(events) == ["valid", outcome, "valid"]


def test_one_cloudevent_is_no_array(doors: Doors) -> None:
    request = doors.ask(json.dumps([cloud()]).encode(), {b"content-type": CLOUD})

    assert request.status == 400
    assert b"cloudevents-batch+json" in request.replies[0][2]
    request = doors.ask(json.dumps(cloud()).encode(), {b"content-type": BATCH})
    assert request.status == 400
    assert b"cloudevents+json" in request.replies[0][2]
    assert outcomes(doors(b"\xef\xbb\xbf " + json.dumps([cloud()]).encode(), BATCH)) == ["valid"]


def test_what_report_uri_sends_has_its_type_from_its_content_type(doors: Doors) -> None:
    """Content Security Policy Level 3, section 5.4: one object with one member, without a type."""
    report = {"csp-report": {"document-uri": "https://a.example/", "blocked-uri": "inline"}}
    (event,) = doors(report, b"application/csp-report; charset=utf-8")

    assert (event["status"], event["stream"]) == ("valid", "plain")
    assert event["event"]["csp-report"] == report["csp-report"]
    assert outcomes(doors([report, 7, EVENT], b"application/csp-report")) == ["valid", "not_an_object", "valid"]
    assert outcomes(doors(report, REPORTS)) == ["missing_stream"]


@pytest.mark.parametrize("duplicates", ["reject", "accept"])
@pytest.mark.parametrize(
    "data",
    [
        b'{"n":1,"n":2}',
        b'{"test":"a","test":"b"}',
        b'{"meta":{"stream":"plain"},"meta":{"stream":"plain"}}',
        b'{"meta":{"id":"a","id":"b"}}',
        b'{"meta":{"stream":"plain","str\\u0065am":"plain"}}',
        b'{"page":{"wiki":"a","wiki":"b"}}',
    ],
)
@pytest.mark.parametrize("form", [CLOUD, BATCH, b"application/json"])
def test_names_that_occur_twice_are_refused_in_a_cloudevent_as_in_any_event(
    settings_path: Path, form: bytes, data: bytes, duplicates: str
) -> None:
    doors = Doors(settings_path, f"intake.duplicate_keys={duplicates}")
    envelope = json.dumps(cloud(time="2026-01-02T03:04:05Z")).encode()
    one = envelope.replace(b'"data": {}', b'"data":' + data)
    headers = {"ce_specversion": b"1.0", "ce_id": b"A-1", "ce_source": b"/shop/7", "ce_type": b"org.example.sold"}
    if form == CLOUD:
        events = doors(one, form)
    elif form == BATCH:
        events = doors(b"[" + envelope + b"," + one + b"]", form)
        assert outcomes(events[:1]) == ["valid"], "the others of the batch are not touched"
    else:
        events = doors(data, form, **headers)

    assert outcomes(events[-1:]) == ["duplicate_key" if duplicates == "reject" else "valid"]


def test_the_attributes_of_a_cloudevent_may_be_headers(doors: Doors) -> None:
    headers = {"ce_specversion": b"1.0", "ce_id": b"%C3%A9-1", "ce_source": b"/shop", "ce_type": b"org.a.sold"}
    (event,) = doors(b' {"n": 1}', b"application/json", **headers)
    assert event["event"]["meta"]["id"] == "\u00e9-1"
    assert (event["status"], event["event"]["n"]) == ("valid", 1)

    (event,) = doors(b"{}", b"application/json; charset=utf-8", **{**headers, "ce_id": b""})
    assert "'id'" in event["context"]["errorsText"]
    assert outcomes(doors(b"[{},{}]", b"application/json", **headers)) == ["not_an_object"]
    assert doors.ask(b"{", {b"ce-specversion": b"1.0"}).status == 400


@pytest.mark.parametrize("data", [None, b"{}", b'{"n":1}', b"[{}]", b'{"n":"x"}', b"\xef\xbb\xbf{}"])
@pytest.mark.parametrize("outside", [{}, {"ce_comexampleextension1": b"value"}, {"ce_datacontenttype": b"text/xml"}])
def test_a_cloudevent_gets_the_same_verdict_in_every_mode(doors: Doors, data: bytes | None, outside: Any) -> None:
    headers = {"ce_specversion": b"1.0", "ce_id": b"A-1", "ce_source": b"/shop/7", "ce_type": b"org.example.sold"}
    encoded = {} if data is None else {"data_base64": base64.b64encode(data).decode()}
    (binary,) = doors(data or b"", b"application/json", **headers, **outside)
    (structured,) = doors(cloud(data=None, **encoded), CLOUD)
    for found in (binary, structured):
        if isinstance(found["event"], dict):
            del found["event"]["meta"]["dt"]

    assert binary == structured
    assert (binary["status"] == "valid") is (data is None or data.strip(b"\xef\xbb\xbf") in (b"{}", b'{"n":1}'))


def test_a_cloudevent_without_data_needs_no_content_type(doors: Doors) -> None:
    request = doors.ask(
        b"",
        {b"ce-specversion": b"1.0", b"ce-id": b"A-1", b"ce-source": b"/shop/7", b"ce-type": b"org.example.sold"},
    )

    assert request.answer["events"][0]["status"] == "valid"
    assert doors.ask(b" ", {b"ce-specversion": b"1.0"}).status == 400
    assert doors.ask(b"", {b"content-type": b"application/json"}).status == 400


@pytest.mark.parametrize(
    ("header", "text"),
    [
        (b"Euro%20%E2%82%AC%20%F0%9F%98%80", "Euro \u20ac \U0001f600"),  # The binding's own example.
        (b"%e2%82%ac", "\u20ac"),
        (b"%41", "A"),
        (b"%2541", "%41"),
        (b"100%", "100%"),
        (b'"a b"', "a b"),
        (b'"a \\"b\\" \\\\ c"', 'a "b" \\ c'),
        (b'"%22"', '"'),
        (b'a"', 'a"'),
        ("Bogot\u00e1".encode(), "Bogot\u00e1"),
        ("Bogot\u00e1".encode("latin-1"), "Bogot\u00e1"),
        (b"%C0%A0", None),  # An overlong blank.
        (b"%ED%A0%80", None),  # Half a surrogate pair.
        (b"%FF", None),
    ],
)
def test_an_attribute_is_read_from_its_header_as_the_binding_says(
    doors: Doors, header: bytes, text: str | None
) -> None:
    """HTTP protocol binding 1.0.2, section 3.1.3.2."""
    headers = {"ce_specversion": b"1.0", "ce_source": b"/shop/7", "ce_type": b"org.example.sold"}
    (event,) = doors(b"{}", b"application/json", ce_id=header, **headers)

    if text is None:
        assert event["context"]["error_type"] == "schema_violation"
        assert "'id'" in event["context"]["errorsText"]
    else:
        assert event["event"]["meta"]["id"] == text


def test_without_settings_such_headers_mean_nothing(settings_path: Path) -> None:
    bench = Bench(settings_path)
    request = FakeRequest(json.dumps(EVENT).encode())
    request.headers = {b"ce-specversion": b"1.0"}
    bench.receiver.handle_validate(request)

    assert outcomes(request.answer["events"]) == ["valid"]


def test_headers_may_name_schema_and_stream_when_the_settings_say_so(settings_path: Path) -> None:
    named = {b"x-schema": b"/test/event/1.0.0", b"x-stream": b"plain"}
    doors = Doors(settings_path, "intake.schema_uri_header=X-Schema", "intake.stream_header=X-Stream")
    off = Doors(settings_path)

    assert outcomes(doors.ask(b"{}", named).answer["events"]) == ["valid"]
    assert outcomes(doors.ask(json.dumps(EVENT).encode(), {b"x-stream": b"no"}).answer["events"]) == ["valid"]
    assert outcomes(off.ask(b"{}", named).answer["events"]) == ["missing_schema_uri"]
    assert outcomes(doors(cloud(), CLOUD, x_stream=b"keyed")) == ["valid"]
    assert outcomes(doors(b"{}\n{}", NDJSON, x_schema=b"/test/event/1.0.0", x_stream=b"plain")) == ["valid", "valid"]


@pytest.mark.parametrize("handler", ["handle_query", "handle_test_events"])
def test_what_is_said_of_a_body_says_nothing_of_events_from_elsewhere(settings_path: Path, handler: str) -> None:
    bench = Bench(settings_path, *SETTINGS, f"intake.test_events={json.dumps([EVENT])}")
    sent: list[Any] = []
    bench.sink.submit = lambda record, on_ack: sent.append(record)  # type: ignore[method-assign]
    request = FakeRequest(b"[\n" + json.dumps(EVENT).encode() + b"\n]")
    request.headers = {b"content-type": NDJSON, b"ce-specversion": b"1.0", b"user-agent": b"B"}
    getattr(bench.receiver, handler)(request)

    assert [event.topic for event in sent] == ["dc1.plain"]
    assert request.headers == {b"user-agent": b"B"}


DEEP = b'{"a":' + b"[" * 20_000 + b"]" * 20_000 + b"}"  # Too deep for the decoders of every Python.
HALF = json.dumps(EVENT).encode().replace(b'"x"', b'"\\ud800"')
TOO_LONG = json.dumps(EVENT).encode().replace(b'"x"', b'"%b"' % (b"x" * 1_048_576))


@pytest.mark.parametrize("filler", [1, 3_000], ids=["small", "large"])
@pytest.mark.parametrize(
    ("odd", "outcome"),
    [(DEEP, "event_too_large"), (TOO_LONG, "event_too_large"), (HALF, "schema_violation")],
    ids=["deep", "long", "half a pair"],
)
@pytest.mark.parametrize("form", [b"application/json", NDJSON, REPORTS, BATCH])
def test_one_odd_event_costs_no_other_its_acceptance(
    doors: Doors, form: bytes, odd: bytes, outcome: str, filler: int
) -> None:
    usual = json.dumps(cloud(data=EVENT) if form == BATCH else EVENT).encode()
    if form == BATCH:
        odd = usual.replace(json.dumps(EVENT).encode(), odd)
    events = [usual] * filler + [odd, usual]
    body = b"\n".join(events) if form == NDJSON else b"[" + b",".join(events) + b"]"
    with_turns = asyncio.run(_asked(doors, body, form))

    assert outcomes(with_turns) == ["valid"] * filler + [outcome, "valid"]


async def _asked(doors: Doors, body: bytes, form: bytes) -> Seen:
    request = doors.ask(body, {b"content-type": form})
    await request.answered()
    assert request.status == 200, request.replies
    events: Seen = request.answer["events"]
    return events


@pytest.mark.parametrize("form", [b"application/json", NDJSON, REPORTS, BATCH])
def test_events_of_every_form_are_found_and_unwrapped_in_turns(
    doors: Doors, form: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "TURN_S", -1.0)
    monkeypatch.setattr(receive, "AT_ONCE_S", -1.0)
    monkeypatch.setattr(cut, "CHUNK_BYTES", 2_000)
    largest = 0
    usual = json.dumps(cloud(data=EVENT) if form == BATCH else EVENT).encode()
    events = [usual] * 4_000
    body = b"\n".join(events) if form == NDJSON else b"[" + b",".join(events) + b"]"

    async def test() -> None:
        nonlocal largest
        request = doors.ask(body, {b"content-type": form})
        (preparing,) = doors.bench.receiver._waiting
        prepared = found = steps = 0
        while not request.replies:
            await asyncio.sleep(0)
            raws = preparing.batch._cut.raws if preparing.batch._cut is not None else preparing.batch._raws
            largest = max(largest, len(raws) - found, len(preparing.batch.events) - prepared)
            found, prepared = len(raws), len(preparing.batch.events)
            steps += 1
        assert steps > 4_000 // 32
        assert outcomes(request.answer["events"]) == ["valid"] * 4_000

    asyncio.run(test())

    assert largest <= 32


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_each_format_of_the_table_is_a_module_of_the_folder(name: str) -> None:
    assert callable(import_module(f"server.intake.forms.{name}").form)
