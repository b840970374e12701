"""A cache of parsed heads: a client on a kept-alive connection sends the same bytes again and again.

Place: http.reader → HERE → http.reader, which looks a head up before it asks the parser.
Rules:
1. An entry holds the parser's result for exactly these bytes. It is made for plain requests alone: a body of known
   length or none, nothing rare (``head.RARE``), no refusal, and the connection kept. Nothing here reads a header.
2. An entry serves a read that begins between two messages and holds one request and nothing else. All other reads are
   parsed.
3. An answer also depends on routes and limits, which do not change while the server lives, and on the bytes in flight,
   which are checked again each time.
4. The cache is bounded in number and bytes. Where heads do not repeat, lookups pause for a while.
Not here: looking up (http.reader.look_up), judging (http.reader, http.head).
"""

# hot path

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from httptools import HttpRequestParser

from server.http.response import KEEP

if TYPE_CHECKING:
    from server.http.request import Request

HEAD_END: Final = b"\r\n\r\n"

# measured: bench.micro.http, four runs, one request over a socket: 13.0-15.4 → 9.1-9.9 µs (bare: 7.0-7.6), without a
# kernel: 4.8-5.0 → 1.8-2.0 (bare: 0.44). Where heads never repeat, no gain and no loss beyond the noise of 4 %.

MAX_CACHED: Final = 1024  # Entries. A hostile one takes 7 kB, a usual one 1 kB. One more empties the cache.
MAX_HEAD_BYTES: Final = 2048  # Enough for browsers and libraries without big cookies.
MAX_HEADERS: Final = 32  # Each costs about 100 bytes besides its own.
MAX_SEEN: Final = 8192  # Hashes of heads that came once. A head enters with its second arrival: learning costs 3 µs.

# Lookups pause after this many misses without as many hits: a miss costs 1 µs, a hit saves 3.
MISSES = 512  # Not Final: see TURN_S in server.timing.turns.
MAX_PAUSE_TICKS: Final = 64  # Ticks of the server's timer: 16 s. Pauses double up to this while heads do not repeat.


MAX_PEERS: Final = 2  # Peers of one head whose memos are kept: 13 MB in all with hostile clients.


class CachedHead:
    """The parsed form of a head, and the length of a request that begins with it. ``memos`` go by peer address."""

    __slots__ = ("handler", "head_bytes", "headers", "memos", "method", "path", "query", "request_bytes")

    def __init__(self, head_bytes: int, request_bytes: int, request: Request) -> None:
        self.head_bytes = head_bytes
        self.request_bytes = request_bytes
        self.method = request.method
        self.path = request.path
        self.query = request.query
        self.headers = request.headers
        self.handler = request.handler
        self.memos: dict[str, dict[Any, Any]] = {}

    def memo_of(self, peer: str) -> dict[Any, Any]:
        """Return the dict in which handlers cache values that depend on head and peer alone (``Request.memo``)."""
        if len(self.memos) < MAX_PEERS:
            return self.memos.setdefault(peer, {})
        return {}


class HeadCache:
    """The cache of one worker. Readers look ``entries`` up themselves while ``is_on``, and count ``hits``."""

    __slots__ = ("_misses", "_next_pause_ticks", "_pause_ticks", "_seen", "entries", "hits", "is_on")

    def __init__(self) -> None:
        self.entries: dict[bytes, CachedHead] = {}
        self.is_on = True
        self.hits = 0
        self._seen: set[int] = set()
        self._misses = 0
        self._pause_ticks = 0
        self._next_pause_ticks = 1

    def turn(self) -> None:
        """Count a tick of the server's timer: a pause may end."""
        self._pause_ticks -= 1
        if self._pause_ticks <= 0:
            self.is_on = True

    def learn(self, head: bytes, request_bytes: int, request: Request) -> None:
        """Cache ``head`` if it comes for the second time. ``request`` is plain and is the first that the parser found
        in ``request_bytes`` bytes that begin with ``head``; it must be all of them."""
        is_whole = len(head) + len(request.body) == request_bytes and request.tail is KEEP
        if not is_whole or len(head) > MAX_HEAD_BYTES or len(request.headers) > MAX_HEADERS:
            return
        if hash(head) not in self._seen:
            if len(self._seen) >= MAX_SEEN:
                self._seen.clear()
            self._seen.add(hash(head))
        elif _ends_a_head(head):
            if len(self.entries) >= MAX_CACHED:
                self.entries.clear()
            self.entries[head] = CachedHead(len(head), request_bytes, request)

    def on_miss(self) -> None:
        """Count a lookup that found nothing; after too many of them lookups pause."""
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
    """Receives a parser's callbacks and notes whether it has seen the end of a head."""

    __slots__ = ("is_complete",)

    def __init__(self) -> None:
        self.is_complete = False

    def on_headers_complete(self) -> None:
        self.is_complete = True


def _ends_a_head(head: bytes) -> bool:
    """Whether the parser, too, finds the head's end at exactly its last byte: our search for CRLF CRLF is no proof."""
    rehearsal = _Rehearsal()
    parser = HttpRequestParser(rehearsal)
    parser.feed_data(head[:-1])
    if rehearsal.is_complete:
        return False
    parser.feed_data(head[-1:])
    return rehearsal.is_complete
