"""Responses are read the same however their bytes are cut, and nonsense is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock_client.http1 import AnswerReader, BadAnswer, request_bytes

ANSWERS = {
    "length": (b"HTTP/1.1 201 Created\r\nContent-Length: 3\r\nX: a\r\nx: b\r\n\r\nabc", 201, b"abc", True),
    "empty": (b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n", 202, b"", True),
    "no content": (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b"", True),
    "closes": (b"HTTP/1.1 503 x\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx", 503, b"x", False),
    "old": (b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", 200, b"x", False),
    "chunks": (
        b"HTTP/1.1 207 x\r\nTransfer-Encoding: chunked\r\n\r\n2;a=b\r\nab\r\n1\r\nc\r\n0\r\nT: x\r\n\r\n",
        207,
        b"abc",
        True,
    ),
    "interim": (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", 200, b"x", True),
    "more than was asked for": (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxHTTP", 200, b"x", False),
}


@given(name=st.sampled_from(sorted(ANSWERS)), sizes=st.lists(st.integers(1, 9), max_size=60))
def test_cuts_make_no_difference(name: str, sizes: list[int]) -> None:
    raw, status, body, keeps = ANSWERS[name]
    reader = AnswerReader()
    for size in [*sizes, len(raw)]:
        if raw and reader.answer is None:
            reader.feed(raw[:size])
            raw = raw[size:]

    assert reader.answer is not None
    assert (reader.answer.status, reader.answer.body) == (status, body)
    assert reader.keeps == keeps or raw, "what comes later is seen by the next use of the connection"


def test_a_body_may_end_with_the_connection() -> None:
    reader = AnswerReader()
    for piece in (b"HTTP/1.1 200 OK\r\n\r\nab", b"c", b""):
        assert reader.answer is None
        reader.feed(piece)

    assert reader.answer is not None and reader.answer.body == b"abc"
    assert not reader.keeps


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab",
        b"SSH-2.0-x\r\n\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9999999999999\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 70_000,
    ],
)
def test_what_is_no_response_is_refused(raw: bytes) -> None:
    reader = AnswerReader()
    with pytest.raises(BadAnswer):  # noqa: PT012 - some are nonsense at once, some only when the connection ends
        for piece in (raw, b""):
            reader.feed(piece)


@given(raw=st.binary(max_size=200))
def test_no_bytes_raise_anything_else(raw: bytes) -> None:
    reader = AnswerReader()
    try:
        reader.feed(b"HTTP/1.1 200 OK\r\n" + raw)
        reader.feed(b"")
    except BadAnswer:
        assert reader.answer is None


def test_a_request_names_host_path_query_and_length() -> None:
    raw = request_bytes("POST", "http://a.example:81/x/v1/events?hasty=true", {"X-A": "b"}, b"[]")

    assert raw == (
        b"POST /x/v1/events?hasty=true HTTP/1.1\r\nHost: a.example:81\r\nX-A: b\r\nContent-Length: 2\r\n\r\n[]"
    )
