"""A load client: connections that each send a request, wait for its answer, and send the next.

Place: `python -m bench.load.client`, a process of its own, on a core of its own where there are two.
Rules: requests are built before the first is sent; bounded in number and time; every answer is counted by its status.
Connections are kept, but those of beacons: each has one request, and the client closes it.
Not here: latency. A closed loop hides it: a slow server is asked less. That needs an open loop.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import sys
import time
from collections import Counter
from typing import cast

import uvloop

from bench.works import WORKS, Work

LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)", re.IGNORECASE)


class Run:
    """What all connections share: what to send, when to stop, what came back."""

    def __init__(self, work: Work, port: int, max_requests: int, deadline: float) -> None:
        self.built = work.requests()
        self.is_kept = work.form != "beacon"
        self.left = max_requests
        self._port = port
        self.deadline = deadline
        self.next = 0
        self.statuses: Counter[str] = Counter()
        self.broken = 0
        self.busy = 0
        self.connecting: set[asyncio.Task[None]] = set()
        self.loop = asyncio.get_running_loop()
        self.done = self.loop.create_future()

    async def connect(self) -> None:
        """Open one connection, which begins at once."""
        await self.loop.create_connection(lambda: Connection(self), "127.0.0.1", self._port)

    def again(self) -> None:
        """Another connection instead of one that has had its answer."""
        connecting = self.loop.create_task(self.connect())
        self.connecting.add(connecting)
        connecting.add_done_callback(self.on_connected)

    def on_connected(self, connecting: asyncio.Task[None]) -> None:
        """A refused connection is a request without an answer."""
        self.connecting.discard(connecting)
        if connecting.exception() is not None:
            self.broken += 1
            self.leave()

    def is_late(self) -> bool:
        """Whether no more requests are to be sent."""
        return self.left <= 0 or time.monotonic() >= self.deadline

    def take(self) -> bytes | None:
        """The next request, or None when it is over."""
        if self.is_late():
            return None
        self.left -= 1
        self.next = (self.next + 1) % len(self.built)
        return self.built[self.next]

    def leave(self) -> None:
        """One connection has ended."""
        self.busy -= 1
        if self.busy == 0 and not self.done.done():
            self.done.set_result(None)


class Connection(asyncio.Protocol):
    """One request at a time."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._held = b""
        self._is_waiting = False
        self._is_over = False
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own is no subclass of it
        self._send()

    def _send(self) -> None:
        request = self._run.take()
        self._is_waiting = request is not None
        if request is None:
            self._transport.close()
        else:
            self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Count an answer when the whole of it is there."""
        answer = self._held + data if self._held else data
        head_bytes = answer.find(b"\r\n\r\n") + 4
        length = LENGTH.search(answer, 0, head_bytes)
        if head_bytes == 3 or len(answer) < head_bytes + (int(length[1]) if length else 0):
            self._held = answer
            return
        self._held = b""
        self._run.statuses[answer[9:12].decode()] += 1
        if self._run.is_kept:
            self._send()
        else:
            self._is_waiting, self._is_over = False, True
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """A connection that ends while it waits is a request without an answer."""
        self._run.broken += self._is_waiting
        if self._is_over and not self._run.is_late():
            self._run.again()
        else:
            self._run.leave()


async def load(options: argparse.Namespace) -> dict[str, object]:
    """Send, and say what came back."""
    work = WORKS[options.work]
    run = Run(work, options.port, options.max_requests, 0.0)
    began = time.monotonic()
    run.deadline = began + options.seconds
    run.busy = options.connections or work.connections
    await asyncio.gather(*(run.connect() for _ in range(run.busy)))
    await asyncio.wait_for(run.done, options.seconds + 10)
    return {"statuses": dict(run.statuses), "broken": run.broken, "seconds": time.monotonic() - began}


def main() -> None:
    """Print one line of JSON."""
    parser = argparse.ArgumentParser(prog="python -m bench.load.client", description=__doc__.partition("\n")[0])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--work", choices=WORKS, default="example")
    parser.add_argument("--connections", type=int, default=0, help="instead of the work's own")
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--max-requests", type=int, default=2_000_000)
    json.dump(uvloop.run(load(parser.parse_args())), sys.stdout)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
