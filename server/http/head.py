"""Judge what is rare in the head of a request.

Place: http.reader.on_headers_complete → HERE.
Rules: nothing here runs for the head that nearly every client sends. What makes the end of the body ambiguous is
refused with the connection (request smuggling); the parser refuses most of it before we see it.
Not here: routes (http.routes), sizes (http.reader), types and encodings of bodies (http.around.content).
"""

# hot path

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from itertools import product
from typing import TYPE_CHECKING, Any, Final

from server.http.around import refused_kinds
from server.http.around.content import encoding_of, is_json, media_type
from server.http.fields import elements
from server.http.problem import (
    BAD_CODING,
    BAD_EXPECT,
    BAD_FRAMING,
    BAD_REQUEST,
    BAD_TARGET,
    BAD_VERSION,
    OTHER_HOST,
    SHADOW,
    UNKNOWN_METHOD,
    Refusal,
)
from server.http.response import CLOSE, KEEP, KEEP_1_0

if TYPE_CHECKING:
    from server.http.around.decompress import Decompressor
    from server.http.limits import RequestLimits
    from server.http.request import Request

RARE: Final = frozenset({b"expect", b"transfer-encoding", b"content-encoding", b"upgrade"})
_OF_CLOUDEVENTS: Final = b"ce-specversion"  # In binary mode.
_FRAMING: Final = ("content-length", "transfer-encoding")

# A name or an address, and a port (RFC 9110 section 7.2); of what RFC 3986 allows in names, what names are made of.
_HOST: Final = re.compile(rb"([A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(:[0-9]{0,5})?")
HOSTS: Final[set[bytes]] = set()  # Exact values that were found to be hosts.
MAX_KEPT: Final = 256

_ABSOLUTE: Final = re.compile(rb"(https?)://([^/?#]+)([/?].*)?", re.IGNORECASE | re.DOTALL)
_PORTS: Final = {b"http": b":80", b"https": b":443"}

# The first line of a request (RFC 9112 section 3), whole and as far as it has come. No method is longer than this.
_TOKEN: Final = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]{0,32}"
_TARGET: Final = rb"[\x21-\x7e\x80-\xff]"
_METHODS: Final = (b"GET ", b"HEAD ", b"POST ", b"PUT ", b"PATCH ", b"DELETE ", b"OPTIONS ")
_LINE: Final = re.compile(rb"(%b )%b+ HTTP/1\.[0-9]\r?\n" % (_TOKEN, _TARGET))
_BEGUN: Final = re.compile(rb"%b(?: %b*(?: [HTP/.0-9]{0,8}\r?)?)?" % (_TOKEN, _TARGET))


class Trailers(dict[bytes, bytes]):
    """Takes trailers in place of the headers and forgets them: a late X-Forwarded-For would overwrite the real one.
    ``over`` is called when there are more than ``most`` bytes of them, each line as it is usually written."""

    __slots__ = ("_left", "_over")

    def __init__(self, most: int, over: Callable[[], None]) -> None:
        super().__init__()
        self._left = most
        self._over = over

    def __contains__(self, name: object) -> bool:
        return False

    def __setitem__(self, name: bytes, value: bytes) -> None:
        self._left -= len(name) + len(value) + len(": \r\n")
        if self._left < 0:
            self._over()


def shadows(believed: Iterable[str]) -> frozenset[bytes]:
    """Names that differ from one of ``believed``, or from a header that frames a body, by underscores for hyphens.

    Gateways that hand headers on as variables cannot tell the two apart: nginx and Apache drop such names for it.
    """
    names = {*believed, *_FRAMING}
    spelled = {"".join(parts) for name in names for parts in product(*[_spellings(char) for char in name.lower()])}
    return frozenset(name.encode() for name in spelled - {name.lower() for name in names})


def _spellings(char: str) -> str:
    return "-_" if char == "-" else char


def shadowed(headers: Mapping[bytes, bytes], names: frozenset[bytes]) -> Refusal | None:
    """Refuse a header that would pass for one which a proxy sets."""
    return None if names.isdisjoint(headers) else SHADOW


def is_host(value: bytes) -> bool:
    """Whether this is what a Host header may say; remembered, within a bound."""
    if _HOST.fullmatch(value) is None:
        return False
    if len(HOSTS) >= MAX_KEPT:
        HOSTS.clear()
    HOSTS.add(value)
    return True


def bad_target(url: bytes, method: bytes, host: bytes | None) -> Refusal | None:
    """Refuse a target that is neither a path nor one in absolute form for the host that Host names.

    RFC 9112 section 3.2.2 has Host ignored then; a proxy that does not would have sent it elsewhere.
    """
    if method == b"CONNECT" or url == b"*":
        return None
    parts = _ABSOLUTE.fullmatch(url)
    if parts is None or _HOST.fullmatch(parts[2]) is None:
        return BAD_TARGET
    port = _PORTS[parts[1].lower()]
    return None if host is None or _bare(host, port) == _bare(parts[2], port) else OTHER_HOST


def _bare(host: bytes, port: bytes) -> bytes:
    return host.lower().removesuffix(port).removesuffix(b":")


def tail_of(parser: Any, headers: Mapping[bytes, bytes]) -> bytes | None:
    """How the response ends, from the version and the Connection header; None: a version not spoken here.

    Where both options are there, ``close`` counts (RFC 9112 section 9.3); the parser says so of HTTP/1.1 alone.
    """
    version = parser.get_http_version()
    if version == "1.1":
        return KEEP if parser.should_keep_alive() else CLOSE
    if version == "1.0":
        options = [option.lower() for option in elements(headers.get(b"connection", b""))]
        return KEEP_1_0 if parser.should_keep_alive() and b"close" not in options else CLOSE
    return None


def bad_version(parser: Any) -> Refusal:
    """Which answer a version gets that is not spoken here. HTTP/0.9 has no heads, so its bytes are no request."""
    return BAD_REQUEST if parser.get_http_version().startswith("0") else BAD_VERSION


def bad_framing(headers: Mapping[bytes, bytes], parser: Any) -> Refusal | None:
    """Refuse a Transfer-Encoding other than chunked, or on HTTP/1.0 (RFC 9112 section 6.1)."""
    coding = headers.get(b"transfer-encoding")
    if coding is None:
        return None
    if parser.get_http_version() != "1.1":
        return BAD_FRAMING
    return None if coding.lower() == b"chunked" else BAD_CODING


def bad_type(headers: Mapping[bytes, bytes]) -> Refusal | None:
    """Refuse a type of body that nobody here can read. That of a CloudEvent in binary mode is the type of its data."""
    given = headers.get(b"content-type")
    if media_type(given) or (given is not None and _OF_CLOUDEVENTS in headers and is_json(given)):
        return None
    return refused_kinds.bad_type(headers)


def bad_encoding(request: Request, encodings: Decompressor) -> Refusal | None:
    """Refuse an encoding that nobody here can undo; else see to it that the handler is called with a plain body."""
    header = request.headers.get(b"content-encoding")
    if header is None or request.method != b"POST":
        return None
    encoding = encoding_of(header)
    if not encoding:
        return refused_kinds.bad_encoding(header)
    if encoding != "identity":
        request.handler = encodings.before(request.handler, encoding)
    return None


def bad_expectation(headers: Mapping[bytes, bytes]) -> Refusal | None:
    """Refuse to be expected anything but 100 (RFC 9110 section 10.1.1: a list, which may be empty)."""
    expected = elements(headers.get(b"expect", b""))
    return None if all(one.lower() == b"100-continue" for one in expected) else BAD_EXPECT


def refusal_of(error: Exception) -> Refusal:
    """Which answer a parse error gets. Our words: llhttp's may change."""
    reason = str(error)
    if "HTTP version" in reason or "PRI/Upgrade" in reason:
        return BAD_VERSION
    if "Invalid method for" in reason:  # One of RTSP, which the parser speaks too.
        return UNKNOWN_METHOD
    return BAD_REQUEST


def too_large(url: bytes, headers: Mapping[bytes, bytes], lines: int, bounds: RequestLimits) -> Refusal | None:
    """Why a head of so many ``lines`` is too large. Counted exactly, each line as it is usually written: so no cutting
    changes the answer."""
    sizes = [len(name) + len(value) for name, value in headers.items()]
    if len(url) + sum(sizes) + lines * len(": \r\n") > bounds.max_head_bytes:
        return bounds.big_head
    return bounds.long_header if max(sizes, default=0) > bounds.max_header_bytes else None


def judge_line(begun: bytes, bounds: RequestLimits) -> Refusal | None:
    """Which answer a request gets whose method the parser does not know: 501 (RFC 9110 section 15.6.2), once it is sure
    that this is a request. None: its first line is not complete. ``begun`` is what was read when the parser stopped,
    and since; requests that were served may stand before the line."""
    line = begun.lstrip(b"\r\n")
    methods = _LINE.findall(line)
    if methods and not methods[-1].endswith(_METHODS):
        return UNKNOWN_METHOD
    if line.startswith(_METHODS):
        line = line.rpartition(b"\r\n\r\n")[2]
    if not line or not _BEGUN.fullmatch(line):
        return BAD_REQUEST
    return bounds.long_url if len(begun) > bounds.max_url_bytes else None
