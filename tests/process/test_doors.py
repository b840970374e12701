"""Every way in, over a real socket, to the same stream: what arrived is what was sent."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import brotli
import pytest

from tests.harness.served import EXAMPLES, Served
from tests.process.test_answers import ask

EVENT: dict[str, Any] = {"$schema": "/web/page_view/1.1.0", "meta": {"stream": "web.page_view"}}
ORIGIN = "https://shop.example"

# As Chrome sends it, and as schemas of such streams want it.
REPORT = {
    "age": 30654,
    "body": {"elapsed_time": 108, "method": "GET", "phase": "connection", "status_code": 0, "type": "tcp.refused"},
    "type": "network-error",
    "url": "https://widget.example:8443/",
    "user_agent": "Mozilla/5.0",
}
REPORT_SCHEMA = {
    "title": "browser/report",
    "$id": "/browser/report/1.0.0",
    "type": "object",
    "additionalProperties": False,
    "required": ["$schema", "meta", "type"],
    "properties": {
        "$schema": {"type": "string"},
        "meta": {
            "type": "object",
            "required": ["dt", "stream"],
            "properties": {"dt": {"type": "string"}, "stream": {"type": "string"}},
        },
        "age": {"type": "number"},
        "body": {"type": "object"},
        **{name: {"type": "string"} for name in ("type", "url", "user_agent")},
    },
}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    directory = tmp_path_factory.mktemp("doors")
    title = directory / "schemas" / "browser" / "report"
    title.mkdir(parents=True)
    (title / "1.0.0.yaml").write_text(json.dumps(REPORT_SCHEMA))
    ping = {**REPORT_SCHEMA, "title": "ping", "$id": "/ping/1.0.0", "required": ["$schema", "meta"]}
    (directory / "schemas" / "ping").mkdir()
    (directory / "schemas" / "ping" / "1.0.0.yaml").write_text(json.dumps(ping))
    streams = "{browser.report: {schema_title: browser/report}, ping: {schema_title: ping}}"
    (directory / "more.yaml").write_text(f"streams: {streams}")
    with Served(
        directory,
        schemas={"base_uris": [str(EXAMPLES / "schemas"), "schemas"]},
        streams={"sources": [str(EXAMPLES / "streams.yaml"), "more.yaml"]},
        intake={
            "reports": {"network-error": {"stream": "browser.report", "schema": "/browser/report/1.0.0"}},
            "cloudevents": [
                {"type": "page", "stream": "web.page_view"},
                {"type": "ping", "stream": "ping", "schema": "/ping/1.0.0"},
            ],
        },
        http={"listen": ["127.0.0.1:0"], "cors": {"origins": [ORIGIN]}, "limits": {"max_url_bytes": 2_000}},
    ) as service:
        yield service


def event(page: str) -> dict[str, Any]:
    return {**EVENT, "page": page}


def packed(page: str) -> bytes:
    return json.dumps([event(page)]).encode()


def cloud(page: str) -> dict[str, Any]:
    envelope = {"specversion": "1.0", "id": f"id-{page}", "source": "/s", "type": "page"}
    return {**envelope, "dataschema": EVENT["$schema"], "data": {"page": page}}


def ways() -> Iterator[tuple[str, str, bytes, dict[str, str]]]:
    """Path, page, body, headers."""
    yield "/v1/events", "json", packed("json"), {}
    yield "/v1/events", "bom", b"\xef\xbb\xbf" + packed("bom"), {"content-type": "text/plain;charset=UTF-8"}
    yield "/v1/events", "gzip", gzip.compress(packed("gzip")), {"content-encoding": "gzip"}
    yield "/v1/events", "deflate", zlib.compress(packed("deflate")), {"content-encoding": "deflate"}
    yield "/v1/events", "br", brotli.compress(packed("br")), {"content-encoding": "br"}
    lines = json.dumps(event("ndjson")).encode() + b"\n\nno JSON\n"
    zipped = {"content-type": "application/x-ndjson", "content-encoding": "gzip"}
    yield "/v1/events", "ndjson", gzip.compress(lines), zipped
    one, many = json.dumps(cloud("cloud")).encode(), json.dumps([cloud("batch")]).encode()
    yield "/v1/events", "cloud", one, {"content-type": "application/cloudevents+json"}
    yield "/v1/events", "batch", many, {"content-type": "application/cloudevents-batch+json"}
    attributes = {f"ce-{name}": value for name, value in cloud("").items() if name not in ("data", "id")}
    yield "/v1/events", "binary", b'{"page":"binary"}', {**attributes, "ce-id": "id-binary"}
    yield "/v1/events?hasty=true", "hasty", packed("hasty"), {}
    yield "/v1/beacon", "beacon", packed("beacon"), {"content-type": "text/plain"}


def test_every_way_leads_to_the_same_place(service: Served) -> None:
    expected = {"get", "pixel"}
    for path, page, body, headers in ways():
        verdicts = ask(service, "POST", "/v1/validate", body, **headers).json()["events"]
        assert verdicts[0]["status"] == "valid", (page, verdicts)
        assert ask(service, "POST", path, body, **headers).status in (201, 202, 207), page
        expected.add(page)
    assert ask(service, "GET", f"/v1/beacon?{quote(json.dumps(event('get')), safe='')}").status == 204
    pixel = ask(
        service,
        "GET",
        f"/v1/pixel.gif?{quote(json.dumps({'page': 'pixel'}))}&stream=web.page_view&schema_uri={EVENT['$schema']}",
    )
    assert (pixel.status, pixel.body[:6]) == (200, b"GIF89a")

    arrived = service.until(lambda: kept if len(kept := service.events("web.page_view")) >= len(expected) else [])
    values = {record["value"]["page"]: record["value"] for record in arrived}
    assert values.keys() == expected
    assert values["binary"]["meta"]["id"] == "id-binary"


def test_a_report_arrives_as_it_stands(service: Served) -> None:
    body = json.dumps([REPORT, {**REPORT, "type": "csp-violation"}]).encode()
    answer = ask(service, "POST", "/v1/events", body, **{"content-type": "application/reports+json"})

    assert answer.status == 207
    assert [(one["index"], one["context"]["error_type"]) for one in answer.json()["invalid"]] == [(1, "unknown_stream")]
    (record,) = service.until(lambda: service.events("browser.report"))
    assert record["value"].items() >= REPORT.items()


def test_a_cloudevent_without_data_is_an_event_in_every_mode(service: Served) -> None:
    """HTTP protocol binding 1.0.2, section 3.1: data is optional, and so is its type."""
    attributes = {"specversion": "1.0", "id": "p-1", "source": "/s", "type": "ping"}
    headers = {f"ce-{name}": value for name, value in attributes.items()}
    binary = ask(service, "POST", "/v1/events", b"", **headers)
    structured = ask(
        service,
        "POST",
        "/v1/events",
        json.dumps(attributes).encode(),
        **{"content-type": "application/cloudevents+json"},
    )
    other = ask(service, "POST", "/v1/events", b"{}", **headers, **{"content-type": "application/vnd.acme.ping+json"})

    assert [binary.status, structured.status, other.status] == [201, 201, 201], (binary.body, structured.body)


def test_a_service_that_asks_may_deliver(service: Served) -> None:
    asking = {"webhook-request-origin": "eventemitter.example.com", "webhook-request-rate": "120"}
    answer = ask(service, "OPTIONS", "/v1/events?stream=web.page_view", None, **asking)

    assert answer.status == 200
    assert answer.headers["WebHook-Allowed-Origin"] == "*"
    assert answer.headers["WebHook-Allowed-Rate"] == "*"
    assert "POST" in answer.headers["Allow"]


def test_whatever_the_verdict_a_beacon_is_answered_the_same(service: Served) -> None:
    for query in ("%7B%7D", quote(json.dumps([event("x"), 7, {"page": 1}]))):
        assert ask(service, "GET", f"/v1/pixel.gif?{query}").status == 200
        assert ask(service, "GET", f"/v1/beacon?{query}").status == 204
    assert ask(service, "GET", "/v1/beacon?%7B").status == 400
    assert ask(service, "GET", "/v1/beacon").status == 400
    assert ask(service, "HEAD", "/v1/beacon?%7B%7D").status == 405


@pytest.mark.parametrize(
    ("method", "path", "body", "headers", "status"),
    [
        ("POST", "/v1/events", b"[{}]", {}, 400),
        ("POST", "/v1/events", b"{", {}, 400),
        ("POST", "/v1/events", b"{}", {"content-type": "image/png"}, 415),
        ("POST", "/v1/events", b"{}", {"content-encoding": "gzip"}, 400),
        ("POST", "/v1/events", b"x" * 4_200_000, {}, 413),
        ("GET", "/v1/beacon?" + "x" * 3_000, None, {}, 414),
        ("GET", "/v1/events", None, {}, 405),
        ("OPTIONS", "/v1/events", None, {"access-control-request-method": "POST"}, 204),
    ],
)
def test_a_page_of_an_allowed_site_can_read_why(
    service: Served, method: str, path: str, body: bytes | None, headers: dict[str, str], status: int
) -> None:
    answer = ask(service, method, path, body, origin=ORIGIN, **headers)

    assert answer.status == status
    assert answer.headers["Access-Control-Allow-Origin"] in (ORIGIN, "*")
    assert len(answer.headers.get_all("Access-Control-Allow-Origin", [])) == 1
