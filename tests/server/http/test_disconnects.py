"""A client that goes away leaves nothing behind."""

from __future__ import annotations

import gc

import pytest

from server.http.reader import RequestReader
from server.http.request import Request
from tests.server.http.fakes import Harness, post, statuses


def test_an_answer_to_a_client_that_has_gone_is_counted_and_forgotten() -> None:
    harness = Harness()
    harness.hold()
    wire = harness.wire()
    wire.send(post() + post())
    wire.hang_up()
    harness.seen[0].reply(200, "OK")

    assert wire.sent == b""
    assert (harness.server.abandoned, harness.server.late_replies, harness.server.handler_errors) == (1, 1, 0)
    assert len(harness.seen) == 1, "what waited is not served"


def test_bytes_in_flight_are_held_until_the_handler_lets_go_of_them() -> None:
    harness = Harness()
    harness.hold()
    wire = harness.wire()
    wire.send(post(b"x" * 5000) + post(b"y" * 5000) + post()[:-1])
    wire.hang_up()
    held_bytes = harness.server.in_flight_bytes
    assert 5000 < held_bytes < 10_000
    harness.seen[0].reply(200, "OK")

    assert harness.server.in_flight_bytes == 0


@pytest.mark.parametrize("sent", [b"", b"PO", b"POST /events HTTP/1.1\r\nHost", post()[:-1], post(), post() * 3])
def test_nothing_is_held_after_a_client_has_gone_at_any_point(sent: bytes) -> None:
    harness = Harness()
    wire = harness.wire()
    wire.send(sent)
    wire.hang_up()

    assert harness.server.in_flight_bytes == 0
    assert harness.row.connections == 0


def _readers() -> int:
    return sum(isinstance(kept, RequestReader) for kept in gc.get_objects())


def test_a_connection_is_freed_without_the_garbage_collector() -> None:
    """Parser, reader and connection hold one another: left so, each connection would be work for the collector."""
    gc.collect()
    gc.disable()
    try:
        before = _readers()
        harness = Harness()
        wire = harness.wire()
        wire.send(post())
        assert _readers() == before + 1
        wire.hang_up()
        harness.wires.clear()
        harness.seen.clear()
        del wire
        after = _readers()
    finally:
        gc.enable()

    assert after == before


def test_an_exception_of_a_handler_is_answered_500_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    def fail(request: Request) -> None:
        raise ValueError("secret")

    harness = Harness()
    harness.on_request = fail
    wire = harness.wire()
    wire.send(post() + post())

    assert statuses(wire) == [500, 500]
    assert b"secret" not in wire.sent
    assert not wire.is_closed()
    assert harness.server.handler_errors == 2
    assert len(caplog.records) == 1, "one line, however often it happens"
    assert "ValueError: secret" in caplog.text


def test_an_exception_after_the_answer_changes_nothing_for_the_client() -> None:
    def reply_then_fail(request: Request) -> None:
        request.reply(200, "OK")
        raise ValueError

    harness = Harness()
    harness.on_request = reply_then_fail
    wire = harness.wire()
    wire.send(post() + post())

    assert statuses(wire) == [200, 200]
    assert harness.server.handler_errors == 2
