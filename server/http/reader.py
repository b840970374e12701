"""Turn the bytes of one connection into requests: the parser's callbacks, and the checks of each head.

Place: http.protocol → HERE → http.protocol.on_request.
Rules:
1. The result does not depend on how the bytes were cut into reads.
2. The reader ends with a request that is refused with its body unread, and with bytes that are not a request: ``fault``
   is the client's answer, ``stage`` is ENDED, and nothing more is read. A refused request whose body is short is a
   request like any other, with the refusal as its handler.
3. The parser's exceptions end here, in ``feed``.
4. Everything that grows is counted: the parser itself has no limits, neither for heads nor for trailers.
5. A read that begins between two messages and is one request with a cached head (http.head_cache) is not fed to the
   parser, which stays between two messages.
Not here: when bytes are fed, in which turn requests are served, how long things may take (http.protocol).
"""

# hot path

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NoReturn

from httptools import (
    HttpParserCallbackError,
    HttpParserError,
    HttpParserInvalidMethodError,
    HttpParserUpgrade,
    HttpRequestParser,
)

from server.http import head
from server.http.around.content import TAKEN
from server.http.chunks import MANY_PIECES, Chunks, joined, number_of
from server.http.head import HOSTS
from server.http.head_cache import HEAD_END
from server.http.limits import LARGE_BYTES, PIECE_BYTES, REQUEST_BYTES
from server.http.limits import SLICE_BYTES as SLICE
from server.http.problem import BAD_HOST, INTERNAL, NO_HOST, NO_TUNNEL, Refusal
from server.http.request import Request
from server.http.response import CLOSE, KEEP
from server.http.upgrade import body_parser

if TYPE_CHECKING:
    from server.http.protocol import Connection
    from server.http.server import HttpServer

# The stages of a reader. They are indices of ``HttpServer.deadlines``.
IDLE: Final = 0  # The client may send a request.
HEAD: Final = 1  # The client has to send the rest of a head.
BODY: Final = 2  # The client has to send the rest of a body.
ENDED: Final = 3  # The client may send nothing that would be served.

_SLASH: Final = ord("/")
_LENGTH_DIGITS: Final = 20


class ParserStoppedError(Exception):
    """Raised in a callback to end the parser; ``RequestReader.fault`` says why."""


class RequestReader:
    """The reader of one connection. ``incoming`` is the request whose body is being read."""

    __slots__ = (
        "_body_bytes",
        "_bounds",
        "_cached_heads",
        "_candidate",
        "_candidate_bytes",
        "_chunks",
        "_connection",
        "_fed_bytes",
        "_feed",
        "_head_bytes",
        "_head_cache",
        "_headers",
        "_is_chunked",
        "_length",
        "_line",
        "_on_request",
        "_parser",
        "_pieces",
        "_repeats",
        "_server",
        "_targets",
        "_upgrading",
        "_url",
        "fault",
        "framing_bytes",
        "incoming",
        "is_new",
        "origin",
        "refused",
        "stage",
    )
    __deletable__ = ("_connection", "_on_request")  # For mypyc.

    def __init__(self, connection: Connection, server: HttpServer) -> None:
        self._connection = connection
        self._on_request = connection.on_request
        self._server = server
        self._bounds = server.bounds
        self._targets = server.routes.cache
        self._parser: Any = HttpRequestParser(self)
        self._feed: Any = self._parser.feed_data
        self.stage = IDLE
        self.fault: Refusal | None = None
        self.origin = b""  # The Origin of the request that ended the reader: it decides which page may read the fault.
        self.is_new = False  # The unfinished head, or body, began in the last ``feed``.
        # Heads that were parsed before.
        self._head_cache = server.head_cache
        self._cached_heads = server.head_cache.entries
        self._head_bytes = 0  # Size of the last cached head. The next is mostly as long, which saves finding its end.
        self._candidate, self._candidate_bytes = b"", 0  # A head that may be worth caching, and the size of its read.
        # The head.
        self._url = b""
        self._line = b""  # The first line, as far as it has come, when the parser does not know the method.
        self._headers: dict[bytes, bytes] = {}
        self._repeats = 0
        self._fed_bytes = 0  # At least the bytes of the head, at most two slices more.
        # The body.
        self.incoming: Request | None = None
        self._upgrading: Request | None = None
        self.refused: Request | None = None  # The one whose body was being read when the reader ended.
        self._length, self._body_bytes = 0, 0
        self._is_chunked = False
        self._pieces: list[bytes] = []
        self._chunks: Chunks | None = None
        self.framing_bytes = 0  # Bytes of the last ``feed`` that were not body, if a message continues.

    def look_up(self, received: bytes) -> Request | None:
        """Return the request in ``received`` if that is exactly one request whose head is cached; otherwise None, and
        ``received`` must be fed."""
        if self.stage != IDLE or not self._head_cache.is_on:
            return None
        cached = self._cached_heads.get(received[: self._head_bytes])
        if cached is None or cached.request_bytes != len(received):
            head = received[: received.find(HEAD_END) + len(HEAD_END)]
            cached = self._cached_heads.get(head)
            if cached is None or cached.request_bytes != len(received):
                self._head_cache.on_miss()
                self._candidate, self._candidate_bytes = head, len(received)
                return None
            self._head_bytes = cached.head_bytes
        if self._server.in_flight_bytes + len(received) > self._bounds.max_in_flight_bytes:
            return None
        self._head_cache.hits += 1
        connection, body = self._connection, received[cached.head_bytes :]
        peer = connection.peer
        memo = cached.memos.get(peer)
        if memo is None:
            memo = cached.memo_of(peer)
        return Request(
            connection, peer, cached.method, cached.path, cached.query, cached.headers, cached.handler, KEEP, memo, body
        )

    def feed(self, received: bytes | memoryview) -> None:
        """Parse ``received``: at most a slice, unless it is the rest of a body (``slice_bytes``)."""
        try:
            self._feed(received)
        except HttpParserUpgrade as upgrade:
            self._on_upgrade(received[upgrade.args[0] :])
            return
        except HttpParserError as error:
            self._on_parser_error(error, received)
        if self.stage == HEAD or self.stage == BODY:
            self._on_partial(received)
        else:
            self.framing_bytes = 0

    def slice_bytes(self) -> int:
        """Return how much to feed at once."""
        if self.stage == BODY and not self._is_chunked:
            return max(SLICE, self._length - self._body_bytes)
        return SLICE

    def end(self, fault: Refusal | None) -> None:
        """Read nothing more."""
        self.stage = ENDED
        self.fault = fault
        for request in (self.incoming, self._upgrading):
            if request is not None:
                self.origin = request.headers.get(b"origin", b"")
                self.refused = request
                self._server.release(request)
        self.incoming = self._upgrading = None
        self._headers, self._pieces = {}, []

    def close(self) -> None:
        """Break the cycle of references between parser, reader and connection, which is gone: otherwise every
        connection would leave work to the garbage collector."""
        self.end(None)
        self._parser = self._feed = None
        del self._connection, self._on_request

    # Called by the parser.

    def on_message_begin(self) -> None:
        self.stage = HEAD
        self._fed_bytes = SLICE
        self._headers = {}
        self._repeats = 0
        self._url = b""

    def on_url(self, url: bytes) -> None:
        url = self._url = self._url + url
        if len(url) > self._bounds.max_url_bytes:
            self._stop(self._bounds.long_url)

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        headers = self._headers
        if name in headers:
            self._on_repeat(name, value)
        else:
            headers[name] = value.rstrip()

    def on_headers_complete(self) -> None:
        headers, parser, bounds = self._headers, self._parser, self._bounds
        if self._fed_bytes > bounds.sure_head_bytes:
            large = head.too_large(self._url, headers, len(headers) + self._repeats, bounds)
            if large is not None:
                self._stop(large)
        if len(headers) + self._repeats > bounds.max_headers:
            self._stop(bounds.many_headers)
        tail: bytes | None = KEEP
        if b"connection" in headers or not parser.should_keep_alive():
            tail = head.tail_of(parser, headers)
        if tail is None:
            self._stop(head.bad_version(parser))
        method, host = parser.get_method(), headers.get(b"host")
        if host is None:
            if parser.get_http_version() != "1.0":
                self._stop(NO_HOST)
        elif host not in HOSTS and not head.is_host(host):
            self._stop(BAD_HOST)
        if self._url[0] != _SLASH and (bad_target := head.bad_target(self._url, method, host)):
            self._stop(bad_target)
        target = self._targets.get(self._url) or self._server.routes.find(self._url)
        handler = target.handlers.get(method, target.refuse)
        connection = self._connection
        request = Request(connection, connection.peer, method, target.path, target.query, headers, handler, tail)
        length = headers.get(b"content-length")
        self.incoming = request
        # llhttp allows any number of leading zeros before a number of 64 bits; int() takes at most 4,300 digits.
        self._length = int(length[-_LENGTH_DIGITS:]) if length is not None else 0
        self._is_chunked = False
        self._body_bytes = 0
        self.stage = BODY
        refusal: Refusal | None = None
        if not self._server.rare.isdisjoint(headers):
            self._candidate = b""
            refusal = self._on_rare(request)
        if handler is target.refuse:
            refusal = target.otherwise if method != b"CONNECT" else self._stop(NO_TUNNEL)
        elif refusal is None and (self._length or method == b"POST"):
            if self._length > bounds.max_body_bytes:
                refusal = bounds.big_body
            elif self._server.in_flight_bytes + self._length > bounds.max_in_flight_bytes:
                refusal = bounds.full
            elif not TAKEN.get(headers.get(b"content-type")) and method == b"POST":
                refusal = head.bad_type(headers)
        if refusal is not None:
            self._refuse(request, refusal)
        elif request.is_awaited:
            connection.on_awaited(request)

    def on_body(self, piece: bytes) -> None:
        self._pieces.append(piece)
        self._body_bytes += len(piece)
        if self._body_bytes > self._bounds.max_body_bytes:
            self._stop(self._bounds.big_body)

    def on_chunk_header(self) -> None:
        if self._chunks is not None:
            self._chunks.on_begin(self._body_bytes)

    def on_chunk_complete(self) -> None:
        if self._chunks is not None:
            self._chunks.on_end()

    def on_message_complete(self) -> None:
        request = self.incoming
        if request is None:
            return  # An upgrade: the parser skips the body, which ``_on_upgrade`` reads.
        self.incoming = None
        if self._pieces:
            request.body = b"".join(self._pieces)
            self._pieces = []
            if request.held_bytes:
                self._server.hold(request, REQUEST_BYTES + len(request.body))
        self.stage = IDLE if request.tail is not CLOSE else ENDED
        if self._candidate:
            self._head_cache.learn(self._candidate, self._candidate_bytes, request)
            self._candidate = b""
        self._on_request(request)

    # Judging a head.

    def _stop(self, refusal: Refusal) -> NoReturn:
        self.fault = refusal
        self.origin = self._headers.get(b"origin", b"")
        raise ParserStoppedError

    def _refuse(self, request: Request, refusal: Refusal) -> None:
        if refusal.status == 400 or self._is_chunked or self._length > self._bounds.discard_bytes or request.is_awaited:
            self._stop(refusal)  # After a 400, others may disagree about where this request ends.
        self._candidate = b""
        self._server.count(refusal)
        request.handler = self._server.cors.over(refusal.handle)

    def _on_repeat(self, name: bytes, value: bytes) -> None:
        self._repeats += 1
        if self._repeats > self._bounds.max_headers:
            self._stop(self._bounds.many_headers)
        if name == b"host":
            self._stop(NO_HOST)
        self._headers[name] += b", " + value.rstrip()

    def _on_rare(self, request: Request) -> Refusal | None:
        headers, parser = request.headers, self._parser
        doubtful = head.bad_framing(headers, parser) or head.shadowed(headers, self._server.shadows)
        if doubtful is not None:
            self._stop(doubtful)
        if b"transfer-encoding" in headers:
            self._is_chunked = True
            self._fed_bytes = 0
            self._chunks = Chunks(self._bounds)
            self._headers = head.Trailers(self._bounds.max_head_bytes, self._on_long_trailers)
        has_body = self._is_chunked or self._length > 0
        if has_body and headers.get(b"expect") and parser.get_http_version() == "1.1":
            request.is_awaited = True  # HTTP/1.0 has no status 100.
        if parser.should_upgrade():
            request.tail = CLOSE
            if has_body:
                self._upgrading, self.incoming = request, None
        return head.bad_expectation(headers) or head.bad_encoding(request, self._server.decompressor)

    # Rare cases.

    def _on_long_trailers(self) -> None:
        self._stop(self._bounds.big_framing)

    def _on_partial(self, received: bytes | memoryview) -> None:
        """Check the limits on an unfinished message: the bytes that are held for it here and inside the parser."""
        bounds = self._bounds
        fed_bytes = self.framing_bytes = len(received)
        self.is_new = self._fed_bytes == SLICE
        self._fed_bytes += fed_bytes
        if self.stage == HEAD:
            self._candidate = b""
            if self._fed_bytes > bounds.max_head_bytes + 2 * SLICE:
                self.end(bounds.big_head)  # One endless header, or padding: the parser has called nothing.
            return
        if len(self._pieces) > MANY_PIECES:
            self._pieces = joined(self._pieces)
        self.framing_bytes = 0
        refusal = None
        if self._is_chunked and self._chunks is not None:
            self.framing_bytes = self._chunks.framing_bytes(fed_bytes, self._body_bytes)
            refusal = self._chunks.judge(received, self._body_bytes, self._fed_bytes, number_of(self._pieces))
        if refusal is not None:
            self.end(refusal)
        elif self.incoming is not None:
            self.is_new = not self.incoming.held_bytes
            self._server.hold(self.incoming, REQUEST_BYTES + self._body_bytes + len(self._pieces) * PIECE_BYTES)
            is_large = self._body_bytes > LARGE_BYTES  # After that many reads, finding its client costs little.
            server = self._server
            if server.is_too_much(self.incoming) if is_large else server.in_flight_bytes > bounds.max_in_flight_bytes:
                self.end(bounds.full)

    def _on_parser_error(self, error: HttpParserError, received: bytes | memoryview) -> None:
        if self.stage == ENDED:
            return  # Bytes after a request that closes are ignored (RFC 9112 section 9.6).
        if isinstance(error, HttpParserInvalidMethodError):
            self._feed = self._on_line
            self._on_line(received)
            return
        if self.fault is None and isinstance(error, HttpParserCallbackError):
            self._server.on_handler_error()
            self.fault = INTERNAL
        elif self.fault is None:
            self._server.parse_errors += 1
            self.fault = head.refusal_of(error)
        self.end(self.fault)

    def _on_line(self, received: bytes | memoryview) -> None:
        """Judge the first line after the parser has stopped at a method that it does not know."""
        refusal, self._line = head.judge_line(self._line + bytes(received), self._bounds)
        if refusal:
            self._server.parse_errors += refusal.status == 400
            self.end(refusal)

    def _on_upgrade(self, rest: bytes | memoryview) -> None:
        """Ignore the Upgrade, except that the connection closes. The parser is past the head and leaves us the body."""
        request, self._upgrading = self._upgrading, None
        if request is not None:
            self.incoming = request
            self.stage = BODY
            self._feed = body_parser(self, self._length, is_chunked=self._is_chunked)
            self.feed(rest)
