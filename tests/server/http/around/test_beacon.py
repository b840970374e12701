"""Events in the query of a GET: decoded one documented way, answered with nothing or a picture."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest

from server.http.around.beacon import PIXEL, Beacon, event_of
from server.http.request import Request
from tests.server.http.fakes import Harness, Response, get, responses

EVENT = {"a": "1 + 1 = 2 & 50 %", "dt": "2026-01-02T03:04:05+01:00", "\u00e9": ["\u65e5\u672c"]}


def text(event: object = EVENT) -> str:
    return json.dumps(event, ensure_ascii=False)


@pytest.mark.parametrize(
    "query",
    [
        quote(text(), safe=""),
        quote(text(), safe="!'()*~"),  # encodeURIComponent
        quote(text(), safe="+:,{}[]"),
        quote(quote(text(), safe=""), safe=""),
        quote(text(), safe="") + ";",
        quote(text(), safe="") + "&stream=x&k={}",
        "stream=x&" + quote(text(), safe=""),
        quote(" \n" + text(), safe=""),
    ],
)
def test_an_event_is_what_was_encoded(query: str) -> None:
    assert json.loads(event_of(query.encode())) == EVENT


@pytest.mark.parametrize("query", [b"", b"a=1", b"%", b"%25", b"&&", b"%2525257B%257D", b"1", b"%zz"])
def test_there_may_be_none(query: bytes) -> None:
    assert event_of(query) == b""


def test_a_text_is_never_decoded_more_often_than_it_was_encoded() -> None:
    assert event_of(quote('{"a":"%7B%25"}', safe="").encode()) == b'{"a":"%7B%25"}'
    assert event_of(b'{"a":"x+y"}') == b'{"a":"x+y"}'


class Site:
    def __init__(self) -> None:
        beacon = Beacon(self.receive)
        routes = {"/b": {"GET": beacon.handle, "HEAD": None}, "/p.gif": {"GET": beacon.handle_pixel, "HEAD": None}}
        self.harness = Harness(routes=routes)  # type: ignore[arg-type]
        self.seen: list[Request] = []
        self.status = 202

    def receive(self, request: Request) -> None:
        self.seen.append(request)
        if self.status < 300:
            request.reply(self.status, "Taken", b"{}")
        else:
            request.problem(self.status, "No.")

    def ask(self, request: bytes) -> Response:
        wire = self.harness.wire()
        wire.send(request)
        return responses(wire.sent)[0]


@pytest.mark.parametrize("status", [202, 207])
def test_what_is_well_is_nothing_or_a_picture_and_is_never_kept(status: int) -> None:
    site = Site()
    site.status = status
    nothing, picture = site.ask(get(b"/b?{}")), site.ask(get(b"/p.gif?{}"))

    assert (nothing.status, nothing.body) == (204, b"")
    assert (picture.status, picture.body, picture.headers["Content-Type"]) == (200, PIXEL, "image/gif")
    for answer in (nothing, picture):
        assert "no-store" in answer.headers["Cache-Control"]
        assert answer.headers["X-Request-Id"]
    assert picture.headers["X-Content-Type-Options"] == "nosniff"


def test_a_refusal_is_told_and_never_kept() -> None:
    site = Site()
    site.status = 503
    for path in (b"/b?{}", b"/p.gif?{}"):
        answer = site.ask(get(path))
        assert (answer.status, answer.headers["Content-Type"]) == (503, "application/problem+json")
        assert "no-store" in answer.headers["Cache-Control"]


@pytest.mark.parametrize("path", [b"/b?{}", b"/p.gif?{}"])
def test_head_does_nothing(path: bytes) -> None:
    site = Site()
    wire = site.harness.wire()
    wire.send(get(path).replace(b"GET", b"HEAD"))

    assert responses(wire.sent, frozenset([0]))[0].status == 405
    assert site.seen == []
