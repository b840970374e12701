"""Attacks by the content of texts: paths that climb, addresses inside, lines that are forged, pages for a browser.

Place: table → HERE → wire.
Rule: an answer is looked at as a browser or a proxy would (wire.unfit); arena looks at the log, and at who was asked.
Not here: how long texts take (bodies).
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from urllib.parse import quote

from bench.attacks.bodies import event
from bench.attacks.forms import FORM, STREAM
from bench.attacks.wire import Line, Outcome, Target, ask, ask_each, post, pour, request

FORGED = '{"level":"error","message":"forged"}'
LINES = ("\n", "\r\n", "\r", "\x00", "\x1b[2J", "\x85", "\u2028", "\x7f", "\x1f", "\u202e")
HTML = "<script>alert(1)</script><img src=x onerror=alert(1)>"


def _uris(inner: int) -> list[str]:
    """Schema URIs that lead out of the directory, to files, or to port ``inner`` of this host."""
    climbs = ["../", "..%2f", "%2e%2e/", "%2e%2e%2f", "..%252f", "..\\", "%c0%ae%c0%ae/", "..;/", "．．/", "....//"]
    found = [f"/{climb * 6}etc/passwd{end}" for climb in climbs for end in ("", "/1.0.0")]
    found += [f"/attack/{climb * 3}attack/form/1.0.0" for climb in climbs]
    found += ["file:///etc/passwd", "file:/etc/passwd", "FILE:///etc/passwd", "/etc/passwd\0/1.0.0", "/proc/self/1.0.0"]
    hosts = ["127.0.0.1", "localhost", "127.1", "2130706433", "0x7f000001", "0.0.0.0", "[::1]", "[::ffff:127.0.0.1]"]
    hosts += ["good.example@127.0.0.1", "127.0.0.1#good.example", "127.0.0.1\\@good.example", "169.254.169.254"]
    schemes = ["http:", "https:", "HTTP:", "ftp:", "gopher:", "dict:", "jar:http:", "", " http:", "http:\t"]
    found += [f"{scheme}//{host}:{inner}/attack/form/1.0.0" for scheme in schemes for host in hosts]
    return [*found, "/attack/form/1.0.0#", "/attack/form/1.0.0?x"]


async def _watched(target: Target, requests: Callable[[int], list[bytes]]) -> Outcome:
    """Ask, and count connections to a port that the server must not connect to."""
    reached = 0

    def knock(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal reached
        reached += 1
        writer.close()

    inner = await asyncio.start_server(knock, "127.0.0.1", 0)
    port = inner.sockets[0].getsockname()[1]
    outcome = await ask_each(target, requests(port))
    await asyncio.sleep(0.2)
    inner.close()
    await inner.wait_closed()
    return outcome + Counter({"an address inside was reached": reached})


async def schema_paths(target: Target) -> Outcome:
    """Every such URI: in an event, in the query, read as a document, in a CloudEvent."""
    return await _watched(target, _asking_for_schemas)


def _asking_for_schemas(inner: int) -> list[bytes]:
    raws = []
    bare = json.dumps({"meta": {"stream": STREAM}}).encode()
    for uri in _uris(inner):
        raws += [
            post(json.dumps({"$schema": uri, "meta": {"stream": STREAM}}).encode()),
            post(bare, target="/v1/events?schema_uri=" + quote(uri, safe="@%")),
            post(bare, target="/v1/events?schema_uri=" + quote(quote(uri, safe="@%"), safe="@%")),
            request("GET", "/v1/schemas/" + quote(uri, safe="/@%.;")),
        ]
    return raws


async def redirected_schemas(target: Target) -> Outcome:
    """Schemas that are moved to an address inside, or refer to one; then thousands that the site does not have."""
    base = f"http://127.0.0.1:{target.site}"

    def asking(inner: int) -> list[bytes]:
        uris = [f"/attack/{name}/1.0.0" for name in ("moved", "refers", "endless")]
        uris += [f"{base}/schemas/../inner/1.0.0", f"{base}@127.0.0.1:{inner}/a/1.0.0"]
        uris += [f"http://127.0.0.1:{inner}/a/1.0.0", f"{base}/inner/1.0.0", f"{base}/schemas/%2e%2e/inner/1.0.0"]
        return [post(json.dumps({"$schema": uri, "meta": {"stream": STREAM}}).encode()) for uri in uris]

    outcome = await _watched(target, asking)
    many = (
        b"["
        + b",".join(b'{"$schema":"/attack/none%d/1.0.0","meta":{"stream":"attack.form"}}' % n for n in numbers)
        + b"]"
        for numbers in (range(first, first + 100) for first in range(0, target.count(20_000), 100))
    )
    return outcome + await pour(target, (post(body) for body in many), depth=1)


async def injections(target: Target) -> Outcome:
    """Line ends, control characters and 1 MB in every text that may reach a log, an error event or an answer."""
    raws = []
    texts = [f"a{each}{FORGED}" for each in LINES] + [
        "a" * 900_000,
        HTML,
        "{}%s%n{0.__class__}",
        "\ud83d",
        "\u0000" * 99,
    ]
    for text in texts:
        raws += [
            post(event(**{"$schema": text})),
            post(event(**{"$schema": f"/{text}/1.0.0"})),
            post(event(meta={"stream": text})),
            post(event(number=text)),
            post(event(**{text: 1, "closed": {text: 1}})),
            post(json.dumps(text).encode()),
            post(json.dumps([text]).encode(), target="/v1/validate"),
        ]
        quoted = quote(text.encode("utf-8", "surrogatepass"))[:12_000]
        raws += [
            post(b"{}", target=f"/v1/events?stream={quoted}&schema_uri={quoted}&hasty={quoted}"),
            request("GET", f"/{quoted}"),
            request("GET", f"/v1/schemas/{quoted}"),
            request("GET", f"/v1/stream-configs/{quoted}?constraints={quoted}&{quoted}"),
            request("GET", f"/v1/receipts/{quoted}"),
        ]
    return await ask_each(target, raws)


async def header_injections(target: Target) -> Outcome:
    """The same in header values and in the request line, as raw bytes."""
    raws = []
    names = (
        b"X-Request-Id",
        b"User-Agent",
        b"Origin",
        b"Content-Type",
        b"Accept",
        b"X-Forwarded-For",
        b"Authorization",
    )
    for each in (
        b"a\nSet-Cookie: x=1",
        b"a\rSet-Cookie: x=1",
        b"a\x00b",
        b"a\x1b[2J",
        b"\xff\xfe",
        b"a" * 400,
        b"<script>",
    ):
        raws += [post(event(), name + b": " + each) for name in names]
        raws.append(b"GET /" + each + b" HTTP/1.1\r\nHost: a\r\n\r\n")
    return await ask_each(target, raws)


async def pages(target: Target) -> Outcome:
    """A page in every text that an answer repeats."""
    raws = [
        post(event(number=HTML, map={HTML: HTML})),
        post(f'"{HTML}'.encode()),
        post(json.dumps([HTML]).encode(), b"Accept: text/html"),
        post(event(), b"X-Request-Id: <script>alert(1)</script>", b"Accept: text/html"),
        post(event(), b"Content-Type: text/html"),
        request("GET", "/v1/events/" + quote(HTML, safe="<>/()="), b"", b"Accept: text/html"),
        request("GET", "/" + quote(HTML, safe="<>/()=")),
        request("GET", "/v1/stream-configs/" + quote(HTML, safe="<>/()=")),
        request("GET", "/v1/stream-configs?constraints=" + quote(HTML, safe="<>/()=")),
        request("GET", "/v1/streamconfigs?format=html&streams=" + quote(HTML, safe="<>/()=")),
        request("GET", "/v1/streamconfigs?callback=alert"),
        request("GET", "/v1/schemas/" + quote(HTML, safe="<>/()=")),
        request("GET", "/v1/receipts/" + quote(HTML, safe="<>/()=")),
        request("GET", "/?spec=" + quote(HTML, safe="<>/()=")),
        request("GET", "/v1/beacon?" + quote(HTML, safe="<>/()=")),
    ]
    return await ask_each(target, raws)


MOST_OUT = 100  # Bytes of an answer for each byte of the request.


async def amplification(target: Target) -> Outcome:
    """Requests that are answered with as much as can be had for a byte."""
    wrong = event(numbers=["1"] * 2_000)
    bodies = [b"[" + b",".join([each] * 10_000) + b"]" for each in (b"1", b"{}", b'""', b"[]")]
    bodies += [b"1", b"[1]", wrong, b"[" + b",".join([wrong] * 300) + b"]"]
    bodies += [event(closed={f"n{number}": 1 for number in range(2_000)})]
    raws = [post(body, target=path) for body in bodies for path in ("/v1/events", "/v1/validate")]
    outcome: Outcome = Counter()
    for raw in raws:
        line = await Line.open(target)
        line.writer.write(raw)
        answer = await line.answer()
        line.close()
        times = (len(answer.head) + len(answer.body)) / len(raw)
        outcome[f"{times:.0f} bytes for one" if times > MOST_OUT else answer.word] += 1
        await asyncio.sleep(0.05)
    outcome[f"then {await ask(target, request('GET', '/healthz'))}"] += 1
    return outcome


async def error_events(target: Target) -> Outcome:
    """Invalid events as fast as can be: their reports must stay within their rate (arena counts them)."""
    bodies = (b"[" + b",".join([b'{"$schema":"%s"}' % FORM.encode()] * 1_000) + b"]" for _ in range(target.count(100)))
    return await pour(target, (post(body, target="/v1/events?hasty=true") for body in bodies), depth=1)
