"""Clients that send or read too slowly, by a clock that the test moves."""

from __future__ import annotations

import pytest

from server.http.limits import LINGER_S
from server.http.wheel import TICK_S
from tests.server.http.fakes import FakeTransport, Harness, get, post, responses, statuses

LATE_S = 3 * TICK_S
HEAD = b"POST /events HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n"


def _harness() -> Harness:
    return Harness(head_s=10, body_stall_s=6, idle_s=20, write_stall_s=8, answer_s=12, min_bytes_per_s=0)


@pytest.mark.parametrize("sent", [b"P", b"POST /ev", b"POST /events HTTP/1.1\r\nHost: a\r\n"])
def test_a_slow_head_is_408(sent: bytes) -> None:
    harness = _harness()
    wire = harness.wire()
    wire.send(sent)
    harness.pass_time(10)
    assert statuses(wire) == []
    harness.pass_time(LATE_S)

    assert statuses(wire) == [408]
    assert wire.is_closed()
    assert harness.server.refused["head_slow"] == 1


def test_a_head_that_keeps_dripping_is_408_all_the_same() -> None:
    harness = _harness()
    wire = harness.wire()
    wire.send(b"GET /page HTTP/1.1\r\n")
    for _ in range(11):
        harness.pass_time(1)
        wire.send(b"X-A: b\r\n")
    harness.pass_time(LATE_S)

    assert statuses(wire) == [408]


def test_a_client_that_never_says_anything_is_closed_without_a_word() -> None:
    harness = _harness()
    wire = harness.wire()
    wire.send(b"\r\n")
    harness.pass_time(10)
    assert not wire.is_lost()
    harness.pass_time(LATE_S)

    assert wire.is_lost() and wire.sent == b""


def test_a_slow_head_on_a_connection_that_was_kept_is_408_after_the_same_time() -> None:
    harness = _harness()
    wire = harness.wire()
    wire.send(get())
    harness.pass_time(15)
    wire.send(b"GE")
    harness.pass_time(10)
    assert statuses(wire) == [200]
    harness.pass_time(LATE_S)

    assert statuses(wire) == [200, 408]


def test_a_body_that_stops_is_408() -> None:
    harness = _harness()
    wire = harness.wire()
    wire.send(HEAD)
    for _ in range(5):
        harness.pass_time(5)
        wire.send(b"x")
    harness.pass_time(6)
    assert statuses(wire) == []
    harness.pass_time(LATE_S)

    assert statuses(wire) == [408]
    assert harness.server.refused["body_slow"] == 1
    assert harness.server.in_flight_bytes == 0


def test_an_idle_connection_is_closed_without_a_word() -> None:
    harness = _harness()
    wire = harness.wire()
    wire.send(get())
    harness.pass_time(20)
    assert not wire.is_lost()
    harness.pass_time(LATE_S)

    assert wire.is_lost()
    assert statuses(wire) == [200]
    assert harness.server.refused["idle"] == 1


def test_a_request_starts_the_idle_time_anew() -> None:
    harness = _harness()
    wire = harness.wire()
    for _ in range(5):
        wire.send(get())
        harness.pass_time(19)

    assert statuses(wire) == [200] * 5


def test_a_slow_answer_is_no_fault_of_the_client() -> None:
    """While a request is served, half a one behind it has all the time; its own begins with the answer."""
    harness = _harness()
    harness.hold()
    wire = harness.wire()
    wire.send(post() + b"GET /pa")
    harness.pass_time(11.5)
    harness.seen[0].reply(200, "OK")
    harness.pass_time(9)
    wire.send(b"ge HTTP/1.1\r\nHost: a\r\n\r\n")
    harness.seen[1].reply(200, "OK")

    assert statuses(wire) == [200, 200]


@pytest.mark.parametrize("sent", [post(), post()[:-1], b""])
def test_a_request_that_is_never_answered_is_503_and_the_connection_is_closed(
    sent: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever is behind it is not served. The late answer is dropped."""
    harness = _harness()
    harness.hold()
    wire = harness.wire()
    wire.send(post() + sent)
    harness.pass_time(12)
    assert wire.sent == b""
    harness.pass_time(LATE_S)
    (answer,) = responses(wire.sent)
    assert harness.server.in_flight_bytes == 0, "whoever lost the request will not let go of its bytes"
    harness.seen[0].reply(200, "OK")

    assert (answer.status, answer.headers["Retry-After"], answer.headers["Connection"]) == (503, "1", "close")
    assert statuses(wire) == [503]
    assert wire.is_closed()
    assert len(harness.seen) == 1
    assert harness.server.refused["answer_slow"] == 1
    assert harness.server.in_flight_bytes == 0
    assert (harness.server.late_replies, harness.server.handler_errors) == (1, 0)
    assert "a request to /events had no answer after 12 s" in caplog.text


@pytest.mark.parametrize("sent", [[post() * 2], [post(), post()], [post()] * 3 + [get() * 2]])
def test_every_request_has_the_same_time_for_its_answer(sent: list[bytes]) -> None:
    harness = _harness()
    harness.hold()
    wire = harness.wire()
    wire.send(*sent)
    harness.pass_time(11)
    harness.seen[0].reply(200, "OK")
    wire.pump()
    harness.pass_time(11)
    harness.seen[1].reply(200, "OK")

    assert statuses(wire) == [200, 200]


def test_a_client_that_takes_most_of_its_last_answer_and_then_nothing_is_cut_off() -> None:
    harness = _harness()
    harness.on_request = lambda request: request.reply(200, "OK", b"x" * 70_000)
    wire = harness.wire()
    wire.transport.takes_bytes = 0
    wire.send(get(headers=b"Connection: close\r\n"))
    harness.pass_time(5)
    wire.take(60_000)
    harness.pass_time(8 + LATE_S)

    assert wire.transport.is_aborted
    assert harness.server.refused["write_slow"] == 1


def test_a_client_that_does_not_read_is_served_no_further() -> None:
    """The request that fills the buffer is the last one served: memory does not grow with what is asked."""
    harness = _harness()
    harness.on_request = lambda request: request.reply(200, "OK", b"x" * 50_000)
    wire = harness.wire()
    wire.transport.takes_bytes = 0
    wire.send(get() * 40, get() * 40)

    assert len(harness.seen) == 2
    assert not wire.is_read()
    assert wire.transport.unsent_bytes < FakeTransport.HIGH_BYTES + 51_000
    wire.take(99_000)
    assert len(harness.seen) == 4


def test_a_client_that_reads_nothing_is_cut_off() -> None:
    harness = _harness()
    harness.on_request = lambda request: request.reply(200, "OK", b"x" * 70_000)
    wire = harness.wire()
    wire.transport.takes_bytes = 0
    wire.send(get())
    harness.pass_time(8)
    assert not wire.is_lost()
    harness.pass_time(LATE_S)

    assert wire.transport.is_aborted
    assert harness.server.refused["write_slow"] == 1


def test_an_answer_does_not_put_off_the_end_of_a_client_that_reads_nothing() -> None:
    harness = _harness()
    harness.hold()
    wire = harness.wire()
    wire.transport.takes_bytes = 0
    wire.send(post() + post())
    harness.seen[0].reply(200, "OK", b"x" * 60_000)
    wire.connection.pause_writing()
    harness.pass_time(5)
    harness.seen[1].reply(200, "OK", b"x" * 70_000)
    harness.pass_time(8 + LATE_S)

    assert wire.transport.is_aborted


def test_a_client_that_reads_slowly_is_not_cut_off() -> None:
    harness = _harness()
    harness.on_request = lambda request: request.reply(200, "OK", b"x" * 200_000)
    wire = harness.wire()
    wire.transport.takes_bytes = 0
    wire.send(get() + get())
    for _ in range(30):
        harness.pass_time(5)
        wire.take(7000)

    assert len(harness.seen) == 2


def test_a_client_that_reads_nothing_of_the_last_answer_is_cut_off() -> None:
    harness = _harness()
    wire = harness.wire()
    wire.transport.takes_bytes = 0
    wire.send(get(headers=b"Connection: close\r\n"))
    assert not wire.is_lost()
    harness.pass_time(8 + LATE_S)

    assert wire.transport.is_aborted


def test_after_a_refusal_the_client_has_a_bounded_time() -> None:
    harness = _harness()
    wire = harness.wire()
    wire.send(b"NONSENSE\r\n\r\n")
    for _ in range(int(LINGER_S)):
        harness.pass_time(1)
        wire.send(b"more")
    harness.pass_time(LATE_S)

    assert wire.is_lost()


def test_a_loop_that_was_stuck_does_not_blame_its_clients() -> None:
    harness = _harness()
    wire = harness.wire()
    wire.send(b"GET /pa")
    harness.loop.now_s += 60
    harness.server.turn(harness.loop.now_s, 0.0)
    wire.send(b"ge HTTP/1.1\r\nHost: a\r\n\r\n")

    assert statuses(wire) == [200]
