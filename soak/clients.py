"""Clients that send events with identities, and record the answers.

Place: commands.soak → HERE → the server under test.
Rules: a client has one connection and one key, and sends the next request when it has the answer to the last, so that
its events have an order. Nothing is sent twice, so a lost event stays lost. The actions of a client are drawn from its
seed.
Not here: reading the events back (soak.topic_reader), judging (soak.verdict).
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from typing import Any, Final

import orjson
from msgspec import Struct

ANSWER_S: Final = 25.0
KEYED, KEYLESS = "shop.order", "web.page_view"
TOPICS: Final = [KEYED, KEYLESS]


class Sent(Struct):
    """One event: its sender, its number, and the answer. ``status`` 0: there was no answer. ``worker`` is the process
    that answered; 0 when it was gone before it could be found."""

    client: int
    number: int
    is_hasty: bool
    event: dict[str, Any]
    sent_at: float
    status: int = 0
    durability: str | None = None
    answered_at: float = 0.0
    connection: int = 0
    worker: int = 0


class SoakClient:
    """One client. ``sent`` records all of its events. ``holder`` returns the process that holds the connection from a
    port."""

    def __init__(
        self,
        index: int,
        seed: int,
        address: Callable[[], tuple[str, int]],
        holder: Callable[[int], int],
        pause_s: float,
    ) -> None:
        self._index = index
        self._holder = holder
        self._worker = 0
        self._chance = random.Random(f"{seed}/client/{index}")
        self._address = address
        self._pause_s = pause_s
        self._number = 0
        self._connection = 0
        self.sent: list[Sent] = []
        self.is_stopping = False

    async def run(self) -> None:
        """Send until told to stop; open a new connection when one breaks."""
        while not self.is_stopping:
            try:
                async with asyncio.timeout(ANSWER_S):
                    reader, writer = await asyncio.open_connection(*self._address())
            except (OSError, TimeoutError):
                await asyncio.sleep(0.1)
                continue
            self._connection += 1
            self._worker = 0
            try:
                while await self._exchange(reader, writer) and not self.is_stopping:  # noqa: ASYNC110 - a pause
                    await asyncio.sleep(self._chance.expovariate(1 / self._pause_s))
            except (OSError, TimeoutError, asyncio.IncompleteReadError):
                await asyncio.sleep(0.05)
            finally:
                writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Send one request and read its answer. Returns whether the connection can be used again."""
        batch = self._batch()
        body = orjson.dumps([one.event for one in batch])
        path = b"/v1/events?hasty=true" if batch[0].is_hasty else b"/v1/events"
        head = b"POST %s HTTP/1.1\r\nHost: soak\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        async with asyncio.timeout(ANSWER_S):
            writer.write(head % (path, len(body)) + body)
            answer = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = answer.partition(b"content-length:")[2].partition(b"\r\n")[0]
            said = await reader.readexactly(int(length or b"0"))
        if not self._worker:
            self._worker = self._holder(writer.get_extra_info("sockname")[1])
        self._hear(batch, int(answer.split()[1]), b"x-durability: spool" in answer, said)
        return b"\r\nconnection: close\r\n" not in answer

    def _hear(self, batch: list[Sent], status: int, is_spooled: bool, said: bytes) -> None:
        """Record the answer of each event of a batch; a 207 names those that failed."""
        failed = set()
        if status == 207:
            answer = orjson.loads(said)
            failed = {entry["index"] for kind in ("invalid", "error") for entry in answer.get(kind, [])}
        for index, one in enumerate(batch):
            one.status = status if status != 207 else 503 if index in failed else 201
            one.durability = "spool" if is_spooled else None
            one.answered_at = time.time()
            one.worker = self._worker

    def _batch(self) -> list[Sent]:
        count = self._chance.choice((1, 1, 1, 2, 5, 20))
        is_hasty, is_keyed = self._chance.random() < 0.5, self._chance.random() < 0.7
        batch = []
        for _ in range(count):
            event = self._keyed() if is_keyed else self._keyless()
            one = Sent(self._index, self._number, is_hasty, event, time.time(), connection=self._connection)
            batch.append(one)
            self._number += 1
        self.sent += batch
        return batch

    def _keyed(self) -> dict[str, Any]:
        key = f"client-{self._index}"
        return {
            "$schema": "/shop/order/1.0.0",
            "meta": {"stream": KEYED, "request_id": f"{self._index}/{self._number}"},
            "order_id": key,
            "total": self._number,
        }

    def _keyless(self) -> dict[str, Any]:
        return {
            "$schema": "/web/page_view/1.1.0",
            "meta": {"stream": KEYLESS, "request_id": f"{self._index}/{self._number}"},
            "page": f"/{self._chance.getrandbits(64):x}",
        }
