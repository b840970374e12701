"""Which requests are traced, and how they go on."""

from __future__ import annotations

from typing import Any

import pytest

from server.http.request import Request
from server.intake.trace import header_of
from server.tracing.make import Tracing
from server.tracing.sampled import Sampling

TRACE = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-"
OURS = b"00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01"


class Notes:
    """What stands for spans here: names, and what they ended with."""

    def __init__(self, *, has_room: bool = True) -> None:
        self.begun: list[Any] = []
        self.ended: list[Any] = []
        self._has_room = has_room

    def begin(self, *what: Any) -> Any:
        self.begun.append(what)
        return "span" if self._has_room else None

    def traceparent(self, _: Any) -> bytes:
        return OURS

    def end(self, *what: Any) -> None:
        self.ended.append(what)


class Connection:
    """Takes answers."""

    def __init__(self) -> None:
        self.answers: list[int] = []

    def answer(self, _request: Request, status: int, *_: Any) -> None:
        self.answers.append(status)


def ask(
    given: bytes | None = None, ratio: float = 0.0, *, follows: bool = True, has_room: bool = True
) -> tuple[Notes, Request, Connection]:
    """What comes of one request whose handler accepts it."""
    notes, connection = Notes(has_room=has_room), Connection()
    headers = {b"host": b"x"} | ({b"traceparent": given} if given is not None else {})
    request = Request(connection, "", b"POST", b"/a", b"", headers, accept, b"", {"kept": 1}, b"{}")
    sampling: Any = Sampling(ratio, notes, header_of, follows_callers=follows)  # type: ignore[arg-type]
    sampling.over("/a", accept)(request)
    return notes, request, connection


def accept(request: Request) -> None:
    request.reply(201, "Created")


@pytest.mark.parametrize(
    ("given", "ratio", "follows", "is_traced"),
    [
        (TRACE + b"01", 0.0, True, True),
        (TRACE + b"03", 0.0, True, True),
        (TRACE + b"00", 1.0, True, False),
        (TRACE + b"02", 1.0, True, False),
        (TRACE + b"01", 0.0, False, False),
        (TRACE + b"00", 1.0, False, True),
        (b"nonsense", 0.0, True, False),
        (b"nonsense", 1.0, True, True),
        (None, 0.0, True, False),
        (None, 1.0, True, True),
    ],
)
def test_a_caller_that_may_decide_is_followed_and_else_chance_decides(
    given: bytes | None, ratio: float, follows: bool, is_traced: bool
) -> None:
    notes, _, connection = ask(given, ratio, follows=follows)

    assert len(notes.begun) == len(notes.ended) == is_traced
    assert connection.answers == [201]


def test_what_is_traced_goes_on_as_a_part_of_our_span() -> None:
    notes, request, _ = ask(TRACE + b"01")

    assert notes.begun == [(b"POST", "/a", {b"host": b"x", b"traceparent": TRACE + b"01"}, 2)]
    assert request.headers == {b"host": b"x", b"traceparent": OURS}
    assert request.memo is None  # Else what was made of other headers would stand for these, and the reverse.
    assert notes.ended == [("span", 201, request.request_id)]


@pytest.mark.parametrize(("given", "has_room"), [(TRACE + b"00", True), (TRACE + b"01", False)])
def test_what_is_not_traced_goes_on_as_it_came(given: bytes, has_room: bool) -> None:
    notes, request, connection = ask(given, has_room=has_room)

    assert request.headers[b"traceparent"] == given
    assert request.memo == {"kept": 1}
    assert (notes.ended, connection.answers) == ([], [201])


def test_an_answer_without_an_identity_gives_the_span_none() -> None:
    notes, connection = Notes(), Connection()
    sampling = Sampling(1.0, notes, header_of, follows_callers=True)  # type: ignore[arg-type]

    def refuse(request: Request) -> None:
        request.refuse(429, "Too Many Requests", b"", b"", b"Retry-After: 1\r\n")

    sampling.over("/a", refuse)(Request(connection, "", b"POST", b"/a", b"", {}, refuse, b""))

    assert notes.ended == [("span", 429, "")]


def test_without_an_endpoint_nothing_is_wrapped() -> None:
    routes: Any = {"/a": {"POST": accept, "HEAD": None}}

    assert Tracing(None, None).table(routes) is routes
    assert Tracing(None, None).counts() == (0, 0, 0)


def test_routes_of_many_paths_and_what_is_not_served_are_left_as_they_are() -> None:
    sampling = Sampling(1.0, Notes(), header_of, follows_callers=True)  # type: ignore[arg-type]
    table = Tracing(None, sampling).table({"/a": {"POST": accept, "HEAD": None}, "/b/*": {"GET": accept}})

    assert table["/b/*"] == {"GET": accept}
    assert table["/a"]["HEAD"] is None
    assert table["/a"]["POST"] is not accept
