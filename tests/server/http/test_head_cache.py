"""A head that was parsed before means the same again, and only what is plain is remembered."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.http import head_cache as repeats
from server.http.head_cache import MAX_CACHED, MAX_HEAD_BYTES, MAX_HEADERS, MAX_PAUSE_TICKS, MAX_PEERS, MAX_SEEN, MISSES
from server.http.limits import LARGE_BYTES, REQUEST_BYTES
from server.http.request import Request
from server.http.wheel import TICK_S
from tests.server.http.fakes import Harness, get, post, responses, statuses

PLAIN = {
    "a body": post(b"body", b"Content-Type: application/json\r\nX-A: 1\r\nx-a: 2 \r\n"),
    "an empty body": post(b""),
    "no length": b"POST /events?hasty=1 HTTP/1.1\r\nHost: a\r\n\r\n",
    "a page": get(),
    "a page with a body": b"GET /page HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi",
    "a head": b"HEAD /page HTTP/1.1\r\nHost: a\r\n\r\n",
    "an absolute target": get(b"http://a/page?q=1"),
    "blank lines before": b"\r\n" + get(),
    "a body of ends of heads": post(b"\r\n\r\n\r\n\r\n"),
    "kept alive in words": get(headers=b"Connection: keep-alive\r\n"),
    "a body of one read": post(b"x" * 8000),
    "a body of several slices": post(b"x" * 60_000),
}
OTHER = {
    "chunked": b"POST /events HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
    "an expectation": post(headers=b"Expect: 100-continue\r\n"),
    "identity": post(headers=b"Content-Encoding: identity\r\n"),
    "compressed": post(headers=b"Content-Encoding: gzip\r\n"),
    "an upgrade": post(headers=b"Connection: Upgrade\r\nUpgrade: h2c\r\n"),
    "to be closed": get(headers=b"Connection: close\r\n"),
    "the old version": b"GET /page HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    "no such path": get(b"/nothing"),
    "no such method": get(b"/events"),
    "another type": post(headers=b"Content-Type: image/png\r\n"),
    "too large": post(b"x" * 3000),
    "no host": b"GET /page HTTP/1.1\r\n\r\n",
    "two at once": get() + get(),
    "a page and a half": get() + b"GET /pa",
    "blank lines behind": get() + b"\r\n\r\n",
    "half a body": post(b"body")[:-1],
    "half a head": post(b"body")[:20],
    "a large head": get(headers=b"X-Pad: %b\r\n" % (b"p" * MAX_HEAD_BYTES)),
    "many headers": get(headers=b"".join(b"X-%d: a\r\n" % at for at in range(MAX_HEADERS))),
    "no request": b"NONSENSE\r\n\r\n",
    "blank lines alone": b"\r\n\r\n",
}


def _harness() -> Harness:
    return Harness(max_body_bytes=2048)


def _seen(request: Request) -> tuple[object, ...]:
    return request.method, request.path, request.query, dict(request.headers), request.body, request.tail


@pytest.mark.parametrize("name", PLAIN)
def test_a_plain_request_is_known_the_third_time_and_means_the_same(name: str) -> None:
    harness = Harness()
    wire = harness.wire()
    wire.send(*[PLAIN[name]] * 5)

    assert harness.server.head_cache.hits == 3
    assert [_seen(request) for request in harness.seen] == [_seen(harness.seen[0])] * 5
    assert len(statuses(wire)) == 5 if name != "a head" else wire.sent.count(b"HTTP/1.1 200 OK") == 5
    assert (harness.server.requests, harness.server.in_flight_bytes, wire.transport.writes) == (5, 0, 5)


def test_connections_share_what_is_known() -> None:
    harness = Harness()
    for _ in range(4):
        harness.wire().send(post(b"body"))

    assert harness.server.head_cache.hits == 2


@pytest.mark.parametrize("name", OTHER)
def test_anything_else_is_never_known(name: str) -> None:
    harness = _harness()
    for _ in range(4):
        harness.wire().send(OTHER[name])
    harness.server.close()

    assert harness.server.head_cache.entries == {}


@pytest.mark.parametrize("size", [10_000, 65_536, 200_000])
def test_a_body_of_several_reads_or_of_more_than_a_client_may_hold_unseen_is_parsed(size: int) -> None:
    harness = Harness()
    request = post(b"x" * size)
    cut = len(request) // 2 if size < LARGE_BYTES else len(request)
    for _ in range(4):
        harness.wire().send(request[:cut], request[cut:])

    assert harness.server.head_cache.entries == {}
    assert harness.server.head_cache.hits == 0
    assert [len(request.body) for request in harness.seen] == [size] * 4


def test_a_known_head_with_another_end_is_parsed() -> None:
    """Less than its body, more than its body, and one more request behind."""
    harness = Harness()
    wire = harness.wire()
    wire.send(*[post(b"body")] * 3)
    wire.send(post(b"body")[:-2], b"dy", post(b"body") + post(b"more"), post(b"body") + b"\r\n", post(b"body"))

    assert [request.body for request in harness.seen] == [b"body"] * 5 + [b"more"] + [b"body"] * 2
    assert statuses(wire) == [200] * 8
    assert harness.server.head_cache.hits == 2


def test_a_body_that_looks_like_a_known_request_is_a_body() -> None:
    """Also when it comes in a read of its own: nobody may smuggle a request past a proxy so."""
    harness = Harness()
    wire = harness.wire()
    wire.send(*[get()] * 3)
    chunked = b"POST /events HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n" % (2 * len(get()))
    wire.send(post(get()).removesuffix(get()), get())
    wire.send(chunked, get(), get(), b"\r\n0\r\n\r\n")
    wire.send(get(headers=b"Connection: close\r\n"), get())

    assert [request.body for request in harness.seen] == [b""] * 3 + [get(), get() * 2, b""]
    assert harness.server.head_cache.hits == 1


def test_identities_differ_though_heads_do_not() -> None:
    harness = Harness()
    wire = harness.wire()
    wire.send(*[get()] * 5)

    assert len({response.headers["X-Request-Id"] for response in responses(wire.sent)}) == 5


def test_a_known_head_waits_its_turn() -> None:
    harness = Harness()
    wire = harness.wire()
    wire.send(*[post(b"body")] * 3)
    harness.hold()
    wire.send(post(b"body"), post(b"body"))
    assert len(harness.seen) == 4
    assert harness.server.in_flight_bytes == REQUEST_BYTES + len(b"body")
    harness.seen[3].reply(201, "Created")
    harness.seen[4].reply(202, "Accepted")

    assert statuses(wire) == [200, 200, 200, 201, 202]
    assert harness.server.in_flight_bytes == 0


def test_a_full_worker_refuses_a_known_head() -> None:
    harness = Harness(max_in_flight_bytes=20_000)
    wire, other = harness.wire(), harness.wire()
    wire.send(*[post(b"body")] * 3)
    harness.hold()
    other.send(post(b"x" * (20_000 - REQUEST_BYTES - 3)))
    wire.send(post(b"body"))

    assert statuses(wire) == [200, 200, 200, 503]
    assert harness.server.refused["in_flight"] == 1


def test_a_draining_worker_closes_behind_a_known_head() -> None:
    harness = Harness()
    wire = harness.wire()
    wire.send(*[get()] * 3)
    harness.server.is_draining = True
    wire.send(get())

    assert responses(wire.sent)[-1].headers["Connection"] == "close"
    assert wire.is_lost()


def test_a_handler_that_fails_on_a_known_head_is_answered() -> None:
    harness = Harness()
    wire = harness.wire()
    wire.send(*[get()] * 3)
    harness.on_request = lambda request: 1 / 0  # type: ignore[assignment]
    wire.send(get())

    assert statuses(wire) == [200, 200, 200, 500]
    assert harness.server.handler_errors == 1


@given(st.binary(max_size=30), st.sampled_from([b"", b"\r\n", b"\r\n\r\n", b"\n\r\n", b"\n\n", b"\r\n\r\n\r\n"]))
def test_what_is_known_is_a_request_to_its_last_byte_and_not_before(garbage: bytes, end: bytes) -> None:
    harness = Harness()
    for _ in range(3):
        harness.wire().send(get(headers=garbage + end))

    for head in harness.server.head_cache.entries:
        alone = Harness()
        wire = alone.wire()
        wire.send(head[:-1])
        assert alone.seen == []
        wire.send(head[-1:])
        assert len(alone.seen) == 1


@pytest.mark.parametrize("head", [get()[:-1], get() + b"G", get()[:-2], get() + get(), b"\r\n"])
def test_what_the_parser_does_not_take_for_a_head_is_not_learnt(head: bytes) -> None:
    """Whatever our search for its end has found."""
    harness = Harness()
    harness.wire().send(get())
    for _ in range(3):
        harness.server.head_cache.learn(head, len(head), harness.seen[0])
    assert harness.server.head_cache.entries == {}
    for _ in range(3):
        harness.server.head_cache.learn(get(), len(get()), harness.seen[0])

    assert list(harness.server.head_cache.entries) == [get()]


def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repeats, "MISSES", 1 << 30)
    harness = Harness()
    wire = harness.wire()
    for at in range(MAX_SEEN + 2 * MAX_CACHED):
        wire.send(*[get(headers=b"X-A: %d\r\n" % at)] * 2)
        assert len(harness.server.head_cache.entries) <= MAX_CACHED
        harness.seen.clear()
        wire.transport.sent.clear()

    assert harness.server.head_cache.entries


def test_what_is_worked_out_from_a_head_is_kept_for_its_client_alone_and_for_few() -> None:
    harness = Harness()
    wires = [harness.wire() for _ in range(MAX_PEERS + 2)]
    for number, wire in enumerate(wires):
        wire.connection.peer = f"192.0.2.{number}"
    for wire in [wires[0], *wires, *wires]:
        wire.send(get())
    memos = [request.memo for request in harness.seen[-len(wires) :]]

    assert harness.seen[0].memo is None
    for known in harness.server.head_cache.entries.values():
        assert len(known.memos) <= MAX_PEERS
    assert len({id(memo) for memo in memos}) == len(wires)
    for wire in wires:
        wire.send(get())
    again = [request.memo for request in harness.seen[-len(wires) :]]
    assert sum(one is another for one, another in zip(memos, again, strict=True)) == MAX_PEERS


def test_heads_that_come_once_are_not_kept() -> None:
    harness = Harness()
    wire = harness.wire()
    wire.send(*[get(headers=b"X-A: %d\r\n" % at) for at in range(MISSES - 1)])

    assert harness.server.head_cache.entries == {}


def test_where_heads_do_not_repeat_looking_stops_for_longer_and_longer() -> None:
    harness = Harness()
    wire = harness.wire()
    pauses = []
    for window in range(9):
        wire.send(*[get(headers=b"X-A: %d-%d\r\n" % (window, at)) for at in range(MISSES)])
        ticks = 0
        while not harness.server.head_cache.is_on:
            harness.pass_time(TICK_S)
            ticks += 1
        pauses.append(ticks)

    assert pauses == [1, 2, 4, 8, 16, 32, 64, 64, 64]
    assert max(pauses) == MAX_PAUSE_TICKS


def test_looking_goes_on_where_most_heads_repeat() -> None:
    harness = Harness()
    wire = harness.wire()
    for number in range(3 * MISSES):
        wire.send(get(), get(), get(headers=b"X-A: %d\r\n" % number))
        assert harness.server.head_cache.is_on
