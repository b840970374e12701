"""Send requests at a steady rate over kept connections, and time each from the instant at which it was due.

Place: catalog, reload → HERE.
Rules: an open loop: a request is due at its instant, whether those before it are answered or not, and its time counts
from then; so a server that stalls is seen. A kept connection that the server closed before a request reached it is
opened again and the request sent again, as HTTP clients do; that is counted, not a failure. All else is.
Not here: what is sent.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable

ANSWER_S = 10.0

Answer = tuple[int, bytes]  # Status and body.
Look = Callable[[int, Answer], str | None]  # Number and answer of a request; what is wrong with it, or None.


class Steady:
    """``connections`` send ``per_s`` requests together. ``request(n)`` gives the bytes of the n-th."""

    def __init__(
        self, port: int, per_s: float, request: Callable[[int], bytes], look: Look, connections: int = 64
    ) -> None:
        self._port = port
        self._per_s = per_s
        self._request = request
        self._look = look
        self._connections = connections
        self._next = 0
        self._is_over = False
        self.times_s: list[float] = []
        self.wrong: Counter[str] = Counter()
        self.repeated = 0

    async def run(self, seconds: float) -> None:
        """For so long, or until ``stop``; may be run again, and counts on."""
        self._is_over = False
        now = time.monotonic()
        began = now - self._next / self._per_s
        await asyncio.gather(*(self._client(began, now + seconds) for _ in range(self._connections)))

    def stop(self) -> None:
        """No request is due after this."""
        self._is_over = True

    def percentile_ms(self, share: float) -> float:
        """Of the times of all answered requests."""
        ordered = sorted(self.times_s)
        return round(ordered[min(int(len(ordered) * share), len(ordered) - 1)] * 1000, 2) if ordered else 0.0

    async def _client(self, began: float, end: float) -> None:
        pair: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        while not self._is_over:
            number = self._next
            self._next += 1
            due = began + number / self._per_s
            if due >= end:
                self._next -= 1
                break
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            try:
                async with asyncio.timeout(ANSWER_S):
                    pair, answer = await self._send(pair, self._request(number))
            except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
                self.wrong[type(error).__name__] += 1
                if pair is not None:
                    pair[1].close()
                pair = None
                continue
            self.times_s.append(time.monotonic() - due)
            what = self._look(number, answer)
            if what is not None:
                self.wrong[what] += 1
        if pair is not None:
            pair[1].close()

    async def _send(
        self, pair: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None, request: bytes
    ) -> tuple[tuple[asyncio.StreamReader, asyncio.StreamWriter] | None, Answer]:
        if pair is not None:
            try:
                return await self._talk(pair, request)
            except (ConnectionError, asyncio.IncompleteReadError) as error:
                pair[1].close()
                if isinstance(error, asyncio.IncompleteReadError) and error.partial:
                    raise
                self.repeated += 1
        return await self._talk(await asyncio.open_connection("127.0.0.1", self._port), request)

    async def _talk(
        self, pair: tuple[asyncio.StreamReader, asyncio.StreamWriter], request: bytes
    ) -> tuple[tuple[asyncio.StreamReader, asyncio.StreamWriter] | None, Answer]:
        reader, writer = pair
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = head.partition(b"content-length:")[2].partition(b"\r\n")[0]
        body = await reader.readexactly(int(length or b"0"))
        if b"\r\nconnection: close\r\n" in head:
            writer.close()
            return None, (int(head.split()[1]), body)
        return pair, (int(head.split()[1]), body)


def post(body: bytes) -> bytes:
    """A guaranteed request."""
    head = b"POST /v1/events HTTP/1.1\r\nHost: bench.example\r\nContent-Type: application/json\r\n"
    return head + b"Content-Length: %d\r\n\r\n" % len(body) + body


def get(target: str) -> bytes:
    """A read."""
    return f"GET {target} HTTP/1.1\r\nHost: bench.example\r\n\r\n".encode()
