"""Heads that were parsed before: a client on a kept-alive connection sends the same bytes again and again.

Place: http.reader → HERE → http.reader, which looks a head up before it asks the parser.
Rules:
1. An entry is what the parser made of exactly these bytes, and of a plain request alone: a body of known length or
   none, nothing rare (``head.RARE``), not refused, the connection kept. Nothing here reads a header.
2. An entry serves a read that holds one request and nothing else, between two messages. All else is parsed.
3. What an answer depends on besides the head (routes, limits) does not change while the server lives; what does change
   (bytes in flight) is asked again each time.
4. Bounded in number and bytes. Where heads do not repeat, looking stops for a while.
Not here: looking up (http.reader.recall), judging (http.reader, http.head).
"""

# hot path

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import msgspec
from httptools import HttpRequestParser

from server.http.response import KEEP

if TYPE_CHECKING:
    from server.http.request import Request
    from server.http.routes import Handler

HEAD_END: Final = b"\r\n\r\n"

# measured: bench.micro.http, four runs, one request over a socket: 13.0-15.4 → 9.1-9.9 µs (bare: 7.0-7.6), without a
# kernel: 4.8-5.0 → 1.8-2.0 (bare: 0.44). Where heads never repeat, no gain and no loss beyond the noise of 4 %.

MAX_KEPT: Final = 1024  # At most 7 kB each, when clients mean ill; 1 kB as they are. One more, and all are forgotten.
MAX_HEAD_BYTES: Final = 2048  # Of browsers and libraries without big cookies.
MAX_HEADERS: Final = 32  # Each costs about 100 bytes besides its own.
MAX_SEEN: Final = 8192  # Hashes of heads that came once. What does not come again is not kept: learning costs 3 µs.

# After so many misses without as many hits, no more looking for a while: a miss costs 1 µs, a hit saves 3.
MISSES: Final = 512
MAX_PAUSE_TICKS: Final = 64  # Of the server's timer, 16 s. Pauses double up to this while heads do not repeat.


MAX_PEERS: Final = 2  # That send one head, and whose memos are kept: 13 MB in all, when clients mean ill.


class KnownHead(msgspec.Struct, frozen=True, eq=False):
    """What a head means, and how long a request that begins with it is. ``memos``: by the peer's address."""

    head_bytes: int
    request_bytes: int
    method: bytes
    path: bytes
    query: bytes
    headers: Mapping[bytes, bytes]
    handler: Handler
    memos: dict[str, dict[Any, Any]]

    def memo_of(self, peer: str) -> dict[Any, Any]:
        """Where handlers keep what they worked out from the head and the peer alone (``Request.memo``)."""
        if len(self.memos) < MAX_PEERS:
            return self.memos.setdefault(peer, {})
        return {}


class HeadCache:
    """One a worker. ``known`` is looked up by readers themselves, while ``is_on``; they count ``hits``."""

    __slots__ = ("_misses", "_next_pause_ticks", "_pause_ticks", "_seen", "hits", "is_on", "known")

    def __init__(self) -> None:
        self.known: dict[bytes, KnownHead] = {}
        self.is_on = True
        self.hits = 0
        self._seen: set[int] = set()
        self._misses = 0
        self._pause_ticks = 0
        self._next_pause_ticks = 1

    def turn(self) -> None:
        """A tick has passed."""
        self._pause_ticks -= 1
        if self._pause_ticks <= 0:
            self.is_on = True

    def learn(self, head: bytes, request_bytes: int, request: Request) -> None:
        """``request``, plain, is what the parser made of the first of ``request_bytes`` bytes that begin with ``head``.
        Keep it if it was all of them, and if the head comes for the second time."""
        is_whole = len(head) + len(request.body) == request_bytes and request.tail is KEEP
        if not is_whole or len(head) > MAX_HEAD_BYTES or len(request.headers) > MAX_HEADERS:
            return
        if hash(head) not in self._seen:
            if len(self._seen) >= MAX_SEEN:
                self._seen.clear()
            self._seen.add(hash(head))
        elif _ends_a_head(head):
            if len(self.known) >= MAX_KEPT:
                self.known.clear()
            self.known[head] = KnownHead(
                len(head), request_bytes, request.method, request.path, request.query, request.headers,
                request.handler, {},
            )  # fmt: skip

    def on_miss(self) -> None:
        """A head was looked up in vain."""
        self._misses += 1
        if self._misses < MISSES:
            return
        if self.hits < self._misses:
            self.is_on = False
            self._pause_ticks = self._next_pause_ticks
            self._next_pause_ticks = min(2 * self._next_pause_ticks, MAX_PAUSE_TICKS)
        else:
            self._next_pause_ticks = 1
        self.hits = self._misses = 0


class _Rehearsal:
    """Notes whether a parser has seen the end of a head."""

    __slots__ = ("is_complete",)

    def __init__(self) -> None:
        self.is_complete = False

    def on_headers_complete(self) -> None:
        self.is_complete = True


def _ends_a_head(head: bytes) -> bool:
    """Whether the parser, too, sees the head end at exactly its last byte: our search for CRLF CRLF is no proof."""
    rehearsal = _Rehearsal()
    parser = HttpRequestParser(rehearsal)
    parser.feed_data(head[:-1])
    if rehearsal.is_complete:
        return False
    parser.feed_data(head[-1:])
    return rehearsal.is_complete
