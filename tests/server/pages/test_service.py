"""Plain pages, request identities, parameters, phrases."""

from __future__ import annotations

import json
from typing import Any

import pytest

from server.http.response import CLOSE, KEEP, MAX_CACHED, Heads
from server.http.routes import MAX_CACHED as MAX_TARGETS
from server.pages.service import ServicePages
from tests.server.http.fakes import Harness, Response, get, post, responses


def _page(path: bytes, unready: str | None = None, **limits: Any) -> Response:
    pages = ServicePages("intake", "1.2.3", lambda: unready, lambda: {"streams": 3})
    wire = Harness(routes=pages.routes(), **limits).wire()
    wire.send(get(path))
    return responses(wire.sent)[0]


@pytest.mark.parametrize(
    ("path", "page"),
    [
        (b"/healthz", {"status": "ok"}),
        (b"/readyz", {"status": "ready"}),
        (b"/_info", {"name": "intake", "version": "1.2.3", "streams": 3}),
        (b"/_info/name", {"name": "intake"}),
        (b"/_info/version", {"version": "1.2.3"}),
    ],
)
def test_pages(path: bytes, page: dict[str, object]) -> None:
    response = _page(path)

    assert (response.status, json.loads(response.body)) == (200, page)
    assert response.headers["Content-Type"] == "application/json"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("reason", ["booting", "draining"])
def test_a_worker_that_is_not_ready_says_so_and_stays_alive(reason: str) -> None:
    response = _page(b"/readyz", reason)

    assert response.status == 503
    assert response.headers["Retry-After"] == "1"
    assert reason in json.loads(response.body)["detail"]
    assert _page(b"/healthz", reason).status == 200


def test_robots_are_sent_away() -> None:
    assert _page(b"/robots.txt").body == b"User-agent: *\nDisallow: /\n"


def test_parameters_are_decoded_and_the_first_counts() -> None:
    harness = Harness()
    query = b"a=1&a=2&b=%7B%22x%22%3A+1%7D&c&d=&%C3%A4=%C3%B6&e=%ff"
    harness.wire().send(get(b"/page?" + query))
    params = harness.seen[0].params()

    assert [params.get(name) for name in "abcdäe"] == ["1", '{"x": 1}', "", "", "ö", "ÿ"]
    assert "x" not in params


def test_long_queries_are_parsed_without_being_kept() -> None:
    harness = Harness()
    harness.wire().send(get(b"/page?pad=" + b"p" * 500 + b"&a=1"))

    assert harness.seen[0].params()["a"] == "1"


def test_targets_of_strangers_are_not_kept_and_invented_queries_not_for_long() -> None:
    harness = Harness()
    wire = harness.wire()
    wire.send(*[get(b"/%d" % at) for at in range(100)], get(b"/page?" + b"q" * 300))
    assert harness.server.routes.cache == {}
    for at in range(MAX_TARGETS + 10):
        harness.server.routes.find(b"/page?%d" % at)

    assert len(harness.server.routes.cache) == 10


def test_a_reply_carries_what_it_is_given() -> None:
    harness = Harness()
    harness.on_request = lambda request: request.reply(
        207, "1 out of 2 events", b"{}", retry_after_s=3, more=b"X-More: m\r\n"
    )
    wire = harness.wire()
    wire.send(post(headers=b"X-Request-Id: me\r\n"))
    response = responses(wire.sent)[0]

    assert (response.status, response.phrase, response.body) == (207, "1 out of 2 events", b"{}")
    assert response.headers == {
        "Date": "Thu, 01 Jan 1970 00:00:00 GMT",
        "Content-Type": "application/json",
        "X-Content-Type-Options": "nosniff",
        "Content-Length": "2",
        "X-Request-Id": "me",
        "Retry-After": "3",
        "X-More": "m",
    }


def test_204_has_no_length() -> None:
    heads = Heads()
    heads.refresh(0.0)

    assert heads.response(204, "No Content", b"", b"", b"", KEEP) == (
        b"HTTP/1.1 204 No Content\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n\r\n"
    )


@pytest.mark.parametrize("phrase", ["a\r\nX-Evil: 1", "ä", "a\x00"])
def test_a_phrase_never_breaks_the_line(phrase: str) -> None:
    assert Heads().response(202, phrase, b"", b"", b"", CLOSE).startswith(b"HTTP/1.1 202 Accepted\r\nDate: ")


def test_the_table_of_heads_is_bounded_and_changes_with_the_second() -> None:
    heads = Heads()
    for at in range(MAX_CACHED + 10):
        heads.response(202, f"{at} events", b"", b"", b"", KEEP)
    heads.refresh(1.0)

    assert b"Date: Thu, 01 Jan 1970 00:00:01 GMT" in heads.response(202, "5 events", b"", b"", b"", KEEP)
    assert len(heads._starts) == 1


def test_the_date_follows_the_clock() -> None:
    harness = Harness()
    wire = harness.wire()
    wire.send(get())
    harness.server.turn(harness.loop.now_s, 86_400.0)
    wire.send(get())

    dates = [response.headers["Date"] for response in responses(wire.sent)]
    assert dates == ["Thu, 01 Jan 1970 00:00:00 GMT", "Fri, 02 Jan 1970 00:00:00 GMT"]
