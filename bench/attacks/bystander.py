"""`python -m bench.attacks.bystander PORT`: an honest client during an attack, and its latency.

Place: measured starts one for the whole table: ``go`` on standard input begins a span, ``stop`` ends it, and a line of
JSON tells of it.
Rules: three kinds of requests, each on connections of its own, are timed apart: single events, batches of BATCH, and
the same compressed. Each connection has one request out. Single ones are PER_S in all, as long as answers come in time:
well below what the server can do, because a server's cost of a request depends on how many come, and the attacker's own
work takes from what a client without a pace could send. Their answers 2xx are counted as throughput.
Not here: how much CPU the server had for it (measured).
"""

from __future__ import annotations

import asyncio
import gzip
import json
import sys
import time
from collections import Counter
from itertools import cycle, islice
from typing import Any, cast

import uvloop

from bench.attacks.wire import post
from bench.events import workload
from bench.works import WORKS

CONNECTIONS = 4
PER_S = 2_000
EVERY_S = CONNECTIONS / PER_S
BATCH = 50
BATCH_EVERY_S = 0.02
SINGLE, BATCHES, PACKED = KINDS = ("single", "batch", "gzip")
SOURCE = "127.0.0.2"  # Not the attackers' address.


class Span:
    """One ``go`` to ``stop``."""

    def __init__(self, built: dict[str, list[bytes]], port: int) -> None:
        self.built = built
        self._port = port
        self._connecting: set[asyncio.Task[Any]] = set()
        self.times_s: dict[str, list[float]] = {kind: [] for kind in built}
        self.statuses: Counter[str] = Counter()
        self.is_on = True
        self.busy = 0
        self.next = 0
        self.began = time.monotonic()
        self.done = asyncio.get_running_loop().create_future()

    def connect(self, kind: str) -> None:
        """One more connection."""
        loop = asyncio.get_running_loop()
        coming = loop.create_connection(lambda: Connection(self, kind), "127.0.0.1", self._port, local_addr=(SOURCE, 0))
        task = loop.create_task(coming)
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    def told(self) -> dict[str, Any]:
        """Requests that were answered 2xx, their times, and what else came."""
        ordered = {kind: sorted(times_s) or [0.0] for kind, times_s in self.times_s.items()}
        return {
            "seconds": time.monotonic() - self.began,
            "answered": sum(count for status, count in self.statuses.items() if status[:1] == "2"),
            "others": {status: count for status, count in self.statuses.items() if status[:1] != "2"},
            "p99_ms": {kind: round(times[len(times) * 99 // 100] * 1000, 2) for kind, times in ordered.items()},
            "worst_ms": round(ordered[SINGLE][-1] * 1000, 2),
        }


class Connection(asyncio.Protocol):
    """One request at a time; every answer to these is a head without a body."""

    def __init__(self, span: Span, kind: str) -> None:
        self._span = span
        self._kind = kind
        self._every_s = EVERY_S if kind == SINGLE else BATCH_EVERY_S
        self._sent_at = 0.0
        self._due = 0.0
        self._held = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast(asyncio.Transport, transport)
        self._span.busy += 1
        self._send()

    def _send(self) -> None:
        span = self._span
        if self._transport.is_closing():
            return
        if not span.is_on:
            self._sent_at = 0.0
            self._transport.close()
            return
        built = span.built[self._kind]
        span.next = (span.next + 1) % len(built)
        self._sent_at = time.monotonic()
        self._due = max(self._due + self._every_s, self._sent_at)  # Who was late does not make up for it.
        self._transport.write(built[span.next])

    def data_received(self, data: bytes) -> None:
        """Note an answer when its head is whole. One with a body is a failure, and the connection is left."""
        self._held += data
        if b"\r\n\r\n" not in self._held:
            return
        span = self._span
        span.times_s[self._kind].append(time.monotonic() - self._sent_at)
        status = self._held[9:12].decode()
        if self._kind == SINGLE or status[:1] != "2":
            span.statuses[status] += 1
        self._held = b""
        self._sent_at = 0.0
        if status == "202":
            asyncio.get_running_loop().call_later(max(0.0, self._due - time.monotonic()), self._send)
        else:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Come back, as an honest client does, unless it is over."""
        span = self._span
        span.statuses["broken"] += self._sent_at > 0
        span.busy -= 1
        if span.is_on:
            asyncio.get_running_loop().call_later(0.05, span.connect, self._kind)
        elif not span.busy and not span.done.done():
            span.done.set_result(None)


def _batches() -> dict[str, list[bytes]]:
    """One request of each other kind."""
    body = b"[" + b",".join(islice(cycle(workload("example").events), BATCH)) + b"]"
    path = "/v1/events?hasty=true"
    packed = post(gzip.compress(body), b"Content-Encoding: gzip", target=path)
    return {BATCHES: [post(body, target=path)], PACKED: [packed]}


async def main() -> None:
    """Until standard input ends."""
    port = int(sys.argv[1])
    built = {SINGLE: WORKS["example"].requests(), **_batches()}
    loop = asyncio.get_running_loop()
    lines = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while (await lines.readline()).strip() == b"go":
        span = Span(built, port)
        for kind in (*[SINGLE] * CONNECTIONS, BATCHES, PACKED):
            span.connect(kind)
        await lines.readline()
        span.is_on = False
        await asyncio.wait([span.done], timeout=20)
        print(json.dumps(span.told()), flush=True)


if __name__ == "__main__":
    uvloop.run(main())
