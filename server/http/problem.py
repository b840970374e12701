"""The answers to requests that are not served: problem JSON (RFC 9457).

Place: http.reader, http.head, http.protocol, http.routes → HERE → http.response.
Rules: a detail says what is wrong, where, and what to do. It is made of our own words alone: no text of an exception,
no name of a host or topic, and nothing that the client sent except an unsupported type or encoding
(http.around.refused_kinds). Refusing is cheap: every other body is made at start-up. Every refusal says that it must
not be cached: without that, caches may keep 404, 405, 410, 414 and 501 (RFC 9110 section 15.1).
Not here: per-event failures (intake.verdict).
"""

# hot path

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from server.http.response import PROBLEM_TYPE, phrase_of

if TYPE_CHECKING:
    from server.http.request import Request


NO_STORE = b"Cache-Control: no-store\r\n"


def problem_body(status: int, detail: str) -> bytes:
    """Return ``{"type","title","status","detail"}``; the title is the reason phrase."""
    said = {"type": "about:blank", "title": phrase_of(status), "status": status, "detail": detail}
    return orjson.dumps(said, option=orjson.OPT_APPEND_NEWLINE)


class Refusal:
    """A ready-made answer. ``handle`` can be used as a handler. ``kind`` names the limit under which it is counted."""

    __slots__ = ("body", "kind", "more", "phrase", "status")

    def __init__(self, status: int, detail: str, *, more: bytes = b"", kind: str = "") -> None:
        self.status = status
        self.phrase = phrase_of(status)
        self.body = problem_body(status, detail)
        self.more = NO_STORE + more
        self.kind = kind

    def handle(self, request: Request) -> None:
        """Answer ``request`` with this refusal."""
        request.refuse(self.status, self.phrase, self.body, PROBLEM_TYPE, self.more)


RETRY_AFTER = b"Retry-After: 1\r\n"  # In seconds. A full worker has answered most of what it holds by then.

BAD_REQUEST = Refusal(400, "The bytes are not an HTTP/1.1 request, and nothing after them was read. Check the client.")
NO_HOST = Refusal(400, "An HTTP/1.1 request needs exactly one Host header. Send one.")
BAD_HOST = Refusal(
    400, "The Host header is not a host with an optional port. Send example.org or example.org:8192, for example."
)
BAD_TARGET = Refusal(400, "The request target is malformed: percent-encode it again, with two hex digits after each %.")
ODD_TARGET = Refusal(
    400,
    "The request target has characters that no URL may contain: percent-encode every character that is not an ASCII "
    "letter or digit, as UTF-8.",
)
OTHER_HOST = Refusal(400, "The request target names another host than the Host header. Send a path alone.")
SHADOW = Refusal(400, "A header name has an underscore where a header that proxies set has a hyphen. Leave it out.")
BAD_FRAMING = Refusal(400, "Transfer-Encoding needs HTTP/1.1. Send a Content-Length instead.")
BAD_CODING = Refusal(
    400, "The only Transfer-Encoding supported is chunked. Send the body in chunks, or with a Content-Length."
)
UNKNOWN_METHOD = Refusal(
    501, "The method is not known. Methods are written in capitals; GET, HEAD, POST and OPTIONS are served here."
)
NO_TUNNEL = Refusal(501, "CONNECT is not served: this server is not a proxy.")
BAD_VERSION = Refusal(505, "Only HTTP/1.1 and HTTP/1.0 are supported. Send HTTP/1.1.")
BAD_EXPECT = Refusal(417, "The only Expect supported is 100-continue. Leave the header out.")
NOT_FOUND = Refusal(
    404,
    "Nothing is served at this path. Check it: capitals, doubled slashes and encoded letters make a different path.",
)
SLOW_HEAD = Refusal(408, "The head of the request took too long to arrive. Send it again.", kind="head_slow")
SLOW_BODY = Refusal(408, "The body of the request arrives too slowly. Send it again.", kind="body_slow")
OVERDUE = Refusal(
    503,
    "No answer came in time, and the outcome of the request is not known. Send it again.",
    more=RETRY_AFTER,
    kind="answer_slow",
)
INTERNAL = Refusal(500, "internal: the server failed on this request, and has logged it. Try again later.")
