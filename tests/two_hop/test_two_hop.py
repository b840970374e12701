"""Behind nginx and haproxy, whatever their clients send: what we take for requests is what they sent on as such."""

from __future__ import annotations

import asyncio
import json
import re
import tempfile
from collections import Counter
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import uvloop

from server.http.request import Request
from server.http.response import CONTINUE
from tests.server.http.fakes import Harness, responses
from tests.two_hop import ambiguous
from tests.two_hop.proxies import Proxy

AT_ONCE = 48
ANSWER_S = 0.2  # An ambiguous request may be one that its proxy waits for more of.
BYSTANDER_S = 60.0  # An honest one is answered, however busy the machine is.
HOP = re.compile(rb"\r\nX-Hop: ([0-9a-f-]{32,36})\r\n", re.IGNORECASE)
KINDS = ["nginx", "nginx streaming", "haproxy", "haproxy v2"]


class Sent(NamedTuple):
    """One request as its proxy sent it on."""

    hop: str
    digest: str
    method: str


def split(stream: bytes) -> list[Sent]:
    """The requests that a proxy wrote on one connection: it frames them in the two usual ways, or this fails."""
    found = []
    while stream:
        head, end, stream = stream.partition(b"\r\n\r\n")
        if not end:
            break  # Cut off by its client.
        lines = [line.partition(b":") for line in head.split(b"\r\n")[1:]]
        headers = {name.lower(): value.strip() for name, _, value in lines}
        if headers.get(b"transfer-encoding", b"").lower() == b"chunked":
            assert b"content-length" not in headers, "the proxy itself is ambiguous"
            body, stream = _dechunked(stream)
        else:
            length = int(headers.get(b"content-length", b"0"))
            body, stream = stream[:length] if len(stream) >= length else None, stream[length:]
        hop = headers[b"x-hop"].decode()
        found.append(Sent(hop, sha256(body).hexdigest() if body is not None else "", head.partition(b" ")[0].decode()))
    return found


def _dechunked(stream: bytes) -> tuple[bytes | None, bytes]:
    body = b""
    while True:
        line, end, stream = stream.partition(b"\r\n")
        if not end:
            return None, b""
        size = int(line.partition(b";")[0], 16)
        if not size:
            while line := stream.partition(b"\r\n")[0]:
                stream = stream[len(line) + 2 :]
            return (body, stream[2:]) if stream else (None, b"")
        body, stream = body + stream[:size], stream[size + 2 :]


class Second:
    """Us behind a tap that writes down both directions of every connection."""

    def __init__(self, loop: asyncio.AbstractEventLoop, *, is_greeted: bool) -> None:
        routes = {path: {"POST": self._handle, "GET": self._handle} for path in ("/echo", "/smuggled")}
        http: dict[str, Any] = {"trusted_proxies": ["192.0.2.1"], "proxy_protocol": True} if is_greeted else {}
        self.harness = Harness(routes=routes, http=http)
        self.seen: list[Sent] = []
        self.taps: list[tuple[bytearray, bytearray]] = []
        self._loop = loop
        self._is_greeted = is_greeted
        self._directory = ""
        self._servers: list[asyncio.AbstractServer] = []
        self._joints: set[asyncio.Task[None]] = set()

    def _handle(self, request: Request) -> None:
        hop = request.headers.get(b"x-hop", b"none").decode("latin-1")
        one = Sent(hop, sha256(request.body).hexdigest(), request.method.decode())
        self.seen.append(one)
        target = (request.path + b"?" + request.query).decode("latin-1")
        lines = "".join(f"X-{name.title()}: {value}\r\n" for name, value in one._asdict().items())
        body = json.dumps({"digest": one.digest, "target": target})
        request.reply(200, "OK", body.encode(), more=lines.encode())

    async def listen(self, tap: Path) -> None:
        """From now on a proxy may connect to ``tap``."""
        self._directory = str(tap.parent)
        self._servers = [
            await self._loop.create_unix_server(self.harness.server.connection, path=f"{self._directory}/us"),
            await asyncio.start_unix_server(self._on_proxy, path=str(tap)),
        ]

    async def close(self) -> None:
        """The proxy is gone: so will be its connections."""
        for server in self._servers:
            server.close()
        await asyncio.wait_for(asyncio.gather(*self._joints), 60)

    def _on_proxy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._joints.add(self._loop.create_task(self._join(reader, writer)))

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        to_us, from_us = bytearray(), bytearray()
        self.taps.append((to_us, from_us))
        our_reader, our_writer = await asyncio.open_unix_connection(f"{self._directory}/us")
        await asyncio.gather(_pump(reader, our_writer, to_us), _pump(our_reader, writer, from_us))

    def desynchronised(self) -> list[str]:
        """What we took otherwise than its proxy meant it."""
        wrong: list[str] = []
        answered: list[Sent] = []
        meant: list[Sent] = []
        for to_us, from_us in self.taps:
            stream = bytes(to_us)
            if self._is_greeted:
                stream = stream[16 + int.from_bytes(stream[14:16], "big") :]
            sent = split(stream)
            meant += sent
            heads = frozenset(at for at, one in enumerate(sent) if one.method == "HEAD")
            got = responses(bytes(from_us).replace(CONTINUE, b""), heads)
            if len(sent) != len(HOP.findall(stream)):
                wrong.append(f"not framed as its proxy meant it: {stream[:600]!r}")
            for at, answer in enumerate(got):
                if answer.status != 200:
                    continue  # Refused: what is behind it is not taken.
                told = Sent(**{name: answer.headers[f"X-{name.title()}"] for name in Sent._fields})
                answered.append(told)
                if at >= len(sent) or told != sent[at]:
                    wrong.append(f"answer {at} is to {told}: {stream[:600]!r}")
        # An answer may not be written down any more when the client, and so the proxy, has hung up on it.
        wrong += [f"smuggled, or seen twice: {one}" for one in Counter(self.seen) - Counter(meant)]
        wrong += [f"answered, but never seen: {one}" for one in Counter(answered) - Counter(self.seen)]
        return wrong


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, copy: bytearray) -> None:
    try:
        while received := await reader.read(65_536):
            copy += received
            writer.write(received)
    except ConnectionError:
        copy += b""  # A reset ends it as the end of the stream does.
    if not writer.is_closing():
        writer.close()


async def ask(front: Path, raw: bytes, within_s: float, end: bytes = b"") -> bytes:
    """Send bytes, and read what comes within so many seconds, or up to ``end``."""
    reader, writer = await asyncio.open_unix_connection(str(front))
    received = b""
    try:
        writer.write(raw)
        async with asyncio.timeout(within_s):
            while not (end and received.endswith(end)) and (piece := await reader.read(65_536)):
                received += piece
    except (TimeoutError, ConnectionError):
        received += b""  # What has come is all that will.
    finally:
        writer.close()
    return received


async def attack(front: Path, raws: list[bytes]) -> list[str]:
    """Send all of them, bystanders between them. Returns what went wrong for those."""
    wrong: list[str] = []
    turns = asyncio.Semaphore(AT_ONCE)

    async def one(number: int, raw: bytes) -> None:
        async with turns:
            await ask(front, raw, ANSWER_S)
            body = b"bystander %d" % number
            request = b"POST /echo?of=%d HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%b" % (
                number,
                len(body),
                body,
            )
            got = await ask(front, request, BYSTANDER_S, b"}")
            told = json.loads(got.partition(b"\r\n\r\n")[2]) if got.startswith(b"HTTP/1.1 200 ") else {}
            if (told.get("target"), told.get("digest")) != (f"/echo?of={number}", sha256(body).hexdigest()):
                wrong.append(f"behind {raw!r} a bystander got {got!r}")

    await asyncio.gather(*[one(number, raw) for number, raw in enumerate(raws)])
    return wrong


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    made = uvloop.new_event_loop()
    asyncio.set_event_loop(made)
    yield made
    asyncio.set_event_loop(None)
    made.close()


@pytest.mark.parametrize("kind", KINDS)
def test_no_request_is_desynchronised(kind: str, loop: asyncio.AbstractEventLoop) -> None:
    raws = list(ambiguous.requests())
    with tempfile.TemporaryDirectory(prefix="penstock-") as name:  # Paths of sockets are short.
        second = Second(loop, is_greeted="v2" in kind)
        proxy = Proxy(kind, Path(name))
        loop.run_until_complete(second.listen(proxy.tap))
        with proxy:
            wrong = loop.run_until_complete(attack(proxy.front, raws))
        loop.run_until_complete(second.close())
    wrong += second.desynchronised()

    assert not wrong, f"{len(wrong)} of {len(raws)}:\n" + "\n".join(wrong[:10])
    assert len(second.seen) > len(raws), "the bystanders, and some of the others"
    kept = [len(HOP.findall(bytes(to_us))) for to_us, _ in second.taps]
    assert max(kept) >= 3, "the proxy keeps its connections to us"


def test_there_are_a_few_hundred() -> None:
    raws = list(ambiguous.requests())

    assert len(raws) == len(set(raws)) > 400


HEAD = b"POST /echo HTTP/1.1\r\nX-Hop: 0123456789abcdef0123456789abcdef\r\nContent-Length: %d\r\n\r\n%b"


@pytest.mark.parametrize(
    ("to_us", "from_us", "word"),
    [
        (HEAD % (2, b"hi"), [("0123456789abcdef0123456789abcdef", b"hi")], ""),
        (HEAD % (2, b"hi"), [("0123456789abcdef0123456789abcdef", b"ho")], "answer 0"),
        (HEAD % (2, b"hi"), [("0123456789abcdef0123456789abcdef", b"hi"), ("none", b"")], "answer 1"),
        (HEAD % (2, b"hi"), [("none", b"hi")], "smuggled"),
        (HEAD % (len(HEAD), HEAD), [], "not framed"),
    ],
)
def test_a_request_that_is_desynchronised_is_found(
    to_us: bytes, from_us: list[tuple[str, bytes]], word: str, loop: asyncio.AbstractEventLoop
) -> None:
    second = Second(loop, is_greeted=False)
    answers = bytearray()
    for hop, body in from_us:
        one = Sent(hop, sha256(body).hexdigest(), "POST")
        second.seen.append(one)
        lines = "".join(f"X-{name.title()}: {value}\r\n" for name, value in one._asdict().items())
        answers += f"HTTP/1.1 200 OK\r\n{lines}\r\n".encode()
    second.taps.append((bytearray(to_us), answers))

    found = second.desynchronised()
    assert bool(found) == bool(word)
    assert any(word in one for one in found) or not word
