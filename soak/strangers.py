"""Impolite clients, called strangers: they never read answers, and they use up all descriptors.

Place: soak.faults → HERE → sockets of the service.
Rules: each is bounded in number and time, and leaves nothing open. Its events may be accepted or not: it reads no
answer, so they are in ``sent`` without one.
Not here: polite clients (soak.clients), when which stranger comes (soak.faults).
"""

from __future__ import annotations

import asyncio
import random
import socket
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import orjson

from soak.clients import KEYED, Sent

FIRST: Final = 100_000  # The numbers of strangers begin here, above those of polite clients.
HANGS_UP: Final = 20  # The connections of one visit.
PIPELINED: Final = 3
REFUSED_EVENTS: Final = 5_000  # Requests of one visit. Each answer is longer than its request: some 4 MB in all.
IDLE_CONNECTIONS: Final = 700  # More than the service has descriptors (soak.service).
CONNECT_S: Final = 2.0
RESET: Final = struct.pack("ii", 1, 0)  # SO_LINGER: close with a reset.


class Strangers:
    """Plays all strangers. ``sent`` lists the events that may have been accepted."""

    def __init__(self, seed: int, address: Callable[[], tuple[str, int]]) -> None:
        self._chance = random.Random(f"{seed}/strangers")
        self._address = address
        self._visits = 0
        self.sent: list[Sent] = []

    async def hang_up(self) -> str:
        """Pipeline requests, and close without reading an answer."""
        for _ in range(HANGS_UP):
            requests = b"".join(self._request(self._event(is_hasty=True), b"?hasty=true") for _ in range(PIPELINED))
            await self._say(requests)
        return f"{HANGS_UP} of {PIPELINED} requests each"

    async def expect(self) -> str:
        """Ask for a 100 and send the body at once, then close: the answers meet a closed socket."""
        for _ in range(HANGS_UP):
            request = self._request(self._event(is_hasty=False), b"", b"Expect: 100-continue\r\n")
            await self._say(request + request[:-10])
        return f"{HANGS_UP} times"

    async def leave_refusals(self) -> str:
        """Cause large refusals, and read nothing of them."""
        body = b"[" + b",".join([b"{}"] * REFUSED_EVENTS) + b"]"
        head = b"POST /v1/events HTTP/1.1\r\nHost: soak\r\nContent-Length: %d\r\n\r\n" % len(body)
        for _ in range(3):
            await self._say(head + body, stays_s=self._chance.uniform(0.1, 0.5))
        return f"3 of {REFUSED_EVENTS} events each"

    async def use_up_descriptors(self, seconds: float) -> str:
        """Open idle connections until no more can be opened."""
        held: list[socket.socket] = []
        try:
            until = time.monotonic() + seconds
            while time.monotonic() < until:
                if len(held) < IDLE_CONNECTIONS and (one := await self._connect()) is not None:
                    held.append(one)
                else:
                    await asyncio.sleep(0.1)
        finally:
            for one in held:
                one.close()
        return f"{len(held)} idle connections, {seconds:.0f} s"

    async def _connect(self) -> socket.socket | None:
        one = socket.socket()
        one.setblocking(False)
        try:
            async with asyncio.timeout(CONNECT_S):
                await asyncio.get_running_loop().sock_connect(one, self._address())
        except (OSError, TimeoutError):
            one.close()
            return None
        return one

    async def _say(self, what: bytes, stays_s: float = 0.0) -> None:
        """Send bytes on a new connection, and then close or reset it."""
        one = await self._connect()
        if one is None:
            return
        with one, suppress(OSError, TimeoutError):
            async with asyncio.timeout(CONNECT_S):
                await asyncio.get_running_loop().sock_sendall(one, what)
            await asyncio.sleep(stays_s)
            if self._chance.random() < 0.5:
                one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)

    def _event(self, *, is_hasty: bool) -> Sent:
        client, self._visits = FIRST + self._visits, self._visits + 1
        event = {
            "$schema": "/shop/order/1.0.0",
            "meta": {"stream": KEYED, "request_id": f"{client}/0"},
            "order_id": f"stranger-{client}",
            "total": 0,
        }
        one = Sent(client, 0, is_hasty, event, time.time())
        self.sent.append(one)
        return one

    @staticmethod
    def _request(one: Sent, query: bytes, header: bytes = b"") -> bytes:
        body = orjson.dumps(one.event)
        head = b"POST /v1/events%s HTTP/1.1\r\nHost: soak\r\n%sContent-Length: %d\r\n\r\n"
        return head % (query, header, len(body)) + body
