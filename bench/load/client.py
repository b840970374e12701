"""A load client: keep-alive connections that each send a request, wait for its answer, and send the next.

Place: `python -m bench.load.client`, a process of its own, on a core of its own where there are two.
Rule: requests are built before the first is sent; bounded in number and time; every answer is counted by its status.
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

from bench.events import Workload, workload

REQUESTS = 64  # Different ones, per client. A batch of 100 makes 3 MB of them.
LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)", re.IGNORECASE)


def requests(work: Workload, target: str, batch: int) -> list[bytes]:
    """Whole requests, head and body."""
    built = []
    fixed = f"POST {target} HTTP/1.1\r\nHost: bench.example\r\nUser-Agent: bench/1\r\nContent-Type: application/json"
    for number in range(REQUESTS):
        body = work.body(batch, number * batch)
        built.append(f"{fixed}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
    return built


class Run:
    """What all connections share: what to send, when to stop, what came back."""

    def __init__(self, built: list[bytes], max_requests: int, deadline: float) -> None:
        self.built = built
        self.left = max_requests
        self.deadline = deadline
        self.next = 0
        self.statuses: Counter[str] = Counter()
        self.broken = 0
        self.busy = 0
        self.done = asyncio.get_running_loop().create_future()

    def take(self) -> bytes | None:
        """The next request, or None when it is over."""
        if self.left <= 0 or time.monotonic() >= self.deadline:
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
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        """A connection that ends while it waits is a request without an answer."""
        self._run.broken += self._is_waiting
        self._run.leave()


async def load(options: argparse.Namespace) -> dict[str, object]:
    """Send, and say what came back."""
    built = requests(workload(options.workload), options.target, options.batch)
    loop = asyncio.get_running_loop()
    began = time.monotonic()
    run = Run(built, options.max_requests, began + options.seconds)
    run.busy = options.connections
    connects = (
        loop.create_connection(lambda: Connection(run), "127.0.0.1", options.port) for _ in range(options.connections)
    )
    await asyncio.gather(*connects)
    await asyncio.wait_for(run.done, options.seconds + 10)
    return {"statuses": dict(run.statuses), "broken": run.broken, "seconds": time.monotonic() - began}


def main() -> None:
    """Print one line of JSON."""
    parser = argparse.ArgumentParser(prog="python -m bench.load.client", description=__doc__.partition("\n")[0])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--target", default="/v1/events?hasty=true")
    parser.add_argument("--workload", default="example")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--max-requests", type=int, default=2_000_000)
    json.dump(uvloop.run(load(parser.parse_args())), sys.stdout)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
