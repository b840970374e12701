"""Bytes of one connection to requests: the parser's callbacks, and the judgement of each head.

Place: http.protocol → HERE → http.protocol.on_request.
Rules:
1. What comes out does not depend on how the bytes were cut.
2. A request that is refused with its body unread, and bytes that are no request, end the reader: ``fault`` says how the
   client is answered, ``stage`` is ENDED, and nothing more is read. A refusal whose body is short is a request like
   any other, whose handler is the refusal.
3. The parser's exceptions end here, in ``feed``.
4. Whatever grows is counted: the parser itself has no limits, neither for heads nor for trailers.
5. A read that begins between two messages and is one request with a known head (http.head_cache) is not fed. The parser
   does not notice: it stays between two messages.
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

# What the client is to send next. They index ``HttpServer.deadlines``.
IDLE: Final = 0  # A request, or nothing.
HEAD: Final = 1  # The rest of a head.
BODY: Final = 2  # The rest of a body.
ENDED: Final = 3  # Nothing that would be served.

_SLASH: Final = ord("/")
_LENGTH_DIGITS: Final = 20


class ParserStoppedError(Exception):
    """Raised in a callback to end the parser; ``fault`` says why."""


class RequestReader:
    """Made with its connection. ``incoming`` is the request whose body is being read."""

    __slots__ = (
        "_body_bytes",
        "_bounds",
        "_candidate",
        "_candidate_bytes",
        "_chunks",
        "_connection",
        "_fed_bytes",
        "_feed",
        "_head_bytes",
        "_headers",
        "_is_chunked",
        "_known",
        "_length",
        "_line",
        "_on_request",
        "_parser",
        "_pieces",
        "_recurring",
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
        "stage",
    )

    def __init__(self, connection: Connection, server: HttpServer) -> None:
        self._connection = connection
        self._on_request = connection.on_request
        self._server = server
        self._bounds = server.bounds
        self._targets = server.routes.kept
        self._parser: Any = HttpRequestParser(self)
        self._feed: Any = self._parser.feed_data
        self.stage = IDLE
        self.fault: Refusal | None = None
        self.origin = b""  # Of the request that was ended: who may read why.
        self.is_new = False  # The head, or the body, that goes on began in the last ``feed``.
        # Heads that were parsed before.
        self._recurring = server.repeats
        self._known = server.repeats.known
        self._head_bytes = 0  # Of the last known one: the next is mostly as long, and need not be searched for its end.
        self._candidate = b""  # The head of a read that may turn out to be worth knowing,
        self._candidate_bytes = 0  # and the size of that read.
        # The head.
        self._url = b""
        self._line = b""  # The first of a request whose method the parser does not know, as far as it has come.
        self._headers: dict[bytes, bytes] = {}
        self._repeats = 0
        self._fed_bytes = 0  # At least what there is of the head, at most two slices more.
        # The body.
        self.incoming: Request | None = None
        self._upgrading: Request | None = None
        self._length = 0
        self._is_chunked = False
        self._pieces: list[bytes] = []
        self._body_bytes = 0
        self._chunks: Chunks | None = None
        self.framing_bytes = 0  # Of the last ``feed``: what was no body, if a message goes on.

    def recall(self, received: bytes) -> Request | None:
        """The request that ``received`` is, if it is one and no more, and what its head means is known.
        None: feed it."""
        if self.stage != IDLE or not self._recurring.is_on:
            return None
        known = self._known.get(received[: self._head_bytes])
        if known is None or known.request_bytes != len(received):
            head = received[: received.find(HEAD_END) + len(HEAD_END)]
            known = self._known.get(head)
            if known is None or known.request_bytes != len(received):
                self._recurring.on_miss()
                self._candidate, self._candidate_bytes = head, len(received)
                return None
            self._head_bytes = known.head_bytes
        if self._server.in_flight_bytes + len(received) > self._bounds.max_in_flight_bytes:
            return None
        self._recurring.hits += 1
        connection, body = self._connection, received[known.head_bytes :]
        peer = connection.peer
        memo = known.memos.get(peer)
        if memo is None:
            memo = known.memo_of(peer)
        return Request(
            connection, peer, known.method, known.path, known.query, known.headers, known.handler, KEEP, memo, body
        )

    def feed(self, received: bytes | memoryview) -> None:
        """Read ``received``: at most a slice, unless it is the rest of a body (``slice_bytes``)."""
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
        """How much to feed at once."""
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
                self._server.release(request)
        self.incoming = self._upgrading = None
        self._headers = {}
        self._pieces = []

    def close(self) -> None:
        """The connection is gone. Parser, reader and connection hold one another: set them free at once, rather than
        leave work to the garbage collector for every connection."""
        self.end(None)
        self._parser = self._feed = None
        del self._connection, self._on_request

    # The parser calls.

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
        # llhttp lets zeros stand before any number that fits into 64 bits; int() takes no more than 4,300 digits.
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
            return  # Upgrade: the parser passes over the body, which ``_on_upgrade`` reads.
        self.incoming = None
        if self._pieces:
            request.body = b"".join(self._pieces)
            self._pieces = []
            if request.held_bytes:
                self._server.hold(request, REQUEST_BYTES + len(request.body))
        self.stage = IDLE if request.tail is not CLOSE else ENDED
        if self._candidate:
            self._recurring.learn(self._candidate, self._candidate_bytes, request)
            self._candidate = b""
        self._on_request(request)

    # Judging a head.

    def _stop(self, refusal: Refusal) -> NoReturn:
        self.fault = refusal
        self.origin = self._headers.get(b"origin", b"")
        raise ParserStoppedError

    def _refuse(self, request: Request, refusal: Refusal) -> None:
        if refusal.status == 400 or self._is_chunked or self._length > self._bounds.discard_bytes or request.is_awaited:
            self._stop(refusal)  # A request that others may read differently has an end that is in doubt.
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
            request.is_awaited = True  # HTTP/1.0 does not know of 100.
        if parser.should_upgrade():
            request.tail = CLOSE
            if has_body:
                self._upgrading, self.incoming = request, None
        return head.bad_expectation(headers) or head.bad_encoding(request, self._server.encodings)

    # Rare turns.

    def _on_long_trailers(self) -> None:
        self._stop(self._bounds.big_framing)

    def _on_partial(self, received: bytes | memoryview) -> None:
        """A message goes on in the next read: bound what is held for it, here and inside the parser."""
        bounds = self._bounds
        fed_bytes = self.framing_bytes = len(received)
        self._candidate = b""
        self.is_new = self._fed_bytes == SLICE
        self._fed_bytes += fed_bytes
        if self.stage == HEAD:
            if self._fed_bytes > bounds.max_head_bytes + 2 * SLICE:
                self.end(bounds.big_head)  # One endless header, or padding: nobody was called back.
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
            is_large = self._body_bytes > LARGE_BYTES  # It has taken many reads: a look at whose it is costs nothing.
            server = self._server
            if server.is_too_much(self.incoming) if is_large else server.in_flight_bytes > bounds.max_in_flight_bytes:
                self.end(bounds.full)

    def _on_parser_error(self, error: HttpParserError, received: bytes | memoryview) -> None:
        if self.stage == ENDED:
            return  # More bytes after a request that closes: RFC 9112 section 9.6 has them ignored.
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
        """The parser knows no such method, and has stopped: see whether it is a request at all."""
        self._line += received
        if refusal := head.judge_line(self._line, self._bounds):
            self._server.parse_errors += refusal.status == 400
            self.end(refusal)

    def _on_upgrade(self, rest: bytes | memoryview) -> None:
        """Ignore the Upgrade, but for closing. The parser is past the head and has left the body to us."""
        request, self._upgrading = self._upgrading, None
        if request is not None:
            self.incoming = request
            self.stage = BODY
            self._feed = body_parser(self, self._length, is_chunked=self._is_chunked)
            self.feed(rest)
