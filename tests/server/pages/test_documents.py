"""Documents: made once and in slices, kept within bounds, asked for again cheaply."""

from __future__ import annotations

import contextlib
import gzip
import json
import logging
from collections.abc import Iterator
from typing import Any, cast

import pytest

from server.pages import documents as module
from server.pages.document import HTML_TYPE, Making, PageDocument, Wrong
from server.pages.documents import Documents
from tests.server.http.fakes import FakeLoop, Harness, Response, Wire, get, responses

LONG = b'{"a":"' + b"x" * 2_000 + b'"}'


class Shelf:
    """Documents behind a server, and what was asked of them. A step takes ``step_s`` of the loop's time."""

    def __init__(self, body: bytes = b'{"a":1}', steps: int = 1, step_s: float = 0.0, **options: Any) -> None:
        self.asked: list[tuple[bytes, bytes, bool]] = []
        self.body = body
        self.steps = steps
        self.step_s = step_s
        self.options = options
        self.made = 0
        self.loop = FakeLoop()
        made = Documents(cast(Any, self.loop), self.ask, logging.getLogger("test"))
        self.documents = made
        self.harness = Harness(routes=made.routes(["/doc", "/below/*"]))

    def ask(self, path: bytes, query: bytes, is_page: bool) -> PageDocument | Wrong:
        self.asked.append((path, query, is_page))
        if query == b"bad":
            return Wrong(400, "The parameter `bad` is not known.", "bad")
        content_type = HTML_TYPE if is_page else b"application/json"
        return PageDocument(self.parts(query), content_type, **self.options)

    def parts(self, query: bytes) -> Iterator[bytes]:
        self.made += 1
        if query == b"bug":
            raise RuntimeError("a bug")
        for step in range(self.steps):
            self.loop.now_s += self.step_s
            yield self.body if step == 0 else b""

    def get(self, path: bytes = b"/doc", headers: bytes = b"") -> Response:
        wire = self.harness.wire()
        wire.send(get(path, headers))
        return responses(wire.sent)[0]


def test_a_document_says_how_long_it_is_good_for_and_who_may_read_it() -> None:
    response = Shelf().get()

    assert (response.status, response.body) == (200, b'{"a":1}')
    assert response.headers["Content-Type"] == "application/json"
    assert response.headers["Cache-Control"] == "public, max-age=600"
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert response.headers["Vary"] == "Accept, Accept-Encoding"
    assert response.headers["ETag"].strip('"')


def test_it_is_made_once_for_all_who_ask_for_the_same() -> None:
    shelf = Shelf()
    for _ in range(3):
        assert shelf.get(b"/below/x?a=1").status == 200
    shelf.get(b"/below/x?a=2")

    assert shelf.asked == [(b"/below/x", b"a=1", False), (b"/below/x", b"a=2", False)]


def test_questions_with_the_same_answer_have_it_made_once() -> None:
    shelf = Shelf(key=("one",))
    for at in range(1_000):
        assert shelf.get(b"/doc?requestid=%d" % at).status == 200

    assert shelf.made == 1
    shelf.documents.forget()
    shelf.get(b"/doc?requestid=1")
    assert shelf.made == 2
    assert len(shelf.documents._keys) <= module.MAX_KEPT


def test_who_has_it_is_told_so_in_either_form() -> None:
    shelf = Shelf(LONG)
    plain = shelf.get().headers["ETag"]
    packed = shelf.get(headers=b"Accept-Encoding: gzip\r\n").headers["ETag"]

    assert plain != packed
    for tag in (plain, packed, f"W/{plain}", f'"other", {plain}', "*"):
        response = shelf.get(headers=b"If-None-Match: %s\r\n" % tag.encode())
        assert (response.status, response.body) == (304, b"")
        assert {"ETag", "Cache-Control", "Vary"} <= response.headers.keys()
        assert "Content-Length" not in response.headers
    assert shelf.get(headers=b'If-None-Match: "other"\r\n').status == 200


def test_another_content_has_another_tag() -> None:
    assert Shelf(b"1").get().headers["ETag"] != Shelf(b"2").get().headers["ETag"]
    assert Shelf(b"1").get().headers["ETag"] == Shelf(b"1").get().headers["ETag"]


@pytest.mark.parametrize(
    ("accepted", "is_packed"),
    [("gzip", True), ("br, GZIP;q=0.5", True), ("*", True), ("gzip;q=0", False), ("br", False), ("gzip;q=x", False)],
)
def test_long_documents_are_compressed_for_those_who_take_it(accepted: str, is_packed: bool) -> None:
    response = Shelf(LONG).get(headers=b"Accept-Encoding: %s\r\n" % accepted.encode())

    assert ("Content-Encoding" in response.headers) is is_packed
    assert (gzip.decompress(response.body) if is_packed else response.body) == LONG


def test_short_documents_are_not_compressed() -> None:
    assert "Content-Encoding" not in Shelf().get(headers=b"Accept-Encoding: gzip\r\n").headers


def test_head_has_the_head_of_get_and_no_body() -> None:
    shelf = Shelf()
    wire = shelf.harness.wire()
    wire.send(get(b"/doc").replace(b"GET", b"HEAD"))
    head = responses(wire.sent, heads=frozenset([0]))[0]
    whole = shelf.get()

    assert head.headers == whole.headers | {"X-Request-Id": head.headers["X-Request-Id"]}


def test_a_browser_gets_a_page_that_can_run_nothing() -> None:
    shelf = Shelf()
    browser = b"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n"
    page = shelf.get(headers=browser)

    assert page.headers["Content-Type"].startswith("text/html")
    assert page.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert shelf.get(headers=b"Accept: application/json, text/html;q=0.9\r\n").headers["Content-Type"] == (
        "application/json"
    )
    assert shelf.asked == [(b"/doc", b"", True), (b"/doc", b"", False)]


def test_a_mistake_is_a_problem_that_names_its_parameter_and_is_not_kept() -> None:
    shelf = Shelf()
    response = shelf.get(b"/doc?bad")
    shelf.get(b"/doc?bad")

    assert response.status == 400
    assert json.loads(response.body)["parameter"] == "bad"
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert len(shelf.asked) == 2


def test_a_browser_that_asks_first_may_read() -> None:
    wire = Shelf().harness.wire()
    wire.send(get(b"/doc").replace(b"GET", b"OPTIONS"))

    assert responses(wire.sent)[0].headers["Access-Control-Allow-Methods"] == "GET, HEAD"


def test_a_large_document_is_made_in_slices_and_all_who_wait_get_it() -> None:
    shelf = Shelf(steps=5, step_s=0.0006)
    wires = [shelf.harness.wire() for _ in range(3)]
    for wire in wires:
        wire.send(get(b"/doc"))
    turns = 0
    while shelf.loop.later:
        assert all(wire.sent == b"" for wire in wires)
        shelf.loop.turn()
        turns += 1

    assert turns == 2
    assert [responses(wire.sent)[0].body for wire in wires] == [shelf.body] * 3
    assert len(shelf.asked) == 1


def test_one_whose_making_fails_is_answered_and_the_next_is_made(caplog: pytest.LogCaptureFixture) -> None:
    shelf = Shelf()

    assert shelf.get(b"/doc?bug").status == 500
    assert shelf.get(b"/doc").status == 200
    assert "RuntimeError: a bug" in caplog.text


def test_no_more_than_so_many_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_WAITING", 2)
    shelf = Shelf(steps=5, step_s=0.01)
    wires: list[Wire] = []
    for number in range(3):
        wires.append(shelf.harness.wire())
        wires[-1].send(get(b"/doc?%d" % number))

    refused = responses(wires[2].sent)[0]
    assert (refused.status, refused.headers["Retry-After"]) == (503, "1")
    while shelf.loop.later:
        shelf.loop.turn()
    assert [responses(wire.sent)[0].status for wire in wires] == [200, 200, 503]


def test_what_is_kept_is_bounded_in_number_and_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_KEPT", 3)
    shelf = Shelf(LONG)
    for number in (0, 1, 2, 0, 3):
        shelf.get(b"/doc?%d" % number)
    shelf.get(b"/doc?0")
    assert shelf.made == 4
    monkeypatch.setattr(module, "MAX_KEPT_BYTES", 7_000)
    shelf.get(b"/doc?4")

    assert shelf.documents._made_bytes <= 7_000
    shelf.get(b"/doc?1")
    assert shelf.asked[-1][1] == b"1"


def test_after_a_change_nothing_old_is_given_out_again() -> None:
    shelf = Shelf(steps=5, step_s=0.0006)
    waiting = shelf.harness.wire()
    waiting.send(get(b"/doc"))
    shelf.documents.forget()
    assert shelf.get().status == 503
    while shelf.loop.later:
        shelf.loop.turn()
    assert responses(waiting.sent)[0].body == b'{"a":1}'
    shelf.steps, shelf.body = 1, b'{"a":2}'

    assert shelf.get().body == b'{"a":2}'
    shelf.body = b'{"a":3}'
    assert shelf.get().body == b'{"a":2}'
    shelf.documents.forget()
    assert shelf.get().body == b'{"a":3}'


def test_what_can_change_is_made_again_after_its_time() -> None:
    shelf = Shelf(keep_s=60.0)
    shelf.get()
    shelf.loop.now_s += 59
    shelf.get()
    assert len(shelf.asked) == 1
    shelf.loop.now_s += 2
    shelf.get()

    assert len(shelf.asked) == 2


@pytest.mark.parametrize("where", ["whole", "_send"])
def test_a_bug_with_one_document_keeps_nobody_else_from_theirs(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else no slice would come any more, of any document."""
    shelf = Shelf(steps=3, step_s=1.0)
    one, other = shelf.harness.wire(), shelf.harness.wire()
    one.send(get(b"/doc?one"))
    other.send(get(b"/doc?other"))

    def fail(*_: Any) -> Any:
        raise RuntimeError("a bug")

    with monkeypatch.context() as patched:
        patched.setattr(Making if where == "whole" else module, where, fail)
        while len(shelf.documents._making) == 2:
            with contextlib.suppress(RuntimeError):
                shelf.loop.turn()
    while shelf.documents._making:
        shelf.loop.turn()

    assert [response.status for response in responses(other.sent)] == [200]


def test_all_readers_together_take_a_quarter_of_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many different documents they ask for: each spelling of a query is one."""
    shelf, pauses = Shelf(steps=20, step_s=0.0004), []
    call_later = shelf.loop.call_later

    def paused(delay_s: float, callback: Any, *arguments: Any) -> None:
        pauses.append(delay_s)
        call_later(delay_s, callback, *arguments)

    monkeypatch.setattr(shelf.loop, "call_later", paused)
    began_s = shelf.loop.now_s
    wires = [shelf.harness.wire() for _ in range(5)]
    for at, wire in enumerate(wires):
        wire.send(get(b"/doc?a=%d" % at))
    while shelf.loop.later:
        shelf.loop.turn()
    worked_s = shelf.loop.now_s - began_s

    assert [len(responses(wire.sent)) for wire in wires] == [1] * 5
    assert sum(pauses) >= 2.5 * worked_s, "the last slice needs no pause"
