"""Send requests of an attacker as bytes, over plain connections to one port of loopback.

Place: slow, bodies, names, words → HERE → the served intake.
Rules: everything ends by itself, in count and in ANSWER_S; what came back is one word an answer: its status,
``closed``, ``reset`` or ``silent``. An answer that no honest server writes has a word of its own.
Not here: what is sent (the attacks), what it does to others (measured).
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator
from itertools import islice
from typing import NamedTuple

ANSWER_S = 60.0
PIPELINED = 32
MAX_PAUSE_S = 0.5
GONE = ("closed", "reset", "silent")
MAX_SENT = 5_000
LINES = 4  # Connections of an attack that is about work, not about waiting.

Outcome = Counter[str]


class Target(NamedTuple):
    """``scale`` 1 is the whole attack, a hundredth a test's; ``patience_s`` the time limits of the server's settings.

    ``site`` is the port of the site that the server may fetch from; 0: there is none.
    """

    port: int
    scale: float = 1.0
    patience_s: float = 2.0
    site: int = 0

    def count(self, whole: int) -> int:
        """So many of ``whole``."""
        return max(1, round(whole * self.scale))


class Answer(NamedTuple):
    """One response, its head without the empty line."""

    status: int
    head: bytes
    body: bytes

    @property
    def word(self) -> str:
        """The status, unless the answer is unfit for a browser that opens it."""
        wrong = unfit(self)
        return f"{self.status} {wrong}" if wrong else str(self.status)


_LENGTH = re.compile(rb"(?i)\r\ncontent-length:[ \t]*(\d+)")
_LINE = re.compile(rb"[A-Za-z0-9-]+: [\x20-\x7e]*")
_TYPES = (b"application/json", b"application/problem+json", b"application/schema+json", b"text/plain", b"image/gif")
_PAGE = b"text/html"  # Of stream settings, for people: it may run nothing, and says so.


def unfit(answer: Answer) -> str:
    """Return what is wrong with the head: text of a client must not become a line, a type or a page. "": nothing."""
    first, *lines = answer.head.split(b"\r\n")
    if not re.fullmatch(rb"HTTP/1\.1 \d{3} [\x20-\x7e]*", first) or not all(map(_LINE.fullmatch, lines)):
        return "with a broken head"
    fields = {name.lower(): value for name, _, value in (line.partition(b": ") for line in lines)}
    if len(fields) != len(lines) and b"vary" not in fields:
        return "with a field twice"
    if not answer.body:
        return ""
    kind = fields.get(b"content-type", b"").partition(b";")[0]
    is_safe_page = kind == _PAGE and b"default-src 'none'" in fields.get(b"content-security-policy", b"")
    if (kind not in _TYPES and not is_safe_page) or (is_safe_page and b"<script" in answer.body):
        return f"of type {kind.decode('latin-1')}"
    return "" if fields.get(b"x-content-type-options") == b"nosniff" else "without nosniff"


def request(method: str, target: str | bytes, body: bytes = b"", *lines: bytes) -> bytes:
    """A whole request; ``lines`` are further header lines."""
    path = target.encode() if isinstance(target, str) else target
    length = b"" if method == "GET" else b"Content-Length: %d\r\n" % len(body)
    more = b"".join(line + b"\r\n" for line in lines)
    return b"%s %s HTTP/1.1\r\nHost: attack.example\r\n%s%s\r\n%s" % (method.encode(), path, length, more, body)


def post(body: bytes, *lines: bytes, target: str | bytes = "/v1/events") -> bytes:
    """A POST of JSON."""
    return request("POST", target, body, b"Content-Type: application/json", *lines)


class Line:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def open(cls, target: Target, source: str = "127.0.0.1") -> Line:
        """From any address of 127.0.0.0/8. Raises OSError."""
        return cls(*await asyncio.open_connection("127.0.0.1", target.port, local_addr=(source, 0), limit=1 << 25))

    async def answer(self) -> Answer:
        """Raises OSError, IncompleteReadError."""
        head = (await self.reader.readuntil(b"\r\n\r\n"))[:-4]
        length = _LENGTH.search(head)
        body = await self.reader.readexactly(int(length[1])) if length else b""
        return Answer(int(head[9:12]), head, body)

    async def word(self, within_s: float = ANSWER_S) -> str:
        """How the next answer, or the lack of one, is called."""
        try:
            async with asyncio.timeout(within_s):
                return (await self.answer()).word
        except asyncio.IncompleteReadError:
            return "closed"
        except OSError as error:
            return "silent" if isinstance(error, TimeoutError) else "reset"

    def close(self) -> None:
        """Be gone."""
        self.writer.close()

    def reset(self) -> None:
        """Be gone the rude way."""
        self.writer.transport.abort()


async def ask(target: Target, raw: bytes, source: str = "127.0.0.1") -> str:
    """One request on a connection of its own."""
    try:
        line = await Line.open(target, source)
    except OSError:
        return "refused"
    try:
        line.writer.write(raw)
        return await line.word()
    finally:
        line.close()


async def ask_each(target: Target, requests: Iterable[bytes]) -> Outcome:
    """One after another, each on a connection of its own, with a pause as long as it took: half of the core is left."""
    outcome: Outcome = Counter()
    for raw in requests:
        began = time.monotonic()
        outcome[await ask(target, raw)] += 1
        await _pause(began)
    return outcome


async def pour(target: Target, requests: Iterator[bytes], lines: int = LINES, depth: int = PIPELINED) -> Outcome:
    """Many small ones, pipelined over a few connections; with the same pauses."""
    outcome: Outcome = Counter()

    async def one() -> None:
        line, sent = await Line.open(target), 0
        while raws := list(islice(requests, depth)):
            began = time.monotonic()
            sent += len(raws)
            if sent > MAX_SENT:  # An honest client begins anew before the server ends it (``max_requests``).
                line.close()
                line, sent = await Line.open(target), len(raws)
            words = await _converse(line, raws)
            if words[0] in GONE:  # The server had closed it for being idle: an honest client comes back once.
                line.close()
                line = await Line.open(target)
                words = await _converse(line, raws)
            outcome.update(words)
            outcome["unanswered"] += len(raws) - len(words)
            if words[-1] in GONE:
                return
            await _pause(began)
        line.close()

    await asyncio.gather(*(one() for _ in range(lines)))
    return outcome


async def _converse(line: Line, raws: list[bytes]) -> list[str]:
    """The answers to these, up to the first that does not come."""
    line.writer.write(b"".join(raws))
    words: list[str] = []
    while len(words) < len(raws) and not (words and words[-1] in GONE):
        words.append(await line.word())
    return words


async def _pause(began: float) -> None:
    await asyncio.sleep(min(time.monotonic() - began, MAX_PAUSE_S))


async def together(count: int, one: Callable[[int], Awaitable[str]]) -> Outcome:
    """``one`` of each number, all at once."""
    return Counter(await asyncio.gather(*(one(number) for number in range(count))))
