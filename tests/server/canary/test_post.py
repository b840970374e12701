"""Answers of strangers, as they come from a socket: their words can always be written down."""

from __future__ import annotations

import asyncio
import json

import pytest

from server.canary.event import Canary
from server.canary.plan import Check
from server.canary.post import MAX_WORDS, Poster
from server.canary.verdict import Reply


def posted(answer: bytes) -> Reply:
    """Return what is told of a target that answers with these bytes, and closes."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        writer.close()

    async def test() -> Reply:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        async with server, Poster(60.0, 1) as poster:
            url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            return await poster.post(Check("s", "t", url, "topic", "a/b"), Canary("id", b"{}"))

    return asyncio.run(test())


def head(reason: bytes, body: bytes = b"") -> bytes:
    return b"HTTP/1.1 503 %b\r\nContent-Length: %d\r\n\r\n%b" % (reason, len(body), body)


ANSWERS = {
    "a reason in Latin-1": head(b"Indispon\xedvel"),
    "a reason with control characters": head(b"no\x1b[31m\x07"),
    "a detail with control characters": head(b"-", json.dumps({"detail": "no\x1b[31m\u202e"}).encode()),
    "a detail with half of a pair": head(b"-", b'{"detail": "\\ud800"}'),
    "a detail that is no UTF-8": head(b"-", b'{"detail": "\xff"}'),
    "a message of another kind": head(
        b"-", b'{"error": [{"context": {"message": {"a": "\\u0000"}, "error_type": 5}}]}'
    ),
    "much": head(b"-", json.dumps({"detail": "x" * 60_000}).encode()),
    "no status line": b"\xff\xfe\x00\r\n\r\n",
    "a header that is no UTF-8": b"HTTP/1.1 503 no\r\n\xff\xfe: \xff\r\n\r\n",
    "nothing": b"",
}


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
def test_any_answer_is_told_in_words_that_can_be_written(answer: bytes) -> None:
    reply = posted(answer)

    assert not reply.is_accepted
    assert 0 < len(reply.text) <= MAX_WORDS
    assert reply.text.isprintable()
    assert reply.text.encode()
