"""Compute when to try again, and limit the rate of asks for unknown schemas.

Place: fetch.client, fetch.stream_source, fetch.fetched_schemas → HERE.
Rules: a pause is chosen at random from the upper half of a span that doubles, so that machines which failed at the same
time do not all try again at the same time. A server's Retry-After is obeyed up to ``RETRY_AFTER_MAX_S``. A bucket holds
the tokens that may be spent at once, and fills evenly.
Not here: waiting.
"""

from __future__ import annotations

import random
from collections import OrderedDict

RETRY_AFTER_MAX_S = 300.0  # A server that says "tomorrow" is wrong more often than right.
PAUSE_MAX_S = 30.0
JITTER = 0.1  # The jitter of a refresh: with 60 s, hosts started together spread over 12 s in the first minute.


def pause_s(attempt: int, first_s: float, retry_after_s: float = 0.0) -> float:
    """Return the pause after this attempt; the first attempt is 1."""
    span_s = min(PAUSE_MAX_S, first_s * 2.0 ** (attempt - 1))
    return max(min(retry_after_s, RETRY_AFTER_MAX_S), random.uniform(span_s / 2, span_s))


def refresh_pause_s(every_s: float) -> float:
    """Return the pause between two refreshes."""
    return every_s * random.uniform(1 - JITTER, 1 + JITTER)


class Bucket:
    """A token bucket for fetches: ``per_min`` at once, then as many per minute. Asking is free; a failed fetch takes a
    token, and may leave a debt."""

    __slots__ = ("_at", "_held", "_per_min")

    def __init__(self, per_min: float, now: float) -> None:
        self._per_min = per_min
        self._held = per_min
        self._at = now

    def is_empty(self, now: float) -> bool:
        self._held = min(self._per_min, self._held + (now - self._at) * self._per_min / 60.0)
        self._at = now
        return self._held < 1.0

    def spend(self) -> None:
        """Take one token. The debt is never more than the tokens of one minute."""
        self._held = max(-self._per_min, self._held - 1.0)


class FetchRateLimit:
    """A bucket for all clients together, and one for each of the last ``CLIENTS_MAX`` clients.

    A fetch needs a token to begin, and takes it only if it was in vain: a client that begins with many existing schemas
    at once is served.
    """

    # Some 200 bytes each. A client whose bucket is pushed out gets a full one; the common bucket still limits it.
    CLIENTS_MAX = 10_000

    def __init__(self, per_min: float, per_min_client: float) -> None:
        self._per_min_client = per_min_client
        self._everybody = Bucket(per_min, 0.0)
        self._clients: OrderedDict[str, Bucket] = OrderedDict()

    def used_up(self, client: str, now: float) -> str | None:
        """Return whose limit is used up, this client's or that of all clients; None when neither is."""
        bucket = self._clients.pop(client, None) or Bucket(self._per_min_client, now)
        self._clients[client] = bucket
        if len(self._clients) > self.CLIENTS_MAX:
            self._clients.popitem(last=False)
        if bucket.is_empty(now):
            return "this client"
        return "all clients" if self._everybody.is_empty(now) else None

    def spend(self, client: str) -> None:
        """Charge one ask in vain to the client and to all."""
        self._everybody.spend()
        if client in self._clients:
            self._clients[client].spend()
