"""The keyed loads of a way back: orders of a set of keys, guaranteed events of new keys, and chains of one key each.

Place: recovery → HERE → steady.
Rule: each event carries its number as ``meta.request_id``, by which it is found in the log of the brokers.
Not here: the outage, and the verdict (recovery).
"""

from __future__ import annotations

import json
import time
from typing import Final

from bench.steady import Answer, Steady

NEW_PER_S: Final = 20.0
CHAIN_PER_S: Final = 4.0
CHAINED: Final = 2_000_000_000  # Numbers of their events, CHAIN_SIZE for each.
CHAIN_SIZE: Final = 10_000_000
TOPIC: Final = "shop.order"


class Orders(Steady):
    """Events of a limited set of keys, ``batch`` per request; one request in ten is guaranteed. ``promised`` are the
    numbers of those that were answered 201 or 202; ``refused_at`` is when one was last not answered 201 that is
    guaranteed."""

    def __init__(self, port: int, per_s: float, keys: int, batch: int, first: int = 0) -> None:
        super().__init__(port, per_s / batch, self._make, self._hear, 128)
        self._keys = keys
        self._batch = batch
        self._first = first
        self.promised: set[int] = set()
        self.refused: set[int] = set()
        self.refused_at = 0.0

    def _make(self, number: int) -> bytes:
        first = self._first + number * self._batch
        return request(
            [(one % self._keys, one) for one in range(first, first + self._batch)], is_hasty=number % 10 != 0
        )

    def _hear(self, number: int, answer: Answer) -> None:
        first = self._first + number * self._batch
        numbers = range(first, first + self._batch)
        if answer[0] in (201, 202):
            self.promised.update(numbers)
        elif answer[0] >= 400:
            self.refused.update(numbers)
        if number % 10 == 0 and answer[0] != 201:
            self.refused_at = time.monotonic()


class NewKeys(Steady):
    """Guaranteed events whose keys were never seen; ``refused_at`` as above."""

    FIRST: Final = 1_000_000_000

    def __init__(self, port: int) -> None:
        super().__init__(port, NEW_PER_S, self._make, self._hear, 128)
        self.refused_at = 0.0
        self.others: list[tuple[float, int]] = []  # When answers other than 201 came, and their status.

    def _make(self, number: int) -> bytes:
        return request([(self.FIRST + number, self.FIRST + number)], is_hasty=False)

    def _hear(self, _number: int, answer: Answer) -> None:
        if answer[0] != 201:
            self.refused_at = time.monotonic()
            self.others.append((self.refused_at, answer[0]))


class Chain(Steady):
    """Events of one key over one connection, each sent after the answer to the one before; half of them hasty."""

    def __init__(self, port: int, place: int) -> None:
        super().__init__(port, CHAIN_PER_S, self._make, self._hear, 1)
        self._key = -1 - place
        self._first = CHAINED + place * CHAIN_SIZE
        self.promised: set[int] = set()

    def _make(self, number: int) -> bytes:
        return request([(self._key, self._first + number)], is_hasty=number % 2 == 1)

    def _hear(self, number: int, answer: Answer) -> None:
        if answer[0] in (201, 202):
            self.promised.add(self._first + number)


def request(orders: list[tuple[int, int]], *, is_hasty: bool) -> bytes:
    """Events with these keys and numbers."""
    events = [
        {
            "$schema": "/shop/order/1.0.0",
            "meta": {"stream": TOPIC, "request_id": str(number)},
            "order_id": f"key-{key}",
            "total": number,
        }
        for key, number in orders
    ]
    body = json.dumps(events).encode()
    path = b"/v1/events?hasty=true" if is_hasty else b"/v1/events"
    head = b"POST %b HTTP/1.1\r\nHost: bench.example\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    return head % (path, len(body)) + body
