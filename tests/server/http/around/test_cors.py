"""Pages of other sites: those that are allowed may read every answer, refusals too; the rest may not."""

from __future__ import annotations

import logging
from typing import Any, cast

import pytest

from server.config.limit_settings import Limits
from server.config.settings import Http
from server.config.transport_settings import CorsSettings as Settings
from server.http.around import cors as module
from server.http.around.cors import Cors
from server.http.request import Request
from server.http.server import HttpServer
from tests.server.http.fakes import FakeLoop, FakeRow, Response, Wire, post, responses

OWN = ["https://a.example", "https://*.wide.example:8443"]


class Site:
    """A server whose only route is shared with some origins."""

    def __init__(self, *origins: str, credentials: bool = False) -> None:
        settings = Settings(origins=list(origins), credentials=credentials)
        self.cors = Cors(settings, ["X-Stream"])
        routes = self.cors.table({"/events": {"POST": accept, "GET": accept, "HEAD": None}})
        http = Http(limits=Limits(max_body_bytes=2048), cors=settings)
        self.server = HttpServer(cast(Any, FakeLoop()), http, routes, cast(Any, FakeRow()), logging.getLogger("test"))

    def ask(self, request: bytes) -> Response:
        wire = Wire(self.server)
        wire.send(request)
        return responses(wire.sent)[-1]

    def post(self, origin: str, body: bytes = b"{}", more: bytes = b"") -> Response:
        return self.ask(post(body, b"Origin: %b\r\n%b" % (origin.encode(), more)))

    def preflight(self, origin: str, path: str = "/events") -> Response:
        head = f"OPTIONS {path} HTTP/1.1\r\nHost: a\r\nOrigin: {origin}\r\nAccess-Control-Request-Method: POST\r\n\r\n"
        return self.ask(head.encode())


def accept(request: Request) -> None:
    request.reply(201, "Taken")


def allowed(response: Response) -> str | None:
    return response.headers.get("Access-Control-Allow-Origin")


@pytest.mark.parametrize(
    "origin", ["https://a.example", "https://x.wide.example:8443", "https://y.x.wide.example:8443"]
)
def test_an_allowed_origin_is_named_in_its_answer(origin: str) -> None:
    response = Site(*OWN, credentials=True).post(origin)

    assert (response.status, allowed(response)) == (201, origin)
    assert response.headers["Timing-Allow-Origin"] == origin
    assert response.headers["Access-Control-Allow-Credentials"] == "true"
    assert "X-Request-Id" in response.headers["Access-Control-Expose-Headers"]
    assert response.headers["Vary"] == "Origin"


@pytest.mark.parametrize(
    "origin",
    [
        "https://b.example",
        "http://a.example",
        "https://a.example:444",
        "https://a.example.evil",
        "https://evil-a.example",
        "https://wide.example:8443",
        "https://x.wide.example",
        "https://.wide.example:8443",
        "https://x.wide.example:8443.evil",
        "https://evil/x.wide.example:8443",
        "null",
        "*",
        "",
        "x" * 5_000,
    ],
)
def test_any_other_origin_is_not(origin: str) -> None:
    response = Site(*OWN, credentials=True).post(origin)

    assert (response.status, allowed(response)) == (201, None)
    assert "Access-Control-Allow-Credentials" not in response.headers
    assert response.headers["Vary"] == "Origin"


def test_an_origin_with_its_default_port_is_the_one_that_browsers_send() -> None:
    site = Site("https://a.example:443", "http://*.b.example:80")

    for origin in ("https://a.example", "http://x.b.example"):
        assert allowed(site.post(origin)) == allowed(site.preflight(origin)) == origin


def test_an_open_service_names_nobody() -> None:
    response = Site("*").post("https://any.example")

    assert (allowed(response), "Vary" in response.headers) == ("*", False)


def test_a_request_without_an_origin_gets_the_same_answer_as_ever() -> None:
    assert Site(*OWN).ask(post()).headers.keys() == Site().ask(post()).headers.keys()


def test_a_browser_that_asks_first_is_told_what_it_may_send() -> None:
    response = Site(*OWN).preflight("https://a.example")

    assert (response.status, allowed(response)) == (204, "https://a.example")
    assert response.headers["Access-Control-Allow-Methods"] == "POST, GET"
    assert response.headers["Allow"] == "GET, OPTIONS, POST"  # As a 405 of this path says.
    assert {"Content-Type", "Content-Encoding", "X-Stream"} <= set(
        response.headers["Access-Control-Allow-Headers"].split(", ")
    )
    assert response.headers["Access-Control-Max-Age"] == "7200"
    assert allowed(Site(*OWN).preflight("https://b.example")) is None


def test_without_settings_there_is_no_preflight() -> None:
    response = Site().preflight("https://a.example")

    assert (response.status, allowed(response)) == (405, None)


@pytest.mark.parametrize(
    ("body", "more", "status"),
    [
        (b"{}", b"Content-Type: image/png\r\n", 415),
        (b"{}", b"Content-Encoding: gzip\r\n", 400),
        (b"{}", b"Content-Encoding: lzma\r\n", 415),
        (b"x" * 2049, b"", 413),
        (b"", b"Transfer-Encoding: gzip\r\n", 400),
    ],
)
def test_a_refusal_can_be_read_by_the_page(body: bytes, more: bytes, status: int) -> None:
    response = Site(*OWN).post("https://a.example", body, more)

    assert response.status == status
    assert allowed(response) in ("https://a.example", "*")


def test_what_ends_the_connection_can_be_read_too() -> None:
    long = b"GET /events?%b HTTP/1.1\r\nHost: a\r\nOrigin: https://a.example\r\n\r\n" % (b"x" * 20_000)

    assert (Site(*OWN).ask(long).status, allowed(Site(*OWN).ask(long))) == (414, "*")
    assert allowed(Site().ask(long)) is None


HEAD = b"POST /events HTTP/1.1\r\nHost: a\r\nOrigin: https://a.example\r\n"
ENDS = {
    "garbage": b"\x16\x03\x01",
    "long target": b"GET /%b HTTP/1.1\r\n" % (b"x" * 20_000),
    "bad header": HEAD + b"a b: c\r\n\r\n",
    "two hosts": HEAD + b"Host: b\r\n\r\n",
    "too many headers": HEAD + b"".join(b"a%d: 1\r\n" % number for number in range(200)) + b"\r\n",
    "two framings": HEAD + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    "a large chunk": HEAD + b"Transfer-Encoding: chunked\r\n\r\nfffff\r\n",
    "no chunk": HEAD + b"Transfer-Encoding: chunked\r\n\r\nx\r\n",
    "a large body": HEAD + b"Content-Length: 99999\r\n\r\n",
    "an upgrade": HEAD + b"Connection: Upgrade\r\nUpgrade: a\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
}
NO_ORIGIN_YET = {
    "garbage",
    "long target",
    "bad header",
    "two framings",
}  # The parser stops before it hands headers over.


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("cut", [1, 100_000])
def test_what_ends_the_connection_names_its_origin_or_no_credentials(end: str, cut: int) -> None:
    """Fetch Standard, CORS check: with credentials, the origin must be named; browsers discard `*`."""
    site = Site(*OWN, credentials=True)
    wire = Wire(site.server)
    wire.send(*[ENDS[end][at : at + cut] for at in range(0, len(ENDS[end]), cut)])
    response = responses(wire.sent)[0]

    assert response.status >= 400
    assert allowed(response) == ("*" if end in NO_ORIGIN_YET else "https://a.example")
    assert ("Access-Control-Allow-Credentials" in response.headers) == (end not in NO_ORIGIN_YET)


def test_an_overdue_answer_names_its_origin() -> None:
    site = Site(*OWN, credentials=True)
    site.server.routes.find(b"/events").handlers[b"POST"] = lambda _request: None  # type: ignore[index]
    wire = Wire(site.server)
    wire.send(post(b"{}", b"Origin: https://a.example\r\n"))
    wire.connection.on_deadline()
    response = responses(wire.sent)[0]

    assert (response.status, allowed(response)) == (503, "https://a.example")
    assert response.headers["Access-Control-Allow-Credentials"] == "true"


def test_no_other_origin_is_named_by_what_ends_the_connection() -> None:
    response = Site(*OWN, credentials=True).ask(ENDS["two hosts"].replace(b"a.example", b"b.example"))

    assert (response.status, allowed(response)) == (400, None)


def test_invented_origins_fill_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_CACHED", 10)
    site = Site(*OWN)
    for number in range(100):
        site.post(f"https://{number}.example")

    assert len(site.cors._cache) <= 10
    assert allowed(site.post("https://a.example")) == "https://a.example"
