"""What settings ask of one another."""

from __future__ import annotations

import sys

import msgspec
import pytest

from server.config.framework.document import parse
from server.config.framework.finding import Finding
from server.config.framework.judge import judge
from server.config.load import _without_empty
from server.config.program import PENSTOCK
from server.config.rules import breaches
from server.config.settings import Config
from server.config.urls import is_url, origin_of


def findings(text: str) -> list[Finding]:
    document = parse(text, "s.yaml")
    return breaches(msgspec.convert(_without_empty(document.value, Config), Config), document)


def test_the_defaults_break_no_rule() -> None:
    assert findings("") == []


@pytest.mark.parametrize(
    ("text", "key", "reason"),
    [
        ("http: {limits: {max_event_bytes: 5000000}}", "http.limits.max_event_bytes", "more than http.limits.max_body"),
        ("http: {limits: {max_body_bytes: 500000}}", "http.limits.max_event_bytes", "more than http.limits.max_body"),
        ("http: {limits: {max_in_flight_bytes: 2000000}}", "http.limits.max_body_bytes", "never be accepted"),
        ("http: {limits: {max_url_bytes: 40000}}", "http.limits.max_url_bytes", "a part of the head"),
        ("http: {listen: ['8192']}", "http.listen[0]", "is not an address to listen on"),
        ("http: {listen: ['a:1', 'a:1']}", "http.listen[1]", "the same address as http.listen[0]"),
        ("http: {listen: ['0.0.0.0:8193']}", "admin.listen", "the same address as http.listen[0]"),
        ("admin: {listen: '127.0.0.1:8192'}", "admin.listen", "the same address as http.listen[0]"),
        ("admin: {listen: nonsense}", "admin.listen", "is not an address to listen on"),
        ("http: {trusted_proxies: [10.0.0.0/8, 10.0.0.1/8]}", "http.trusted_proxies[1]", "has host bits set"),
        ("http: {trusted_proxies: [proxy.example]}", "http.trusted_proxies[0]", "does not appear to be"),
        ("http: {client_ip_header: 'a b', trusted_proxies: ['::1']}", "http.client_ip_header", "not a header name"),
        ("http: {cors: {origins: ['https://a.example/']}}", "http.cors.origins[0]", "is not an origin"),
        ("http: {cors: {origins: ['https://*']}}", "http.cors.origins[0]", "is not an origin"),
        ("http: {cors: {origins: ['*'], credentials: true}}", "http.cors.credentials", "cookies of its visitors"),
        (
            "http: {client_ip_header: a-b-c-d-e-f-g-h-i-j, trusted_proxies: ['::1']}",
            "http.client_ip_header",
            "more than 8 hyphens",
        ),
        ("http: {proxy_protocol: true}", "http.proxy_protocol", "refuses every connection"),
        ("http: {limits: {max_header_bytes: 40000}}", "http.limits.max_header_bytes", "a part of the head"),
        ("sink: {kafka_headers: [schema-uri, schema-uri]}", "sink.kafka_headers[1]", "is there already"),
        ("process: {late_s: 0.5}", "process.late_s", "is not more than process.beat_s"),
        ("workers: 100", "workers", "more than process.max_workers"),
        ("intake: {stream_field: meta..stream}", "intake.stream_field", "not a path in an event"),
        ("intake: {schema_uri_field: [$schema, ' ']}", "intake.schema_uri_field[1]", "not a path in an event"),
        ("intake: {error_stream: a b}", "intake.error_stream", "not a legal name"),
        ("service_name: a b", "service_name", "not a legal name"),
        ("tracing: {endpoint: '127.0.0.1:4318'}", "tracing.endpoint", "is not an http or https URL"),
        ("tracing: {endpoint: 'http://u:p@a/'}", "tracing.endpoint", "has a user name or a password"),
        ("streams: {sources: ['https://u:pw@example.org/']}", "streams.sources[0]", "has a user name or a password"),
        ("streams: {sources: ['https:///path']}", "streams.sources[0]", "not an http or https URL with a host"),
        ("streams: {sources: ['http://a:99999/']}", "streams.sources[0]", "ort out of range"),
        ("streams: {sources: ['http://a/b c']}", "streams.sources[0]", "has a space"),
        ("streams: {sources: ['http://a/#b']}", "streams.sources[0]", "has a fragment"),
        ("streams: {sources: ['ftp://a/b']}", "streams.sources[0]", "neither a path nor an http"),
        ("schemas: {base_uris: ['http://a/?b=c']}", "schemas.base_uris[0]", "has a query"),
        ("schemas: {base_uris: ['http://a'], headers: {'a b': c}}", "schemas.headers.a b", "is not a header name"),
        ("schemas: {base_uris: ['http://a'], headers: {Host: \"a\\nb\"}}", "schemas.headers.Host", "no header may"),
        ("streams: {sources: ['http://a'], headers: {If-None-Match: a}}", "streams.headers.If-None-Match", "itself"),
        ("streams: {sources: ['http://a'], constraints: {a: b|c}}", "streams.constraints.a", "would end the"),
        ("fetch: {allowed_origins: ['https://a/b']}", "fetch.allowed_origins[0]", "is not an origin"),
        ("fetch: {connect_s: 20}", "fetch.connect_s", "is more than fetch.total_s"),
        ("canary: {targets: {a: 'http://a/?b=c'}}", "canary.targets.a", "has a query"),
        ("canary: {targets: {'a b': 'http://a'}}", "canary.targets", "cannot be the name of a target"),
        ("canary: {ping_url: ftp://a/b}", "canary.ping_url", "is not an http or https URL"),
        ("canary: {request_s: 40}", "canary.request_s", "is more than canary.roundtrip_s"),
        ("canary: {roundtrip_s: 200}", "canary.roundtrip_s", "is more than canary.run_s"),
        ("canary: {run_s: 400}", "canary.run_s", "is more than canary.period_s"),
        ("{canary: {enabled: true}, http: {listen: ['127.0.0.1:0']}}", "canary.enabled", "no address in http.listen"),
        ("{canary: {enabled: true}, sink: {kind: memory}}", "canary.enabled", "stores no events"),
        ("plausibility: {samples: {enabled: true}}", "plausibility.samples.enabled", "no effect without plausibility"),
        (
            "{plausibility: {enabled: true, samples: {enabled: true}}, sink: {kind: memory}}",
            "plausibility.samples.enabled",
            "stores no events",
        ),
        (
            "plausibility: {enabled: true, samples: {enabled: true, period_s: 180}}",
            "plausibility.samples.period_s",
            "is too long",
        ),
        (
            "{http: {limits: {answer_s: 10}}, schemas: {base_uris: ['http://a'], wait_s: 3.5}}",
            "http.limits.answer_s",
            "after schemas.wait_s, 3.5 s",
        ),
    ],
)
def test_a_broken_rule_is_an_error_that_names_the_setting(text: str, key: str, reason: str) -> None:
    errors = [finding for finding in findings(text) if finding.level == "error"]

    assert [finding.key for finding in errors] == [key]
    assert reason in errors[0].reason
    assert errors[0].hint


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("sink: {max_outstanding: 10}", "sink.max_outstanding"),
        ("sink: {max_outstanding_bytes: 2000000}", "sink.max_outstanding_bytes"),
        ("http: {client_ip_header: X-Client-IP}", "http.client_ip_header"),
        ("http: {cors: {credentials: true}}", "http.cors.credentials"),
        (
            "{http: {limits: {max_event_bytes: 9999}}, sink: {kafka: {bootstrap.servers: a, message.max.bytes: 1000}}}",
            "http.limits.max_event_bytes",
        ),
        ("drain_s: 9", "drain_s"),
        ("{drain_s: 11, sink: {kafka: {bootstrap.servers: 'a:1', delivery.timeout.ms: 8000}}}", "drain_s"),
        ("streams: {sources: [a.yaml], headers: {Host: a}}", "streams.headers"),
        ("streams: {on_missing: wait}", "streams.on_missing"),
        ("schemas: {wait_s: 1}", "schemas.wait_s"),
        ("{spool: {path: x}, sink: {kind: sqlite}}", "spool"),
        ("tracing: {ratio: 0.5}", "tracing.ratio"),
    ],
)
def test_what_is_odd_but_works_is_a_warning(text: str, key: str) -> None:
    assert [(finding.level, finding.key, finding.line) for finding in findings(text)] == [("warning", key, 1)]


@pytest.mark.parametrize(
    "text",
    [
        "{drain_s: 12, sink: {kafka: {bootstrap.servers: 'a:1', delivery.timeout.ms: 8000}}}",
        "{drain_s: 2, http: {limits: {answer_s: 1}}, sink: {kind: sqlite}}",
        "{drain_s: 3, http: {limits: {answer_s: 2}}, sink: {kafka: {message.timeout.ms: 500, bootstrap.servers: a}}}",
    ],
)
def test_who_waits_long_enough_for_kafka_or_not_at_all_is_not_warned(text: str) -> None:
    assert findings(text) == []


@pytest.mark.parametrize(
    "listen", ["['127.0.0.1:0', '127.0.0.1:0']", "['[::1]:8192', '127.0.0.1:8192']", "['unix:/a', 'unix:@a']"]
)
def test_addresses_that_can_be_bound_together_are_taken(listen: str) -> None:
    assert findings(f"http: {{listen: {listen}}}") == []


def test_no_message_and_no_repr_shows_what_is_in_headers() -> None:
    text = "{streams: {sources: ['http://a'], headers: {Authorization: hush}}, schemas: {headers: {X-Key: hush}}}"
    config = msgspec.convert(parse(text, "s.yaml").value, Config)

    assert "hush" not in repr(config)
    assert "'Authorization': '***'" in repr(config.streams)
    wrong = parse("streams: {headers: {Authorization: [hush]}}", "s.yaml")
    assert "hush" not in "".join(str(finding) for finding in judge(wrong, PENSTOCK))


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("http://Example.org/a", "http://example.org:80"),
        ("https://a:8443", "https://a:8443"),
        ("https://[::1]/x?y", "https://[::1]:443"),
    ],
)
def test_two_spellings_of_an_origin_are_one(url: str, origin: str) -> None:
    assert origin_of(url) == origin
    assert is_url(url)


def test_spans_need_what_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "tracing: {endpoint: 'http://127.0.0.1:4318/v1/traces'}"
    assert findings(text) == []
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk", None)  # As if it were not there.
    (found,) = findings(text)

    assert (found.level, found.key, found.hint) == (
        "error",
        "tracing.endpoint",
        "install penstock[otel], or leave it out",
    )
