"""Each ``NNN-name.http`` is what a client sends; ``NNN-name.expected`` says what comes of it, however it is cut.

Lines of an expectation, in order: ``# why``; ``request METHOD TARGET ["body"] [name: value]`` for what a handler sees
(``-``: no such header); ``response STATUS [head] [Name: value]`` for what is answered; then ``open`` or ``closed``.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvloop

from tests.server.http.fakes import Harness, Response, responses

HERE = Path(__file__).parent
CASES = sorted(HERE.glob("*.http"))
LIMITS: dict[str, Any] = {"max_head_bytes": 1024, "max_headers": 20, "max_url_bytes": 256, "max_body_bytes": 2048}
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
REQUEST = re.compile(r'request (\S+) (\S+)(?: (".*"))?(?: ([a-z-]+): (.*))?')
RESPONSE = re.compile(r"response (\d+)(?: (head))?(?: ([A-Za-z-]+): (.*))?")


def whole(data: bytes) -> list[bytes]:
    return [data]


def by_line(data: bytes) -> list[bytes]:
    return data.splitlines(keepends=True)


def by_byte(data: bytes) -> list[bytes]:
    return [data[at : at + 1] for at in range(len(data))]


def at_random(data: bytes) -> list[bytes]:
    dice = random.Random(len(data))
    cuts = sorted(dice.randrange(len(data)) for _ in range(dice.randrange(1, 8)))
    return [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]


class Expected:
    """An expectation file, taken apart."""

    def __init__(self, case: Path) -> None:
        lines = case.with_suffix(".expected").read_text().splitlines()
        self.requests = [match.groups() for match in map(REQUEST.fullmatch, lines) if match]
        self.responses = [match.groups() for match in map(RESPONSE.fullmatch, lines) if match]
        self.is_closed = lines[-1] == "closed"
        assert lines[0].startswith("# ") and lines[-1] in ("open", "closed")
        assert len(lines) == len(self.requests) + len(self.responses) + 2, f"{case.name}: a line is not understood"
        self.heads = frozenset(at for at, (_, head, _, _) in enumerate(self.responses) if head)


def check_response(got: Response, expected: tuple[str | None, ...]) -> None:
    status, _, name, value = expected
    assert got.status == int(status or 0)
    if name and value == "<uuid>":
        assert UUID.fullmatch(got.headers[name])
    elif name:
        assert got.headers[name] == value
    if got.status >= 400:
        problem = json.loads(got.body)
        assert got.headers["Content-Type"] == "application/problem+json"
        assert (problem["status"], problem["title"]) == (got.status, got.phrase)
        assert problem["type"] == "about:blank" and problem["detail"]
    if got.status >= 200:
        assert got.headers["Date"]
    if 200 <= got.status < 300:
        assert got.headers["X-Request-Id"]


def check_requests(harness: Harness, expected: Expected) -> None:
    assert len(harness.seen) == len(expected.requests)
    for request, (method, target, body, name, value) in zip(harness.seen, expected.requests, strict=True):
        assert request.method.decode() == method
        seen_target = request.path + (b"?" + request.query if request.query else b"")
        assert seen_target.decode() == target
        assert request.body == (json.loads(body) if body else "").encode("latin-1")
        if name:
            assert request.headers.get(name.encode(), b"-").decode("latin-1") == value


@pytest.mark.parametrize("cut", [whole, by_line, by_byte, at_random])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_a_request_gets_what_is_expected_however_it_is_cut(case: Path, cut: Callable[[bytes], list[bytes]]) -> None:
    expected = Expected(case)
    harness = Harness(**LIMITS)
    wire = harness.wire()
    wire.send(*cut(case.read_bytes()))

    got = responses(wire.sent, expected.heads)
    assert [response.status for response in got] == [int(status or 0) for status, _, _, _ in expected.responses]
    for response, line in zip(got, expected.responses, strict=True):
        check_response(response, line)
    check_requests(harness, expected)
    assert wire.is_closed() == expected.is_closed
    assert harness.server.in_flight_bytes == 0 or not expected.is_closed


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_a_request_that_came_before_gets_what_is_expected(case: Path) -> None:
    """The same bytes on one connection after another: from the third on, a plain head is known."""
    expected = Expected(case)
    harness = Harness(**LIMITS)
    for _ in range(4):
        harness.seen.clear()
        wire = harness.wire()
        wire.send(case.read_bytes())

        for response, line in zip(responses(wire.sent, expected.heads), expected.responses, strict=True):
            check_response(response, line)
        check_requests(harness, expected)
        assert wire.is_closed() == expected.is_closed


def test_the_corpus_is_whole() -> None:
    """Every request has its expectation and the reverse; numbers are in order."""
    stems = [case.stem for case in CASES]

    assert len(stems) >= 60
    assert stems == sorted(path.stem for path in HERE.glob("*.expected"))
    assert [int(stem[:3]) for stem in stems] == list(range(1, len(stems) + 1))


Served = tuple[asyncio.AbstractEventLoop, Harness, int]


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    """The same server on a real socket."""
    loop = uvloop.new_event_loop()
    harness = Harness(**LIMITS)
    listening = socket.create_server(("127.0.0.1", 0))
    listener = loop.run_until_complete(loop.create_server(harness.server.connection, sock=listening))
    yield loop, harness, listening.getsockname()[1]
    listener.close()
    loop.run_until_complete(listener.wait_closed())
    loop.close()


async def ask(port: int, data: bytes) -> bytes:
    """Send everything in two pieces, then nothing more, and read to the end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data[: len(data) // 2])
    await writer.drain()
    writer.write(data[len(data) // 2 :])
    writer.write_eof()
    answered = await asyncio.wait_for(reader.read(), 60)
    writer.close()
    await writer.wait_closed()
    return answered


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_a_real_socket_tells_the_same(case: Path, served: Served) -> None:
    loop, harness, port = served
    expected = Expected(case)
    harness.seen.clear()
    answered = loop.run_until_complete(ask(port, case.read_bytes()))

    got = responses(answered, expected.heads)
    assert [response.status for response in got] == [int(status or 0) for status, _, _, _ in expected.responses]
    check_requests(harness, expected)
