"""A page may send what the service reads, and what instrumentation adds to its requests by itself."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from server.config.transport_settings import CorsSettings as Settings
from server.http.around.cors import Cors
from server.http.around.preflight import MAX_ASKED
from server.pages.documents import PREFLIGHT
from server.pages.service import ServicePages
from tests.server.http.around.test_cors import OWN, Site
from tests.server.http.fakes import Harness, Response, responses

ROOT = Path(__file__).parents[4]

# By the documentation of each, as of 2026.
BY_ITSELF = {
    "W3C Trace Context and Baggage; OpenTelemetry JS, Elastic APM RUM, Grafana Faro": "traceparent tracestate baggage",
    "B3 (openzipkin/b3-propagation)": "b3 x-b3-traceid x-b3-spanid x-b3-parentspanid x-b3-sampled x-b3-flags",
    "Sentry, tracePropagationTargets": "sentry-trace baggage",
    "Datadog RUM, allowedTracingUrls": (
        "x-datadog-trace-id x-datadog-parent-id x-datadog-origin x-datadog-sampling-priority x-datadog-tags"
    ),
    "New Relic Browser, cors_use_newrelic_header": "newrelic traceparent tracestate",
    "Jaeger's propagation": "uber-trace-id uberctx-user",
    "OpenTracing's propagation": "ot-tracer-traceid ot-tracer-spanid ot-tracer-sampled",
    "Application Insights, enableCorsCorrelation": "request-id request-context traceparent",
    "CloudWatch RUM, addXRayTraceIdHeader": "x-amzn-trace-id",
    "OpenCensus Web": "x-cloud-trace-context grpc-trace-bin",
    "Instana, allowedOrigins": "x-instana-t x-instana-s x-instana-l",
    "SkyWalking": "sw8 sw8-correlation",
    "Dynatrace RUM": "x-dtc x-dtpc",
    "Envoy": "x-request-id x-client-trace-id",
    "scripts": "x-requested-with x-client-version x-correlation-id cache-control pragma",
    "CloudEvents in binary mode, with extensions": "ce-id ce-traceparent ce-partitionkey ce-sequence ce-dataref",
    "our own clients and users": "content-encoding content-type authorization x-api-key x-penstock-test",
}
# What the code reads, and no page has to ask for.
NOT_ASKED = {
    # Fetch Standard: a browser writes them itself.
    *("host", "content-length", "transfer-encoding", "connection", "expect", "origin", "accept-encoding", "upgrade"),
    *("access-control-request-headers", "access-control-request-private-network"),
    "accept",  # Every page may send it.
    "user-agent",  # Browsers send their own. It is read to tell canaries, which no page sends.
    # Proxies write them, and drop those of a client.
    *("x-forwarded-for", "forwarded"),
}


def preflight(asked: str, site: Site | None = None, origin: str = "https://a.example", more: str = "") -> Response:
    head = (
        f"OPTIONS /events HTTP/1.1\r\nHost: a\r\nOrigin: {origin}\r\nAccess-Control-Request-Method: POST\r\n"
        f"Access-Control-Request-Headers: {asked}\r\n{more}\r\n"
    )
    return (site or Site(*OWN)).ask(head.encode())


def allowed(response: Response) -> set[str]:
    return {name.strip().lower() for name in response.headers["Access-Control-Allow-Headers"].split(",")}


@pytest.mark.parametrize("names", BY_ITSELF.values(), ids=BY_ITSELF)
def test_what_instrumentation_adds_is_allowed(names: str) -> None:
    asked = sorted(names.split())  # Browsers sort them, and write small letters (Fetch Standard, CORS-preflight fetch).

    assert set(asked) <= allowed(preflight(",".join(asked)))


def test_what_the_code_reads_is_allowed() -> None:
    found = set()
    for folder in ("http", "intake", "auth", "tracing", "pages"):
        for path in (ROOT / "server" / folder).rglob("*.py"):
            text = path.read_text()
            found |= set(re.findall(r'headers\.get\(b"([a-z-]*[a-z])"', text))
            found |= set(re.findall(r'headers\[b"([a-z-]+)"\]', text))
            found |= set(re.findall(r'b"([a-z-]+)" (?:not )?in headers', text))
            found |= set(
                re.findall(r'^(?:NAME|MARK|TRACEPARENT|_ASKED|_PRIVATE): Final = b"([a-z-]+)"', text, re.MULTILINE)
            )

    assert {"content-type", "traceparent", "ce-specversion", "x-api-key", "if-none-match"} <= found
    assert found - NOT_ASKED <= allowed(preflight(""))


def test_what_a_page_should_not_send_is_not_allowed() -> None:
    asked = "cookie,forwarded,x-evil,x-forwarded-for,x-real-ip"

    assert not allowed(preflight(asked)) & set(asked.split(","))


def test_names_of_families_are_bounded_and_harmless() -> None:
    many = [f"ce-a{number}" for number in range(500)]
    response = preflight(", ,".join(many) + ",ce-x\ty,ce-" + "z" * 100)

    assert len(allowed(response) & set(many)) == MAX_ASKED
    assert {"ce-x\ty", "ce-" + "z" * 100}.isdisjoint(allowed(response))


def test_settings_add_headers() -> None:
    preflight_ = Cors(Settings(origins=["*"], headers=["X-Is-Browser"]), ["X-Stream"]).preflight("POST")
    wire = Harness(routes={"/events": {"OPTIONS": preflight_}}).wire()
    wire.send(b"OPTIONS /events HTTP/1.1\r\nHost: a\r\nOrigin: https://a.example\r\n\r\n")

    assert {"x-is-browser", "x-stream", "traceparent"} <= allowed(responses(wire.sent)[0])


def test_an_origin_that_may_send_may_send_into_a_private_network() -> None:
    """Private Network Access, section 3.3: asked of a page on the internet that sends to an address inside."""
    asks = "Access-Control-Request-Private-Network: true\r\n"
    name = "Access-Control-Allow-Private-Network"

    assert preflight("", more=asks).headers[name] == "true"
    assert name not in preflight("").headers
    refused = preflight("", origin="https://b.example", more=asks)
    assert "Access-Control-Allow-Origin" not in refused.headers  # Without it a browser believes nothing else.


@pytest.mark.parametrize("path", ["/doc", "/?spec"])
def test_documents_may_be_read_by_pages_with_instrumentation(path: str) -> None:
    pages = ServicePages("intake", "1.2.3", lambda: None, dict)
    wire = Harness(routes=pages.routes() | {"/doc": {"OPTIONS": PREFLIGHT}}).wire()
    wire.send(
        f"OPTIONS {path} HTTP/1.1\r\nHost: a\r\nOrigin: https://a.example\r\n"
        "Access-Control-Request-Method: GET\r\nAccess-Control-Request-Headers: traceparent\r\n\r\n".encode()
    )
    response = responses(wire.sent)[0]

    assert (response.status, response.headers["Access-Control-Allow-Origin"]) == (204, "*")
    assert {"traceparent", "if-none-match"} <= allowed(response)
    assert response.headers["Access-Control-Max-Age"] == "86400"
