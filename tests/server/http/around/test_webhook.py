"""The handshake of HTTP 1.1 Web Hooks for Event Delivery (CloudEvents 1.0.2, section 4): who may deliver, how fast."""

from __future__ import annotations

import logging
from typing import Any, cast

import pytest

from server.config.limit_settings import Limits
from server.config.settings import Http
from server.config.transport_settings import CorsSettings as CorsSettings
from server.http.around.cors import Cors
from server.http.around.webhook import Webhooks
from server.http.request import Request
from server.http.server import HttpServer
from tests.server.http.fakes import FakeLoop, FakeRow, Response, Wire, post, responses


class Site:
    """A server with a route that takes events and one that does not."""

    def __init__(self, *names: str, origins: list[str] | None = None, **limits: Any) -> None:
        http = Http(webhook_origins=list(names), cors=CorsSettings(origins=origins or []), limits=Limits(**limits))
        table = Cors(http.cors).table({"/events": {"POST": accept}, "/page": {"GET": accept}})
        row, loop = cast(Any, FakeRow()), cast(Any, FakeLoop())
        self.server = HttpServer(loop, http, Webhooks(http).table(table), row, logging.getLogger("test"))

    def send(self, request: bytes) -> Response:
        wire = Wire(self.server)
        wire.send(request)
        return responses(wire.sent)[-1]

    def options(self, path: str, **headers: str) -> Response:
        lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
        return self.send(f"OPTIONS {path} HTTP/1.1\r\nHost: a\r\n{lines}\r\n".encode())

    def ask(self, name: str, path: str = "/events", **headers: str) -> Response:
        return self.options(path, WebHook_Request_Origin=name, **headers)


def accept(request: Request) -> None:
    request.reply(201, "Taken")


def answer(response: Response) -> tuple[str | None, str | None]:
    return response.headers.get("WebHook-Allowed-Origin"), response.headers.get("WebHook-Allowed-Rate")


def test_every_service_is_told_yes_where_all_may_and_no_bound_is_set() -> None:
    response = Site("*").ask("eventemitter.example.com", WebHook_Request_Rate="120")

    assert response.status == 200
    assert answer(response) == ("*", "*")
    assert response.headers["Allow"] == "POST"


@pytest.mark.parametrize(
    ("name", "allowed"),
    [
        ("a.example", "a.example"),
        ("A.Example", "A.Example"),
        ("x.wide.example", "x.wide.example"),
        ("y.x.wide.example", "y.x.wide.example"),
        ("wide.example", None),
        ("b.example", None),
        ("a.example.evil", None),
        ("a.example, b.example", None),
        ("\u00e9.wide.example", None),
        ("", None),
    ],
)
def test_a_service_is_told_yes_by_the_name_it_gave_itself(name: str, allowed: str | None) -> None:
    response = Site("a.example", "*.wide.example").ask(name)

    assert answer(response) == (allowed, "*" if allowed else None)


@pytest.mark.parametrize(
    ("limits", "rate"),
    [
        ({"requests_per_s_per_address": 2.0}, "120"),
        ({"requests_per_s_per_key": 0.5}, "30"),
        ({"requests_per_s_per_address": 2.0, "requests_per_s_per_key": 10.0}, "120"),
        ({"requests_per_s_per_address": 0.001}, "1"),
    ],
)
def test_the_rate_that_is_allowed_is_the_bound_of_a_client_in_requests_a_minute(
    limits: dict[str, Any], rate: str
) -> None:
    assert answer(Site("*", **limits).ask("a.example")) == ("*", rate)


@pytest.mark.parametrize("origins", [[], ["https://a.example"]])
def test_where_nobody_may_the_question_is_answered_as_if_there_were_no_such_thing(origins: list[str]) -> None:
    response = Site(origins=origins).ask("a.example")

    assert response.status == (204 if origins else 405)
    assert answer(response) == (None, None)


def test_a_path_that_takes_no_events_says_nothing() -> None:
    response = Site("*").ask("a.example", "/page")

    assert (response.status, answer(response)) == (405, (None, None))


def test_options_that_ask_for_nothing_get_405() -> None:
    response = Site("*").options("/events")

    assert response.status == 405
    assert response.headers["Allow"] == "POST"


def test_a_preflight_is_answered_as_ever() -> None:
    asked = {"Origin": "https://a.example", "Access_Control_Request_Method": "POST"}
    without, beside = Site(origins=["https://a.example"]), Site("*", origins=["https://a.example"])
    expected, found = without.options("/events", **asked), beside.options("/events", **asked)

    assert found.status == 204
    for name in expected.headers.keys() - {"Date", "X-Request-Id"}:
        assert found.headers[name] == expected.headers[name]
    assert found.headers.keys() == expected.headers.keys()
    assert beside.ask("a.example", **asked).headers["Access-Control-Allow-Methods"] == "POST"
    assert answer(beside.ask("a.example")) == ("*", "*")


def test_deliveries_are_requests_like_any() -> None:
    assert Site("a.example").send(post(b"{}", b"WebHook-Request-Origin: b.example\r\n")).status == 201


@pytest.mark.parametrize(
    ("content_type", "more", "status"),
    [
        (b"application/vnd.acme.order+json", b"ce-specversion: 1.0\r\n", 201),
        (b"text/json; charset=utf-8", b"ce-specversion: 1.0\r\n", 201),
        (b"APPLICATION/X+JSON", b"ce-specversion: 1.0\r\n", 201),
        (b"application/vnd.acme.order+json", b"", 415),
        (b"application/xml", b"ce-specversion: 1.0\r\n", 415),
        (b"application/jsonx", b"ce-specversion: 1.0\r\n", 415),
        (b"application/cloudevents+avro", b"ce-specversion: 1.0\r\n", 415),
    ],
)
def test_the_type_of_a_cloudevents_data_is_one_of_json(content_type: bytes, more: bytes, status: int) -> None:
    """HTTP protocol binding 1.0.2, section 3.1.1: Content-Type is the event's datacontenttype in binary mode."""
    head = b"Host: a\r\nContent-Length: 2\r\nContent-Type: %b\r\n%b\r\n" % (content_type, more)

    assert Site("*").send(b"POST /events HTTP/1.1\r\n" + head + b"{}").status == status
