"""Requests of one connection are served one at a time and answered in order."""

from __future__ import annotations

import zlib
from itertools import pairwise

from server.http.limits import REQUEST_BYTES, SLICE_BYTES, TURN_BYTES, TURN_REQUEST_BYTES
from tests.server.http.fakes import Harness, get, keep, post, responses, statuses


def test_the_next_request_is_served_only_when_the_one_before_is_answered() -> None:
    harness = Harness()
    harness.hold()
    wire = harness.wire()
    wire.send(post(b"one") + post(b"two") + post(b"three"))
    assert [request.body for request in harness.seen] == [b"one"]
    harness.seen[0].reply(200, "OK", b"1")
    assert [request.body for request in harness.seen] == [b"one", b"two"]
    harness.seen[1].reply(200, "OK", b"2")
    harness.seen[2].reply(200, "OK", b"3")

    assert [response.body for response in responses(wire.sent)] == [b"1", b"2", b"3"]


def test_a_handler_that_answers_at_once_and_one_that_does_not_keep_the_order() -> None:
    harness = Harness()
    harness.on_request = lambda request: (
        keep(request) if request.body == b"late" else request.reply(200, "OK", request.body)
    )
    wire = harness.wire()
    wire.send(post(b"a") + post(b"late") + post(b"b") + post(b"late") + post(b"c"))
    harness.seen[1].reply(200, "OK", b"first")
    harness.seen[3].reply(200, "OK", b"second")

    assert [response.body for response in responses(wire.sent)] == [b"a", b"first", b"b", b"second", b"c"]


def test_connections_do_not_wait_for_one_another() -> None:
    harness = Harness()
    harness.hold()
    wires = [harness.wire() for _ in range(4)]
    for number, wire in enumerate(wires):
        wire.send(post(b"%d" % number) * 2)
    for at in (2, 0, 3, 1):
        harness.seen[at].reply(200, "OK", b"1")
    for at in (5, 4, 7, 6):
        harness.seen[at].reply(200, "OK", b"2")

    for wire in wires:
        assert [response.body for response in responses(wire.sent)] == [b"1", b"2"]


def test_others_are_served_between_what_a_client_has_sent_ahead() -> None:
    harness = Harness()
    harness.loop.is_held = True
    greedy, other = harness.wire(), harness.wire()
    bodies = [b"%d" % number * TURN_BYTES for number in range(1, 8)]
    greedy.send(b"".join(map(post, bodies)))
    other.send(post(b"other"))
    harness.loop.turns()

    served = [request.body for request in harness.seen]
    assert served.index(b"other") == 1
    assert [body for body in served if body != b"other"] == bodies
    assert [response.body for response in responses(greedy.sent)] == bodies
    assert greedy.is_read()


def test_short_requests_are_served_many_in_a_turn() -> None:
    harness = Harness()
    harness.loop.is_held = True
    wire = harness.wire()
    wire.send(get() * 300)
    assert len(harness.seen) == TURN_BYTES // TURN_REQUEST_BYTES
    harness.loop.turns()

    assert statuses(wire) == [200] * 300


def test_what_is_served_in_later_turns_is_owed_and_an_end_waits_for_it() -> None:
    harness = Harness()
    harness.loop.is_held = True
    leaving, lost = harness.wire(), harness.wire()
    for wire in (leaving, lost):
        wire.send(post(b"a" * SLICE_BYTES) + post(b"b" * TURN_BYTES) * 2 + b"GET / HTTP/9.9\r\n\r\n")
    leaving.send_eof()
    assert leaving.connection.is_owed()
    lost.hang_up()
    harness.loop.turns()

    assert statuses(leaving) == [200, 200, 200, 505]
    assert len(harness.seen) == 4
    assert harness.server.in_flight_bytes == 0


def test_reading_pauses_while_a_request_waits_for_its_answer() -> None:
    """Paused by the first bytes that nobody can serve yet, not by the request: most clients send none."""
    harness = Harness()
    harness.hold()
    wire = harness.wire()
    wire.send(post())
    assert wire.is_read()
    wire.send(post(), post(), post())
    assert not wire.is_read()
    assert wire.waiting_bytes == 2 * len(post())
    harness.seen[0].reply(200, "OK")
    wire.pump()
    harness.seen[1].reply(200, "OK")
    wire.pump()

    assert len(harness.seen) == 3


def test_what_waits_as_requests_is_bounded_by_a_slice() -> None:
    """A read of a thousand requests becomes a few waiting requests; the rest waits as bytes."""
    harness = Harness()
    harness.hold()
    wire = harness.wire()
    wire.send(get() * 5000)
    in_a_slice = SLICE_BYTES // len(get()) + 1

    assert 0 < harness.server.in_flight_bytes <= in_a_slice * REQUEST_BYTES


def test_thousands_of_pipelined_requests_do_not_nest() -> None:
    harness = Harness()
    wire = harness.wire()
    wire.send(get() * 5000)

    assert statuses(wire) == [200] * 5000


def test_a_waiting_bad_request_is_answered_after_those_before_it() -> None:
    harness = Harness()
    harness.hold()
    wire = harness.wire()
    wire.send(post(b"a") + post(b"b") + b"NONSENSE\r\n\r\n")
    assert not wire.is_closed()
    harness.seen[0].reply(200, "OK")
    harness.seen[1].reply(200, "OK")

    assert statuses(wire) == [200, 200, 400]
    assert wire.is_closed()


def test_100_is_sent_when_the_body_is_awaited_and_not_before_earlier_answers() -> None:
    harness = Harness()
    harness.hold()
    wire = harness.wire()
    wire.send(post(b"a") + b"POST /events HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
    assert wire.sent == b""
    harness.seen[0].reply(200, "OK")
    assert statuses(wire) == [200, 100]
    wire.send(b"hi")
    harness.seen[1].reply(200, "OK")

    assert statuses(wire) == [200, 100, 200]


def test_one_write_makes_a_response() -> None:
    harness = Harness()
    wire = harness.wire()
    wire.send(post(b"body"), get(), get(b"/nothing"))

    assert wire.transport.writes == len(statuses(wire)) == 3


def test_a_second_reply_is_dropped_and_counted() -> None:
    harness = Harness()
    harness.hold()
    wire = harness.wire()
    wire.send(post() + post())
    harness.seen[0].reply(200, "OK")
    harness.seen[0].reply(500, "Again")

    assert statuses(wire) == [200]
    assert harness.server.handler_errors == 1


def test_a_client_that_half_closes_gets_its_answers() -> None:
    harness = Harness()
    harness.hold()
    wire = harness.wire()
    wire.send(post() + post())
    wire.send_eof()
    harness.seen[0].reply(200, "OK")
    harness.seen[1].reply(200, "OK")
    wire.pump()

    assert statuses(wire) == [200, 200]
    assert wire.is_lost()


def test_a_client_that_half_closes_an_idle_connection_is_let_go() -> None:
    harness = Harness()
    wire = harness.wire()
    wire.send(post(), b"POST /eve")
    wire.send_eof()

    assert statuses(wire) == [200]
    assert wire.is_lost()


def test_what_follows_a_request_that_closes_is_no_parse_error() -> None:
    harness = Harness()
    harness.hold()
    wire = harness.wire()
    wire.send(get(headers=b"Connection: close\r\n") + get(), b"NONSENSE")
    harness.seen[0].reply(200, "OK")
    wire.pump()

    assert statuses(wire) == [200]
    assert wire.is_lost()
    assert harness.server.parse_errors == 0


def test_others_are_served_between_slices_of_tiny_chunks() -> None:
    """A slice of chunks of one byte is 1,400 callbacks, and one read may bring 32 of them."""
    harness = Harness()
    harness.loop.is_held = True
    greedy, other = harness.wire(), harness.wire()
    head = b"POST /events HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    greedy.send(head + b"1\r\nx\r\n" * 20_000 + b"0\r\n\r\n")
    fed = [0, greedy.connection._reader._body_bytes]
    while harness.loop.soon:
        harness.loop.soon.popleft()()
        fed.append(greedy.connection._reader._body_bytes)
        if len(fed) == 3:
            other.send(post(b"other"))

    assert [len(request.body) for request in harness.seen] == [5, 20_000]
    assert max(after - before for before, after in pairwise(fed)) <= SLICE_BYTES // 6 + 1


def test_a_body_counts_as_large_as_it_is_when_decompressed() -> None:
    """Seven bodies of 200 bytes that become 30 kB each were served in one turn, for 2 ms each."""
    harness = Harness()
    harness.loop.is_held = True
    wire = harness.wire()
    body = zlib.compress(b" " * TURN_BYTES)
    wire.send(post(body, b"Content-Encoding: deflate\r\n") * 5)
    served = [0, len(harness.seen)]
    while harness.loop.soon:
        harness.loop.soon.popleft()()
        served.append(len(harness.seen))

    assert served[-1] == 5
    assert max(after - before for before, after in pairwise(served)) <= 1


def test_a_turn_takes_several_slices_of_ordinary_chunks() -> None:
    harness = Harness()
    harness.loop.is_held = True
    wire = harness.wire()
    head = b"POST /events HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    wire.send(head + b"8000\r\n%b\r\n" % (b"x" * 0x8000) * 4 + b"0\r\n\r\n")
    turns = 0
    while not harness.seen:
        harness.loop.soon.popleft()()
        turns += 1

    assert turns <= 4


def test_a_short_read_of_many_requests_is_a_turn_or_more_too() -> None:
    harness = Harness()
    harness.loop.is_held = True
    wire = harness.wire()
    assert len(get() * 150) < SLICE_BYTES
    wire.send(get() * 150)
    assert len(harness.seen) == TURN_BYTES // TURN_REQUEST_BYTES
    harness.loop.turns()

    assert len(harness.seen) == 150
    assert statuses(wire) == [200] * 150
