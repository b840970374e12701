"""Turn a status and a body into the bytes of one response.

Place: http.request.reply → http.protocol → HERE → socket.
Rules: a response is one bytes object. Heads come from a cache that is emptied once a second, because every head
carries the date. Nothing that a caller passes can break a line.
Not here: which status is sent (intake.verdict, http.problem), when it is sent (http.protocol).
"""

# hot path

from __future__ import annotations

import time
from email.utils import formatdate
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from server.http.problem import Refusal

# The last lines of a head, which say whether the connection closes. They are compared by identity.
KEEP: Final = b"\r\n"
CLOSE: Final = b"Connection: close\r\n\r\n"
KEEP_1_0: Final = b"Connection: keep-alive\r\n\r\n"  # HTTP/1.0 closes unless this is sent.

CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"

PROBLEM_TYPE: Final = b"application/problem+json"

# RFC 9110 and 6585. http.HTTPStatus still has the names of RFC 2616 for 413 and 414.
PHRASES: Final = {
    200: "OK",
    201: "Created",
    202: "Accepted",
    204: "No Content",
    207: "Multi-Status",
    304: "Not Modified",
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    410: "Gone",
    413: "Content Too Large",
    414: "URI Too Long",
    415: "Unsupported Media Type",
    417: "Expectation Failed",
    429: "Too Many Requests",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    501: "Not Implemented",
    503: "Service Unavailable",
    505: "HTTP Version Not Supported",
}

# Phrases count events, so there are many. Heads beyond this number are not cached for the rest of the second.
MAX_CACHED: Final = 1024


def phrase_of(status: int) -> str:
    """Return the registered reason phrase, which is also the title of a problem."""
    return PHRASES.get(status, "Unknown")


class Heads:
    """The cache of heads. ``refresh`` must be called once a second. ``last_start`` is all but the further lines of the
    last response without a body, with this status and this very phrase."""

    __slots__ = ("_date", "_starts", "last_phrase", "last_start", "last_status")

    def __init__(self) -> None:
        # By status, phrase and type (empty: no body): the part before the length and the further lines.
        self._starts: dict[tuple[int, str, bytes], bytes] = {}
        self.last_status, self.last_phrase, self.last_start = 0, "", b""
        self._date = b""
        self.refresh(time.time())

    def refresh(self, unix_s: float) -> None:
        """Put the current date into every later head."""
        self._date = f"Date: {formatdate(unix_s, usegmt=True)}\r\n".encode()
        self._starts.clear()
        self.last_status = 0

    def response(
        self,
        status: int,
        phrase: str,
        body: bytes,
        content_type: bytes,
        more: bytes,
        tail: bytes,
        is_head: bool = False,
    ) -> bytes:
        """Return a whole response. ``more`` are further header lines, each with CRLF; ``is_head`` omits the body."""
        key = (status, phrase, content_type if body else b"")
        start = self._starts.get(key)
        if start is None:
            start = self._make(*key)
            if len(self._starts) < MAX_CACHED:
                self._starts[key] = start
        if not body:
            self.last_status, self.last_phrase, self.last_start = status, phrase, start
            return start + more + tail
        return b"".join((start, b"%d\r\n" % len(body), more, tail, b"" if is_head else body))

    def last(self, fault: Refusal, more: bytes) -> bytes:
        """Return the response that ends a connection, after bytes that are not a request that can be served."""
        return self.response(fault.status, fault.phrase, fault.body, PROBLEM_TYPE, fault.more + more, CLOSE)

    def _make(self, status: int, phrase: str, content_type: bytes) -> bytes:
        """Return a head up to the value of Content-Length, or all of it when there is no body."""
        if not (phrase.isascii() and phrase.isprintable()):
            phrase = phrase_of(status)
        start = f"HTTP/1.1 {status} {phrase}\r\n".encode() + self._date
        if content_type:
            return start + b"Content-Type: " + content_type + b"\r\nX-Content-Type-Options: nosniff\r\nContent-Length: "
        if status in (204, 304):  # RFC 9110 section 8.6: a 204 has no length, a 304 only that of the whole answer.
            return start
        return start + b"Content-Length: 0\r\n"
