"""Requests that one server reads as one and another as two, or as something else.

Place: test_two_hop sends them through a proxy.
Rule: each hides a request for ``/smuggled``, which nobody ever asks for outright. They are made of products of parts,
so their number is a matter of the parts: see ``test_there_are_a_few_hundred``.
Not here: what comes of them.
"""

from __future__ import annotations

from collections.abc import Iterator

INNER = b"GET /smuggled HTTP/1.1\r\nHost: a\r\nX-Pad: x\r\n\r\n"

CODING_NAMES = [
    b"Transfer-Encoding",
    b"Transfer-Encoding ",
    b"Transfer_Encoding",
    b"X: y\nTransfer-Encoding",
    b"X: y\rTransfer-Encoding",
    b"X: y\r\n Transfer-Encoding",
    b"\tTransfer-Encoding",
    b"Transfer-Encoding\0",
    b"Transfer-Encoding\r\n",
]
CODINGS = [
    b"chunked",
    b"Chunked",
    b"\tchunked",
    b"\x0bchunked",
    b"chunked\x0b",
    b"xchunked",
    b"x, chunked",
    b"chunked, identity",
    b"identity",
    b'"chunked"',
    b"chunked\r\nTransfer-Encoding: identity",
    b"chunked\r\nTransfer-Encoding: chunked",
]
LENGTHS = [
    b"%d, %d",
    b"+%d",
    b"-%d",
    b"0x%x",
    b"%d\0",
    b"%d \t",
    b"0%d",
    b"%d.0",
    b"%d_0",
    b" %d\r\n",
    b"%d\r\nContent-Length: 0",
    b"0\r\nContent-Length: %d",
    b"%d\r\nContent_Length: 0",
    b"%d\r\nContent-Length : 0",
    b"%d\r\n\tContent-Length: 0",
    b"%d\nContent-Length: 0",
    b"18446744073709551616%d",
]
CHUNK_HEADS = [
    b"%x;a",
    b"%x;a=b",
    b"%x ",
    b" %x",
    b"0%x",
    b"0x%x",
    b"-%x",
    b"%x\n",
    b'%x;"\n',
    b"%x;\n",
    b"+%x",
    b"%xg",
    b"%x\r",
]
HOSTS = [b"b", b"a, b", b"a b", b"a\r\nHost: b", b"", b"a/b", b"u@b", b"a\tb", b"[::1", b"a:80:81", b"a#b", b"a?b"]
TARGETS = [
    *(b"http://b/echo", b"http://a/echo", b"http://a?/echo", b"http://u@b/echo", b"ftp://a/echo", b"echo", b"*"),
    *(b"/echo%", b"/echo?%zz", b"//echo", b"/./echo", b"/echo#/smuggled", b"/echo\t/smuggled", b"/echo /smuggled"),
    *(b"/echo?\xff", b"/echo\\..\\smuggled", b"/%2e%2e/smuggled", b"/echo;/smuggled", b"/echo\x0b/smuggled"),
]
VERSIONS = [
    b"HTTP/0.9",
    b"HTTP/1.0",
    b"HTTP/1.2",
    b"HTTP/2.0",
    b"HTTP/1.01",
    b"http/1.1",
    b"HTTP/1.1 ",
    b"RTSP/1.0",
    b"",
]
MORE = [
    *(b"Expect: 100-continue", b"Expect: 200-ok", b"Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings"),
    *(b"Connection: Content-Length", b"Connection: X-Hop", b"Connection: close, keep-alive", b"X-Hop: forged"),
    *(b"X_Hop: forged", b"X-HTTP-Method-Override: GET", b"TE: trailers", b"Trailer: Content-Length", b"X: a\0b"),
    *(b"X: a\nGET /smuggled HTTP/1.1", b"X: a\rb", b"X : a", b"X", b": a", b"X_Forwarded_For: 192.0.2.1", b"X: \xff"),
]


def requests() -> Iterator[bytes]:
    """All of them."""
    yield from _codings()
    for length in LENGTHS:
        value = length.replace(b"%d", b"%d" % len(INNER)).replace(b"%x", b"%x" % len(INNER))
        yield _head(b"Content-Length: " + value) + INNER
    for chunk in CHUNK_HEADS:
        size = chunk.replace(b"%x", b"%x" % len(INNER))
        yield _head(b"Transfer-Encoding: chunked") + size + b"\r\n" + INNER + b"\r\n0\r\n\r\n"
    for end in (
        b"0\r\n",
        b"0\r\n\n",
        b"0\n\n",
        b"0\r\nContent-Length: 3\r\n\r\n",
        b"0\r\nX-Hop: forged\r\n\r\n",
        b"00\r\n\r\n",
    ):
        yield _head(b"Transfer-Encoding: chunked") + b"2\r\nhi\r\n" + end + INNER
    for host in HOSTS:
        yield b"GET /echo HTTP/1.1\r\nHost: " + host + b"\r\n\r\n" + INNER.replace(b"/smuggled", b"/echo?behind")
    for target in TARGETS:
        yield b"POST " + target + b" HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(INNER) + INNER
    for version in VERSIONS:
        yield b"POST /echo " + version + b"\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(INNER) + INNER
    for more in MORE:
        yield _head(b"Content-Length: %d\r\n" % len(INNER) + more) + INNER
        yield b"GET /echo HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n" % len(INNER) + more + b"\r\n\r\n" + INNER
    for method in (b"GET", b"HEAD", b"DELETE", b"OPTIONS", b"TRACE", b"CONNECT", b"PRI", b"post", b"POST\t"):
        yield method + b" /echo HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(INNER) + INNER


def _codings() -> Iterator[bytes]:
    chunked = b"%x\r\n%b\r\n0\r\n\r\n" % (len(INNER), INNER)
    for name in CODING_NAMES:
        for coding in CODINGS:
            line = name + b": " + coding
            yield _head(line) + chunked
            yield _head(line + b"\r\nContent-Length: %d" % len(chunked)) + chunked
            yield _head(b"Content-Length: 4\r\n" + line) + b"0\r\n\r\n" + INNER


def _head(lines: bytes) -> bytes:
    return b"POST /echo HTTP/1.1\r\nHost: a\r\n" + lines + b"\r\n\r\n"
