"""Requests to every route, with whatever a client may make long: paths, queries, headers, bodies, encodings, cuts.

Place: routes sends them to a served instance, test_routes to a worker of its own.
Rule: a case is made of its number alone, so that a finding is seen again by that number.
Not here: what must be true of the answers (routes).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random
from typing import Final, NamedTuple
from urllib.parse import quote

from tests.fuzz.doors import CE, PACKED, TYPES

GETS: Final = [
    b"/", b"/?spec", b"/?doc", b"/healthz", b"/readyz", b"/_info", b"/robots.txt", b"/v1/streamconfigs",
    b"/w/api.php?action=streamconfigs", b"/v1/stream-configs", b"/v1/stream-configs/web.page_view,",
    b"/v1/schemas", b"/v1/schemas/web/page_view/", b"/v1/schemas/", b"/v1/beacon", b"/v1/pixel.gif",
    b"/v1/receipts/", b"/v1/_test/events", b"/nothing",
]  # fmt: skip
POSTS: Final = [b"/v1/events", b"/v1/events?hasty=true", b"/v1/beacon", b"/v1/validate", b"/v1/receipts/a"]
PARAMETERS: Final = [
    b"constraints",
    b"streams",
    b"wiki",
    b"stream",
    b"schema_uri",
    b"hasty",
    b"action",
    b"uselang",
    b"x",
]
UNITS: Final = [
    b"a", b"%", b"%25", b"%2", b"%zz", b"%7c", b"|", b"|a", b"a=0|", b"a[]=0|", b"a[9]=0|", b"a[b][c]=1|", b"[",
    b"]", b"[b]", b"%26a=1", b"&", b"a&", b"a=1&", b"=", b"+", b",", b", a", b",a;q=0.1", b";", b";a=b", b"; q=1",
    b'"', b'"a",', b'W/"a",', b"*,", b"*/*,", b"text/html,", b"1.1.1.1,", b"[::1]:1,", b"for=1.1.1.1,", b"for=",
    b"bytes=0-1,", b"9", b"0", b"/", b"//", b"../", b".", b"-", b"_", b"~", b":", b"@", b"\\", b"a:b", b"a=b;",
    b"Basic ", b"eyJ", b"gzip,", b"1-", b"00-", b"{", b"[1,", b'{"a":', b"\xc3\xa1", b"\xff",
]  # fmt: skip
HEADERS: Final = [
    b"Accept", b"Accept-Encoding", b"If-None-Match", b"If-Modified-Since", b"Range", b"Cookie",
    b"X-Forwarded-For", b"Forwarded", b"Authorization", b"X-API-Key", b"Origin", b"Access-Control-Request-Method",
    b"TE", b"Via", b"Referer", b"Access-Control-Request-Headers", b"traceparent", b"tracestate", b"baggage",
    b"X-Request-Id", b"User-Agent", b"Content-Type", b"Content-Encoding", b"Expect", b"Connection", b"Upgrade",
    b"Transfer-Encoding", b"Content-Length", b"ce-id", b"ce-source", b"ce-type", b"ce-specversion", b"ce-time",
    b"X-Penstock-Test", b"X-Client-IP", b"Host",
]  # fmt: skip
DOUBTFUL: Final = {
    b"Content-Length",
    b"Transfer-Encoding",
    b"Expect",
    b"Upgrade",
}  # A request with it may be half a one.
EVENT: Final = {"$schema": "/web/page_view/1.0.0", "meta": {"stream": "web.page_view"}, "page": "/home"}


class Case(NamedTuple):
    """What is sent, in pieces; ``end`` is what the client does then; so many answers come if it
    reads, unless one ends the connection; 0: unknown."""

    number: int
    pieces: list[bytes]
    end: str
    answers: int


ENDS: Final = ["read", "read", "read", "read", "half-close", "close", "reset", "close early", "reset early"]


def made(number: int, most_bytes: int = 4_000_000) -> Case:
    """The case of this number."""
    rng = Random(number)
    requests = [_request(rng, most_bytes) for _ in range(rng.choice([1, 1, 1, 1, 2, 5, 40]))]
    if len(requests) == 40:
        requests = requests[:1] * 40 if len(requests[0][0]) < 4_000 else requests[:1]
    sent = b"".join(raw for raw, _ in requests)
    end = rng.choice(ENDS)
    if end.endswith("early"):
        sent = sent[: rng.randrange(len(sent) + 1)]
    answers = len(requests) if all(is_plain for _, is_plain in requests) else 0
    return Case(number, _cut(rng, sent), end, answers)


def _request(rng: Random, most_bytes: int) -> tuple[bytes, bool]:
    """One request, and whether it is surely a whole one."""
    is_post = rng.random() < 0.45
    target = rng.choice(POSTS if is_post else GETS)
    method = (b"POST" if is_post else b"GET") if rng.random() < 0.9 else rng.choice([b"OPTIONS", b"HEAD", b"PUT"])
    kind = rng.randrange(4)
    if kind == 0:
        target += _repeated(rng, rng.choice([64, 2_000, 15_000]))
    elif kind == 1:
        target += (b"&" if b"?" in target else b"?") + rng.choice(PARAMETERS) + b"="
        target += _repeated(rng, rng.choice([64, 2_000, 15_000]))
    elif kind == 2 and b"beacon" in target + b"pixel" and not is_post:
        target += (b"&" if b"?" in target else b"?") + quote(_json(rng, 5_000)).encode()
    target = target.replace(b" ", b"%20").replace(b"\xff", b"%ff").replace(b"\xc3\xa1", b"%c3%a1")
    headers, is_plain = [b"Host: a"], True
    count = rng.choice([0, 0, 1, 1, 3, 30, 95])
    for _ in range(count):
        name = rng.choice(HEADERS)
        is_plain = is_plain and name not in DOUBTFUL
        headers.append(name + b": " + _repeated(rng, rng.choice([1, 20, 300, 7_000 if count < 4 else 300])))
    if not is_post:
        return b"%b %b HTTP/1.1\r\n%b\r\n\r\n" % (method, target, b"\r\n".join(headers)), is_plain
    head, body = _body(rng, most_bytes)
    framed = _framed(rng, body)
    return b"%b %b HTTP/1.1\r\n%b\r\n%b%b" % (method, target, b"\r\n".join(headers), head, framed), is_plain


def _repeated(rng: Random, most: int) -> bytes:
    """One or two units, again and again; sometimes numbered, so that no two are alike."""
    units = rng.choices(UNITS, k=rng.choice([1, 1, 2]))
    one = b"".join(units)
    if rng.random() < 0.3:
        return b"".join(one + b"%d" % number for number in range(most // (len(one) + 4)))
    return (one * (most // len(one) + 1))[:most]


def _json(rng: Random, most: int) -> str:
    """A JSON text of about ``most`` characters at the most."""
    size = rng.choice([1, 10, 100, most])
    event = json.dumps(EVENT)
    makers: list[Callable[[], str]] = [
        lambda: event,
        lambda: "[" + ",".join([event] * max(1, size // len(event))) + "]",
        lambda: "[" + ",".join(["{}"] * (size // 3 + 1)) + "]",
        lambda: "[" * (size // 2) + "]" * (size // 2),
        lambda: '{"a":' * (size // 6) + "1" + "}" * (size // 6),
        lambda: "{" + ",".join(f'"k{number}":{number}' for number in range(size // 10 + 1)) + "}",
        lambda: "{" + ",".join('"k":1' for _ in range(size // 6 + 1)) + "}",
        lambda: json.dumps(EVENT | {"page": "x" * size}),
        lambda: json.dumps(EVENT | {"page": "\\u00e1\\" * (size // 8)}),
        lambda: json.dumps(EVENT | {"page": [{}] * (size // 3)}),
        lambda: json.dumps(EVENT | {"n": 0})[:-2] + "9" * size + "}",
        lambda: '["noise",[' + ",".join(["{}"] * (size // 3 + 1)) + "]]",
        lambda: "[" + ",".join(["1"] * (size // 2 + 1)) + "]",
        lambda: json.dumps({"specversion": "1.0", "id": "1", "source": "/a", "type": "b" * size, "data": EVENT}),
        lambda: "[" + ",".join(['{"type":"crash","age":1,"url":"https://a/","body":{}}'] * (size // 50 + 1)) + "]",
        lambda: "\n".join([event] * max(1, size // len(event))),
        lambda: "\n" * size,
        lambda: " " * size + event,
        lambda: '"' * size,
        lambda: "\\" * size,
        lambda: "",
    ]
    return rng.choice(makers)()


def _body(rng: Random, most_bytes: int) -> tuple[bytes, bytes]:
    """Lines of the head, and the body."""
    size = rng.choice([200, 2_000, 20_000, 60_000, most_bytes]) if rng.random() < 0.3 else 500
    body = _json(rng, min(size, most_bytes)).encode()
    head = b""
    if rng.random() < 0.8:
        kind = rng.randrange(len(TYPES) + 1)
        head = b"Content-Type: %b\r\n" % TYPES[kind] if kind < len(TYPES) else CE
    if rng.random() < 0.4:
        name, pack = rng.choice(list(PACKED.values()))
        head += b"Content-Encoding: %b\r\n" % name
        body = pack(body) if rng.random() < 0.9 else body
    return head, body


def _framed(rng: Random, body: bytes) -> bytes:
    """The last line of the head, and the body as it is framed."""
    if rng.random() < 0.6:
        return b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
    size = rng.choice([1, 1, 7, 1_000, len(body) + 1]) if len(body) < 200_000 else 50_000
    extension = rng.choice([b"", b"", b";a=b"])
    chunks = [body[at : at + size] for at in range(0, len(body), size)]
    lines = b"".join(b"%x%b\r\n%b\r\n" % (len(chunk), extension, chunk) for chunk in chunks)
    return b"Transfer-Encoding: chunked\r\n\r\n%b0\r\n%b\r\n" % (lines, rng.choice([b"", b"a: b\r\n" * 50]))


def _cut(rng: Random, sent: bytes) -> list[bytes]:
    size = (
        rng.choice([1, 13, 1_000]) if len(sent) < 3_000 and rng.random() < 0.3 else rng.choice([4_096, 65_536, 1 << 23])
    )
    return [sent[at : at + size] for at in range(0, len(sent), size)]
