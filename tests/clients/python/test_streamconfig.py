"""A fetched stream configuration has its time, is asked for again with its ETag, and used while the intake errs."""

from __future__ import annotations

import json

import pytest

from penstock_client.jobs import Answer, Failed, Result
from penstock_client.options import Options
from penstock_client.streamconfig import NEVER, StreamSource

TTL_S = 300.0


def answer(*streams: str, etag: str = '"1"') -> Answer:
    return Answer(200, {"etag": etag}, json.dumps({"streams": {name: {} for name in streams}}).encode())


def source(*, first: Result | None = None) -> StreamSource:
    """Return a source that asked at 0 and had this answer."""
    made = StreamSource(Options("http://a.example", streams="fetch", streams_ttl_s=TTL_S), 0.0)
    if first is not None:
        made.job(0.0)
        assert made.use(first, 0.0, 0.0) is None
    return made


def declares(made: StreamSource, stream: str) -> bool:
    return made.streams is not None and made.streams.find(stream) is not None


def test_it_is_asked_for_at_once_and_again_when_its_time_is_over() -> None:
    made = source()
    was_awaited, first_s = made.is_awaited(), made.due_s()
    job = made.job(0.0)
    while_asked_s = made.due_s()
    made.use(answer("a"), 1.0, 0.5)

    assert (was_awaited, made.is_awaited()) == (True, False)
    assert (first_s, while_asked_s) == (0.0, NEVER)
    assert job.url == "http://a.example/v1/streamconfigs"
    assert made.due_s() == 1.0 + TTL_S * 1.05, "clients that began together do not ask together for ever"


def test_it_is_asked_for_again_with_its_etag() -> None:
    made = source(first=answer("a", etag='"7"'))
    job = made.job(TTL_S)
    problem = made.use(Answer(304, {}, b""), TTL_S, 0.0)

    assert job.headers["If-None-Match"] == '"7"'
    assert problem is None
    assert declares(made, "a")
    assert made.due_s() == 2 * TTL_S


def test_a_newer_one_takes_its_place() -> None:
    made = source(first=answer("a", etag='"7"'))
    made.job(TTL_S)
    made.use(answer("b", etag='"8"'), TTL_S, 0.0)

    assert (declares(made, "a"), declares(made, "b")) == (False, True)
    assert made.job(2 * TTL_S).headers["If-None-Match"] == '"8"'


@pytest.mark.parametrize(
    "wrong",
    [
        Failed("connect", "no answer"),
        "timeout",
        Answer(503, {}, b""),
        Answer(200, {}, b"a page"),
        Answer(200, {}, b'{"streams": {"/(/": {}}}'),
    ],
)
def test_the_last_one_is_used_while_the_intake_errs(wrong: Result) -> None:
    made = source(first=answer("a"))
    problems, waits = [], []
    for _ in range(8):
        made.job(TTL_S)
        problems.append(made.use(wrong, TTL_S, 1.0))
        waits.append(made.due_s() - TTL_S)

    assert all(problems)
    assert declares(made, "a")
    assert waits == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]


def test_a_304_without_anything_before_it_is_no_configuration() -> None:
    made = source()
    made.job(0.0)

    assert made.use(Answer(304, {}, b""), 0.0, 0.0) == "the answer is 304"
    assert made.is_awaited()
