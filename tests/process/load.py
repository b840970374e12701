"""A load of keep-alive connections over raw HTTP, which writes down what became of every request.

Half of the requests are guaranteed, half hasty, some are batches; each event has a number that occurs once, so that a
sink can be asked for it. A connection lives until the server says ``Connection: close`` or it breaks, then the next one
is opened. Bounded in time, in connections and in rate; nothing is retried.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import time
from dataclasses import dataclass, field

STREAM = "app.tick.load"
ANSWER_S = 30.0  # Longer than any reload or replacement takes: whoever waits this long was left hanging.


@dataclass(slots=True)
class Outcome:
    """One request. ``end`` is ``answered``, ``refused``, ``reset``, ``eof`` or ``hanging``; times are monotonic.

    ``opened_at`` is when the connection was asked for: a worker may have accepted it before the client knows.
    """

    numbers: range
    is_hasty: bool
    opened_at: float
    end: str = ""
    status: int = 0
    ended_at: float = 0.0

    def is_accepted(self) -> bool:
        return self.end == "answered" and self.status in (201, 202)


@dataclass
class Load:
    """``await run()``; then ``outcomes`` has a line for each request. ``stop()`` ends it early."""

    address: tuple[str, int]
    for_s: float
    connections: int = 64
    pause_s: float = 0.01
    seed: int = 1
    outcomes: list[Outcome] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._numbers = itertools.count()
        self._end_at = float("inf")

    async def run(self) -> list[Outcome]:
        """Until the time is over. Requests that are under way then are still waited for."""
        self._end_at = min(self._end_at, time.monotonic() + self.for_s)
        clients = (self._client(random.Random(self.seed + index)) for index in range(self.connections))
        await asyncio.gather(*clients)
        return self.outcomes

    def stop(self) -> None:
        """No request begins after this."""
        self._end_at = 0.0

    async def _client(self, chance: random.Random) -> None:
        while time.monotonic() < self._end_at:
            first = self._next(chance)
            try:
                async with asyncio.timeout(ANSWER_S):
                    reader, writer = await asyncio.open_connection(*self.address)
            except (ConnectionError, TimeoutError) as error:
                _end(first, error)
                await asyncio.sleep(0.05)  # A service that is gone would otherwise be asked thousands of times.
                continue
            try:
                await self._talk(reader, writer, first, chance)
            finally:
                writer.close()

    async def _talk(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, outcome: Outcome, chance: random.Random
    ) -> None:
        """Requests on one connection, until either side wants no more of it."""
        opened_at = outcome.opened_at
        while True:
            try:
                async with asyncio.timeout(ANSWER_S):
                    writer.write(_request(outcome))
                    outcome.status, is_last = await _response(reader)
            except (ConnectionError, TimeoutError, asyncio.IncompleteReadError) as error:
                _end(outcome, error)
                return
            _end(outcome)
            await asyncio.sleep(chance.uniform(0, 2 * self.pause_s))
            if is_last or time.monotonic() >= self._end_at:
                return
            outcome = self._next(chance)
            outcome.opened_at = opened_at

    def _next(self, chance: random.Random) -> Outcome:
        events = 5 if chance.random() < 0.1 else 1
        first = next(self._numbers)
        for _ in range(events - 1):
            next(self._numbers)  # No await in between: the numbers follow one another.
        outcome = Outcome(range(first, first + events), chance.random() < 0.5, time.monotonic())
        self.outcomes.append(outcome)
        return outcome


def _request(outcome: Outcome) -> bytes:
    events = [
        {"$schema": "/app/tick/1.0.0", "meta": {"stream": STREAM, "dt": "2026-01-02T03:04:05.678Z"}, "count": number}
        for number in outcome.numbers
    ]
    body = json.dumps(events[0] if len(events) == 1 else events).encode()
    query = b"?hasty=true" if outcome.is_hasty else b""
    head = b"POST /v1/events%s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    return head % (query, len(body)) + body


async def _response(reader: asyncio.StreamReader) -> tuple[int, bool]:
    """Status, and whether the server wants no more on this connection."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = head.partition(b"content-length:")[2].partition(b"\r\n")[0]
    await reader.readexactly(int(length or b"0"))
    return int(head.split()[1]), b"\r\nconnection: close\r\n" in head


def _end(outcome: Outcome, error: BaseException | None = None) -> None:
    outcome.ended_at = time.monotonic()
    if error is None:
        outcome.end = "answered"
    elif isinstance(error, ConnectionRefusedError):
        outcome.end = "refused"
    elif isinstance(error, TimeoutError):
        outcome.end = "hanging"
    else:
        outcome.end = "eof" if isinstance(error, asyncio.IncompleteReadError) else "reset"
