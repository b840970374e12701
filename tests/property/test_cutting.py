"""However a sequence of requests is cut into reads, handlers see the same requests and the client the same bytes."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.http.request import Request
from tests.server.http.fakes import Harness, Wire, get, keep, post, responses

pytestmark = pytest.mark.slow(reason="it cuts generated requests in many ways")

BODIES = st.binary(max_size=60) | st.binary(min_size=9000, max_size=20_000).map(lambda body: body[:20_000])
PADDING = st.sampled_from(
    [b"", b"X-Forwarded-For: 1.1.1.1\r\nx-forwarded-for: 2.2.2.2\r\n", b"X-Pad: %b\r\n" % (b"p" * 700)]
)


def _chunked(pieces: list[bytes], trailer: bytes, headers: bytes) -> bytes:
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces if piece)
    head = b"POST /events HTTP/1.1\r\nHost: a\r\nX-Request-Id: c\r\nTransfer-Encoding: chunked\r\n" + headers
    return head + b"\r\n" + chunks + b"0\r\n" + trailer + b"\r\n"


# Every request names itself, so that the bytes of the answers can be compared.
NAMED = b"X-Request-Id: r\r\n"
REQUESTS = st.one_of(
    st.builds(lambda body, more: post(body, NAMED + more), BODIES, PADDING),
    st.builds(lambda more: get(b"/page?a=b", NAMED + more), PADDING),
    st.builds(_chunked, st.lists(BODIES, max_size=4), st.sampled_from([b"", b"X-Late: 1\r\n"]), PADDING),
    st.builds(lambda body: post(body, NAMED + b"Expect: 100-continue\r\n"), st.binary(min_size=1, max_size=50)),
    st.just(post(b"body", NAMED, path=b"/nothing")),
    st.just(get(b"/events", NAMED)),
    st.just(b"\r\n" + get(headers=NAMED)),
)
# What may come last, since nothing behind it is served.
ENDINGS = st.sampled_from(
    [
        b"",
        get(headers=NAMED + b"Connection: close\r\n") + get(),
        post(b"x" * 70, NAMED + b"Connection: Upgrade\r\nUpgrade: h2c\r\n"),
        b"NONSENSE\r\n\r\n",
        b"GET /page HTTP/1.1\r\n\r\n",
        b"GET /%b HTTP/1.1\r\n" % (b"u" * 20_000),
        b"POST /events HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n" + b"x" * 9000,
        _chunked([b"x" * 30_000, b"y" * 30_000], b"", b""),
        b"GET /page HTTP/1.1\r\nHost: a\r\n" + b"".join(b"X-%d: a\r\n" % at for at in range(120)) + b"\r\n",
    ]
)


def _cut(data: bytes, at: list[int]) -> list[bytes]:
    cuts = sorted({cut % (len(data) + 1) for cut in at} | {0, len(data)})
    return [data[start:end] for start, end in itertools.pairwise(cuts)]


def _seen(request: Request) -> tuple[object, ...]:
    return request.method, request.path, request.query, request.headers, request.body, request.request_id


def _harness() -> Harness:
    return Harness(max_body_bytes=50_000)


def _answer_some(harness: Harness, wire: Wire, dice: list[bool], answered: int, *, is_last: bool) -> int:
    """Answer requests that wait, as long as the dice say so; all of them at last."""
    while answered < len(harness.seen) and (is_last or (dice and dice.pop())):
        request = harness.seen[answered]
        request.reply(200, "OK", request.body or b"-")
        answered += 1
        wire.pump()
    return answered


@settings(deadline=None, max_examples=150)
@given(st.lists(REQUESTS, max_size=6), ENDINGS, st.lists(st.integers(0, 1 << 20), max_size=40))
def test_any_cutting_gives_the_same_requests_and_the_same_bytes(
    requests: list[bytes], ending: bytes, at: list[int]
) -> None:
    data = b"".join(requests) + ending
    whole, cut = _harness(), _harness()
    whole_wire, cut_wire = whole.wire(), cut.wire()
    whole_wire.send(data)
    cut_wire.send(*_cut(data, at))

    assert [_seen(request) for request in cut.seen] == [_seen(request) for request in whole.seen]
    assert cut_wire.sent == whole_wire.sent
    assert cut_wire.is_closed() == whole_wire.is_closed()
    assert cut.server.in_flight_bytes == whole.server.in_flight_bytes == 0


@settings(deadline=None, max_examples=150)
@given(
    st.lists(REQUESTS, max_size=6),
    st.sampled_from([b"", get(headers=NAMED + b"Connection: close\r\n") + get(), b"NONSENSE\r\n\r\n"]),
    st.lists(st.integers(0, 1 << 20), max_size=40),
    st.lists(st.booleans(), max_size=60),
)
def test_late_answers_change_neither_requests_nor_bytes(
    requests: list[bytes], ending: bytes, at: list[int], dice: list[bool]
) -> None:
    data = b"".join(requests) + ending
    prompt, late = _harness(), _harness()
    prompt.on_request = lambda request: request.reply(200, "OK", request.body or b"-")
    prompt_wire, late_wire = prompt.wire(), late.wire()
    prompt_wire.send(data)
    late.on_request = keep
    answered = 0
    for piece in _cut(data, at):
        late_wire.send(piece)
        answered = _answer_some(late, late_wire, dice, answered, is_last=False)
    _answer_some(late, late_wire, dice, answered, is_last=True)

    assert [_seen(request) for request in late.seen] == [_seen(request) for request in prompt.seen]
    assert late_wire.sent == prompt_wire.sent
    assert late_wire.is_closed() == prompt_wire.is_closed()
    assert late.server.in_flight_bytes == 0
    responses(late_wire.sent)


# A few requests, each over and over, as one client sends them.
REPEATED = st.lists(REQUESTS, min_size=1, max_size=3).flatmap(
    lambda few: st.lists(st.sampled_from(few), min_size=3, max_size=20)
)


@settings(deadline=None, max_examples=200)
@given(
    REPEATED,
    ENDINGS,
    st.lists(st.integers(0, 1 << 20), max_size=3),
    st.lists(st.booleans(), max_size=60) | st.none(),
)
def test_heads_that_repeat_mean_what_they_meant(
    requests: list[bytes], ending: bytes, at: list[int], dice: list[bool] | None
) -> None:
    """Most reads hold one request, so that heads are known; some are cut or hold more. The judge knows no head.
    Without dice every request is answered at once."""
    data = b"".join(requests) + ending
    starts = list(itertools.accumulate(map(len, requests), initial=0))
    knowing, parsing = _harness(), _harness()
    parsing.server.head_cache.is_on = False
    for harness in (knowing, parsing):
        wire, told, answered = harness.wire(), list(dice or ()), 0
        if dice is not None:
            harness.on_request = keep
        for piece in _cut(data, at + starts):
            wire.send(piece)
            if dice is not None:
                answered = _answer_some(harness, wire, told, answered, is_last=False)
        if dice is not None:
            _answer_some(harness, wire, told, answered, is_last=True)

    assert parsing.server.head_cache.entries == {}
    assert [_seen(request) for request in knowing.seen] == [_seen(request) for request in parsing.seen]
    assert knowing.wires[0].sent == parsing.wires[0].sent
    assert knowing.wires[0].is_closed() == parsing.wires[0].is_closed()
    assert knowing.server.by_route == parsing.server.by_route
    assert knowing.server.unread == parsing.server.unread
    assert knowing.server.in_flight_bytes == parsing.server.in_flight_bytes == 0
