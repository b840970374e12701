"""Judge what is rare in the head of a request.

Place: http.reader.on_headers_complete → HERE.
Rules: nothing here runs for the head that nearly every client sends. What makes the end of the body ambiguous is
refused with the connection (request smuggling); the parser refuses most of it before we see it.
Not here: routes (http.routes), sizes (http.reader), types and encodings of bodies (http.content).
"""

# hot path

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from server.http.content import BAD_ENCODING, BAD_TYPE, encoding_of, media_type
from server.http.problem import BAD_CODING, BAD_EXPECT, BAD_FRAMING, BAD_REQUEST, BAD_VERSION, Refusal
from server.http.response import CLOSE, KEEP, KEEP_1_0

if TYPE_CHECKING:
    from server.http.encodings import Encodings
    from server.http.request import Request

RARE: Final = frozenset({b"expect", b"transfer-encoding", b"content-encoding", b"upgrade"})


class Trailers(dict[bytes, bytes]):
    """Takes trailers in place of the headers and forgets them: a late X-Forwarded-For would overwrite the real one."""

    def __contains__(self, name: object) -> bool:
        return False

    def __setitem__(self, name: bytes, value: bytes) -> None:
        return


TRAILERS: Final = Trailers()


def tail_of(parser: Any) -> bytes | None:
    """How the response ends, from the version and the Connection header; None: a version not spoken here."""
    version = parser.get_http_version()
    if version == "1.1":
        return KEEP if parser.should_keep_alive() else CLOSE
    if version == "1.0":
        return KEEP_1_0 if parser.should_keep_alive() else CLOSE
    return None


def bad_framing(headers: Mapping[bytes, bytes], parser: Any) -> Refusal | None:
    """Refuse a Transfer-Encoding other than chunked, or on HTTP/1.0 (RFC 9112 section 6.1)."""
    coding = headers.get(b"transfer-encoding")
    if coding is None:
        return None
    if parser.get_http_version() != "1.1":
        return BAD_FRAMING
    return None if coding.lower() == b"chunked" else BAD_CODING


def bad_type(headers: Mapping[bytes, bytes]) -> Refusal | None:
    """Refuse a type of body that nobody here can read."""
    return None if media_type(headers.get(b"content-type")) else BAD_TYPE


def bad_encoding(request: Request, encodings: Encodings) -> Refusal | None:
    """Refuse an encoding that nobody here can undo; else see to it that the handler is called with a plain body."""
    header = request.headers.get(b"content-encoding")
    if header is None:
        return None
    encoding = encoding_of(header)
    if not encoding:
        return BAD_ENCODING
    if encoding != "identity" and request.method == b"POST":
        request.handler = encodings.before(request.handler, encoding)
    return None


def bad_expectation(headers: Mapping[bytes, bytes]) -> Refusal | None:
    """Refuse to be expected anything but 100 (RFC 9110 section 10.1.1)."""
    expect = headers.get(b"expect")
    return None if expect is None or expect.lower() == b"100-continue" else BAD_EXPECT


def refusal_of(error: Exception) -> Refusal:
    """Which answer a parse error gets. Our words: llhttp's may change."""
    reason = str(error)
    if "HTTP version" in reason or "PRI/Upgrade" in reason:
        return BAD_VERSION
    return BAD_REQUEST
