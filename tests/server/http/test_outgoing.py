"""server.http.outgoing: responses leave at the end of the turn, in order, and none is lost or sent into the void."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from server.http.outgoing import Outgoing


class Loop:
    def __init__(self) -> None:
        self.soon: list[Callable[[], None]] = []

    def call_soon(self, callback: Callable[[], None]) -> None:
        self.soon.append(callback)

    def turn(self) -> None:
        soon, self.soon = self.soon, []
        for callback in soon:
            callback()


class Transport:
    def __init__(self, written: list[tuple[str, bytes]], name: str) -> None:
        self._written = written
        self._name = name
        self.is_closed = False

    def is_closing(self) -> bool:
        return self.is_closed

    def write(self, response: bytes) -> None:
        assert not self.is_closed
        self._written.append((self._name, response))


def _make() -> tuple[Loop, Outgoing, list[tuple[str, bytes]], Any, Any]:
    loop, written = Loop(), list[tuple[str, bytes]]()
    outgoing = Outgoing(cast(Any, loop))
    return loop, outgoing, written, Transport(written, "a"), Transport(written, "b")


def test_responses_leave_at_the_end_of_the_turn_in_order() -> None:
    loop, outgoing, written, a, b = _make()
    outgoing.later(a, b"1")
    outgoing.later(b, b"2")
    outgoing.later(a, b"3")
    assert written == []
    assert len(loop.soon) == 1

    loop.turn()

    assert written == [("a", b"1"), ("b", b"2"), ("a", b"3")]


def test_what_leaves_at_once_takes_those_before_it_along() -> None:
    loop, outgoing, written, a, b = _make()
    outgoing.later(a, b"1")
    outgoing.now(a, b"2")
    outgoing.later(b, b"3")
    loop.turn()

    assert written == [("a", b"1"), ("a", b"2"), ("b", b"3")]


def test_a_connection_that_ended_meanwhile_is_passed_over() -> None:
    loop, outgoing, written, a, b = _make()
    outgoing.later(a, b"1")
    outgoing.later(b, b"2")
    a.is_closed = True
    loop.turn()

    assert written == [("b", b"2")]


def test_the_next_turn_begins_anew() -> None:
    loop, outgoing, written, a, _ = _make()
    outgoing.later(a, b"1")
    loop.turn()
    outgoing.later(a, b"2")
    loop.turn()

    assert written == [("a", b"1"), ("a", b"2")]
