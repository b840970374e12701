"""Every setting of a stream that the intake obeys, seen through a running service."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.harness.served import Served

STREAMS = """
default_settings: {topic_prefixes: [east., west.]}
streams:
  plain: {schema_title: web/page_view}
  other.title: {schema_title: app/tick}
  one.topic: {schema_title: web/page_view, topics: [elsewhere]}
  two.topics: {schema_title: web/page_view, topics: [a, b]}
  bare: {schema_title: web/page_view, topic_prefixes: null}
  keyed: {schema_title: web/page_view, message_key_fields: {visit: visit, stream: meta.stream}}
  theirs: {schema_title: web/page_view, destination_event_service: theirs}
  ours: {schema_title: web/page_view, destination_event_service: penstock}
  asleep: {schema_title: web/page_view, producers: {eventgate: {enabled: false}}}
  observed: {schema_title: web/page_view, producers: {eventgate: {validation: observe}}}
  unjudged: {schema_title: web/page_view, producers: {eventgate: {validation: "off"}}}
  small: {schema_title: web/page_view, producers: {eventgate: {max_event_bytes: 400}}}
  filled:
    schema_title: web/page_view
    producers: {eventgate: {enrich_fields_from_http_headers: {http.request_headers.x-kind: x-kind}}}
  '/^many\\./': {schema_title: web/page_view}
"""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    directory = tmp_path_factory.mktemp("obeyed")
    (directory / "streams.yaml").write_text(STREAMS)
    with Served(
        directory,
        workers=1,
        streams={"sources": ["streams.yaml"]},
        sink={"topic_prefix": "here."},
        intake={"error_stream": ""},
    ) as served:
        yield served


def send(service: Served, stream: str, **members: Any) -> tuple[int, Any]:
    """Status, and the first failure's context."""
    event = {"$schema": "/web/page_view/1.1.0", "meta": {"stream": stream}, "page": f"/{stream}"} | members
    connection = http.client.HTTPConnection(*service.address, timeout=60)
    try:
        connection.request(
            "POST", "/v1/events", json.dumps(event), {"Content-Type": "application/json", "X-Kind": "kind"}
        )
        response = connection.getresponse()
        body = response.read()
    finally:
        connection.close()
    return response.status, json.loads(body)["invalid"][0]["context"]["error_type"] if body else None


def stored(service: Served, stream: str) -> dict[str, Any]:
    """The last record of a stream."""
    return [event for event in service.events() if event["value"]["meta"]["stream"] == stream][-1]


@pytest.mark.parametrize(
    ("stream", "topic"),
    [
        ("plain", "here.plain"),
        ("one.topic", "elsewhere"),
        ("two.topics", "here.two.topics"),
        ("bare", "bare"),
        ("ours", "here.ours"),
        ("many.names", "here.many.names"),
    ],
)
def test_topics_and_prefixes(service: Served, stream: str, topic: str) -> None:
    assert send(service, stream) == (201, None)
    assert stored(service, stream)["topic"] == topic


@pytest.mark.parametrize(
    ("stream", "error_type"),
    [
        ("other.title", "schema_title_mismatch"),
        ("theirs", "wrong_service"),
        ("asleep", "unknown_stream"),
        ("not.declared", "unknown_stream"),
        ("keyed", "missing_key_field"),
    ],
)
def test_events_that_a_stream_does_not_take(service: Served, stream: str, error_type: str) -> None:
    assert send(service, stream) == (400, error_type)


def test_the_key_has_its_fields_in_declared_order(service: Served) -> None:
    assert send(service, "keyed", visit="k3v9x0q2") == (201, None)
    key = stored(service, "keyed")["key"]
    found = json.loads(key) if isinstance(key, str) else key
    assert list(found.items()) == [("visit", "k3v9x0q2"), ("stream", "keyed")]


def test_validation_is_enforced_observed_or_off(service: Served) -> None:
    assert send(service, "plain", load_ms="long") == (400, "schema_violation")
    for stream in ("observed", "unjudged"):
        assert send(service, stream, load_ms="long") == (201, None)
        assert stored(service, stream)["value"]["load_ms"] == "long"


def test_a_stream_can_take_less_than_the_service(service: Served) -> None:
    assert send(service, "small")[0] == 201
    assert send(service, "small", referrer="https://example.org/" + "x" * 400) == (400, "event_too_large")


def test_headers_fill_fields_of_their_stream_alone(service: Served) -> None:
    send(service, "filled")
    send(service, "plain")

    assert stored(service, "filled")["value"]["http"]["request_headers"] == {"x-kind": "kind"}
    assert "request_headers" not in stored(service, "plain")["value"].get("http", {})
