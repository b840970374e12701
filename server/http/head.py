"""Judge the rare features of a request's head.

Place: http.reader.on_headers_complete → HERE.
Rules: nothing here runs for the head that nearly every client sends. A head that makes the end of its body ambiguous
(request smuggling) is refused and ends the connection; the parser refuses most of them before we see them.
Not here: routes (http.routes), sizes (http.reader), types and encodings of bodies (http.around.content).
"""

# hot path

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from itertools import product
from typing import TYPE_CHECKING, Any, Final

from server.http.around import refused_kinds
from server.http.around.content import encoding_of, format_of, is_json
from server.http.fields import elements
from server.http.problem import (
    BAD_CODING,
    BAD_EXPECT,
    BAD_FRAMING,
    BAD_REQUEST,
    BAD_TARGET,
    BAD_VERSION,
    ODD_TARGET,
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
_OF_CLOUDEVENTS: Final = b"ce-specversion"  # Present on a CloudEvent in binary mode.
_FRAMING: Final = ("content-length", "transfer-encoding")

# A name or an address, and a port (RFC 9110 section 7.2). RFC 3986 allows more characters than names really have.
_HOST: Final = re.compile(rb"([A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(:[0-9]{0,5})?")
HOSTS: Final[set[bytes]] = set()  # A cache of exact values that were found to be hosts.
MAX_CACHED: Final = 256

_ABSOLUTE: Final = re.compile(rb"(https?)://([^/?#]+)([/?].*)?", re.IGNORECASE | re.DOTALL)
_PORTS: Final = {b"http": b":80", b"https": b":443"}

# The first line of a request (RFC 9112 section 3), whole and incomplete. No method is longer than 32 characters.
_TOKEN: Final = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]{0,32}"
_TARGET: Final = rb"[\x21-\x7e\x80-\xff]"
_METHODS: Final = (b"GET ", b"HEAD ", b"POST ", b"PUT ", b"PATCH ", b"DELETE ", b"OPTIONS ")
_LINE: Final = re.compile(rb"(%b )%b+ HTTP/1\.[0-9]\r?\n" % (_TOKEN, _TARGET))
_BEGUN: Final = re.compile(rb"%b(?: %b*(?: [HTP/.0-9]{0,8}\r?)?)?" % (_TOKEN, _TARGET))


class Trailers(dict[bytes, bytes]):
    """Takes trailers in place of headers and discards them: a late X-Forwarded-For would overwrite the real one.
    ``over`` is called when they exceed ``max_bytes``; each line counts as it is usually written."""

    __slots__ = ("_left", "_over")

    def __init__(self, max_bytes: int, over: Callable[[], None]) -> None:
        super().__init__()
        self._left = max_bytes
        self._over = over

    def __contains__(self, name: object) -> bool:
        return False

    def __setitem__(self, name: bytes, value: bytes) -> None:
        self._left -= len(name) + len(value) + len(": \r\n")
        if self._left < 0:
            self._over()


def shadows(believed: Iterable[str]) -> frozenset[bytes]:
    """Spell each name of ``believed``, and of the headers that frame a body, with underscores in place of hyphens.

    Gateways that pass headers on as variables cannot tell the two spellings apart, so nginx and Apache drop such names.
    """
    names = {*believed, *_FRAMING}
    spelled = {"".join(parts) for name in names for parts in product(*[_spellings(char) for char in name.lower()])}
    return frozenset(name.encode() for name in spelled - {name.lower() for name in names})


def _spellings(char: str) -> str:
    return "-_" if char == "-" else char


def shadowed(headers: Mapping[bytes, bytes], names: frozenset[bytes]) -> Refusal | None:
    """Refuse a header that could be mistaken for one that a proxy sets."""
    return None if names.isdisjoint(headers) else SHADOW


def is_host(value: bytes) -> bool:
    """Whether this is a valid Host header. Valid values go into the cache HOSTS."""
    if _HOST.fullmatch(value) is None:
        return False
    if len(HOSTS) >= MAX_CACHED:
        HOSTS.clear()
    HOSTS.add(value)
    return True


def bad_target(url: bytes, method: bytes, host: bytes | None) -> Refusal | None:
    """Refuse a target that is neither a path nor one in absolute form for the host that Host names.

    RFC 9112 section 3.2.2 says to ignore Host for an absolute form. A proxy that did not would route the request to
    another server.
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
    """How the response's head ends, by the version and the Connection header; None: the version is not supported.

    If both options are present, ``close`` counts (RFC 9112 section 9.3); the parser applies that to HTTP/1.1 alone.
    """
    version = parser.get_http_version()
    if version == "1.1":
        return KEEP if parser.should_keep_alive() else CLOSE
    if version == "1.0":
        options = [option.lower() for option in elements(headers.get(b"connection", b""))]
        return KEEP_1_0 if parser.should_keep_alive() and b"close" not in options else CLOSE
    return None


def bad_version(parser: Any) -> Refusal:
    """Return the refusal of an unsupported version. HTTP/0.9 has no heads, so its bytes are not a request."""
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
    """Refuse a content type that is not supported. That of a CloudEvent in binary mode is the type of its data."""
    given = headers.get(b"content-type")
    if format_of(given) or (given is not None and _OF_CLOUDEVENTS in headers and is_json(given)):
        return None
    return refused_kinds.bad_type(headers)


def bad_encoding(request: Request, decompressor: Decompressor) -> Refusal | None:
    """Refuse an unsupported content encoding; otherwise wrap the handler so that it is called with a plain body."""
    header = request.headers.get(b"content-encoding")
    if header is None or request.method != b"POST":
        return None
    encoding = encoding_of(header)
    if not encoding:
        return refused_kinds.bad_encoding(header)
    if encoding != "identity":
        request.handler = decompressor.before(request.handler, encoding)
    return None


def bad_expectation(headers: Mapping[bytes, bytes]) -> Refusal | None:
    """Refuse any expectation but 100-continue (RFC 9110 section 10.1.1: a list, which may be empty)."""
    expected = elements(headers.get(b"expect", b""))
    return None if all(one.lower() == b"100-continue" for one in expected) else BAD_EXPECT


def refusal_of(error: Exception) -> Refusal:
    """Return the refusal for a parse error. It is in our own words, because llhttp's may change."""
    reason = str(error)
    if "HTTP version" in reason or "PRI/Upgrade" in reason:
        return BAD_VERSION
    if "Invalid method for" in reason:  # A method of RTSP, which the parser knows too.
        return UNKNOWN_METHOD
    if reason.startswith("Invalid char in url"):  # Raw UTF-8, for instance.
        return ODD_TARGET
    return BAD_REQUEST


def too_large(url: bytes, headers: Mapping[bytes, bytes], lines: int, bounds: RequestLimits) -> Refusal | None:
    """Refuse a head of ``lines`` lines that is too large. Each line counts as it is usually written, so the answer does
    not depend on how the bytes were cut into reads."""
    sizes = [len(name) + len(value) for name, value in headers.items()]
    if len(url) + sum(sizes) + lines * len(": \r\n") > bounds.max_head_bytes:
        return bounds.big_head
    return bounds.long_header if max(sizes, default=0) > bounds.max_header_bytes else None


def judge_line(begun: bytes, bounds: RequestLimits) -> tuple[Refusal | None, bytes]:
    """Return the refusal of a request whose method the parser does not know: 501 (RFC 9110 section 15.6.2) once it is
    certain that this is a request. None: its first line is not complete; then also that line, to be judged again with
    what comes. ``begun`` holds the bytes that were read when the parser stopped; requests that were served may precede
    the line."""
    line = begun.lstrip(b"\r\n")
    methods = _LINE.findall(line) if b"\n" in line else []  # A line may come byte by byte.
    if methods and not methods[-1].endswith(_METHODS):
        return UNKNOWN_METHOD, b""
    if line.startswith(_METHODS):
        line = line.rpartition(b"\r\n\r\n")[2]
    if not line or not _BEGUN.fullmatch(line):
        return BAD_REQUEST, b""
    return (bounds.long_url, b"") if len(line) > bounds.max_url_bytes else (None, line)
