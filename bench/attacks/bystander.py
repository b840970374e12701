"""`python -m bench.attacks.bystander PORT`: an honest client beside an attack, and what it notices.

Place: measured starts one for the whole table: ``go`` on standard input begins a span, ``stop`` ends it, and a line of
JSON tells of it.
Rules: CONNECTIONS kept connections, each with one request out, PER_S in all as long as answers come in time: well below
what the server can do, because a server's cost of a request depends on how many come, and the attacker's own work takes
from what a client without a pace could send. Only answers 2xx are counted as throughput.
Not here: how much CPU the server had for it (measured).
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter
from typing import Any, cast

import uvloop

from bench.works import WORKS

CONNECTIONS = 4
PER_S = 2_000
EVERY_S = CONNECTIONS / PER_S
SOURCE = "127.0.0.2"  # Not the attackers' address.


class Span:
    """One ``go`` to ``stop``."""

    def __init__(self, built: list[bytes], port: int) -> None:
        self.built = built
        self._port = port
        self._connecting: set[asyncio.Task[Any]] = set()
        self.times_s: list[float] = []
        self.statuses: Counter[str] = Counter()
        self.is_on = True
        self.busy = 0
        self.next = 0
        self.began = time.monotonic()
        self.done = asyncio.get_running_loop().create_future()

    def connect(self) -> None:
        """One more connection."""
        loop = asyncio.get_running_loop()
        coming = loop.create_connection(lambda: Connection(self), "127.0.0.1", self._port, local_addr=(SOURCE, 0))
        task = loop.create_task(coming)
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    def told(self) -> dict[str, Any]:
        """Requests that were answered 2xx, their times, and what else came."""
        ordered = sorted(self.times_s) or [0.0]
        return {
            "seconds": time.monotonic() - self.began,
            "answered": sum(count for status, count in self.statuses.items() if status[:1] == "2"),
            "others": {status: count for status, count in self.statuses.items() if status[:1] != "2"},
            "p99_ms": round(ordered[len(ordered) * 99 // 100] * 1000, 2),
            "worst_ms": round(ordered[-1] * 1000, 2),
        }


class Connection(asyncio.Protocol):
    """One request at a time; every answer to these is a head without a body."""

    def __init__(self, span: Span) -> None:
        self._span = span
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
        span.next = (span.next + 1) % len(span.built)
        self._sent_at = time.monotonic()
        self._due = max(self._due + EVERY_S, self._sent_at)  # Who was late does not make up for it.
        self._transport.write(span.built[span.next])

    def data_received(self, data: bytes) -> None:
        """Note an answer when its head is whole. One with a body is a failure, and the connection is left."""
        self._held += data
        if b"\r\n\r\n" not in self._held:
            return
        span = self._span
        span.times_s.append(time.monotonic() - self._sent_at)
        status = self._held[9:12].decode()
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
            asyncio.get_running_loop().call_later(0.05, span.connect)
        elif not span.busy and not span.done.done():
            span.done.set_result(None)


async def main() -> None:
    """Until standard input ends."""
    port = int(sys.argv[1])
    built = WORKS["example"].requests()
    loop = asyncio.get_running_loop()
    lines = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while (await lines.readline()).strip() == b"go":
        span = Span(built, port)
        for _ in range(CONNECTIONS):
            span.connect()
        await lines.readline()
        span.is_on = False
        await asyncio.wait([span.done], timeout=20)
        print(json.dumps(span.told()), flush=True)


if __name__ == "__main__":
    uvloop.run(main())
