"""A lane holds what waits for one destination in one way (guaranteed or hasty), and says what is sent next."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Sequence

from penstock_client.batches import body_bytes
from penstock_client.outcomes import Ticket


class Batch:
    """Events that are sent together. ``attempt`` counts from 1. ``request_id`` and ``sent_s`` are of the last attempt;
    ``is_unknown``: it has to be asked what became of that one. ``epoch`` is that of its oldest event."""

    __slots__ = ("asked", "attempt", "is_unknown", "request_id", "sent_s", "tickets")

    def __init__(self, tickets: Sequence[Ticket], attempt: int = 1) -> None:
        self.tickets = list(tickets)
        self.attempt = attempt
        self.request_id = ""
        self.sent_s = 0.0
        self.is_unknown = False
        self.asked = 0


class Lane:
    """``fresh`` events have never been sent, batches ``again`` are next, batches ``later`` have a time."""

    __slots__ = (
        "_number",
        "again",
        "failures",
        "fresh",
        "fresh_bytes",
        "in_flight",
        "is_hasty",
        "later",
        "paused_until_s",
        "server_pause",
        "url",
    )

    def __init__(self, url: str, is_hasty: bool) -> None:
        self.url = url
        self.is_hasty = is_hasty
        self.fresh: deque[Ticket] = deque()
        self.fresh_bytes = 0
        self.again: deque[Batch] = deque()
        self.later: list[tuple[float, int, Batch]] = []
        self.in_flight: Batch | None = None
        self.paused_until_s = 0.0
        self.server_pause = False  # The pause is one that the intake asked for: a flush does not shorten it.
        self.failures = 0
        self._number = 0

    def put_later(self, at_s: float, batch: Batch) -> None:
        """Send a batch at a time, without holding up the others."""
        self._number += 1
        heapq.heappush(self.later, (at_s, self._number, batch))

    def due_s(self, linger_s: float, max_events: int, max_bytes: int) -> float:
        """Return when there is something to send, in the client's monotonic time; infinity: there is nothing."""
        if self.in_flight is not None:
            return float("inf")
        if self.again:
            return self.paused_until_s
        at_s = self.later[0][0] if self.later else float("inf")
        if self.fresh:
            is_full = len(self.fresh) >= max_events or body_bytes(len(self.fresh), self.fresh_bytes) >= max_bytes
            at_s = min(at_s, 0.0 if is_full else self.fresh[0].since_s + linger_s)
        return max(at_s, self.paused_until_s)

    def take(self, now_s: float, max_events: int, max_bytes: int) -> Batch | None:
        """Return what is sent next."""
        if self.again:
            return self.again.popleft()
        if self.later and self.later[0][0] <= now_s:
            return heapq.heappop(self.later)[2]
        if not self.fresh:
            return None
        tickets: list[Ticket] = []
        total = 0
        while self.fresh and len(tickets) < max_events:
            size = len(self.fresh[0].body or b"")
            if tickets and body_bytes(len(tickets) + 1, total + size) > max_bytes:
                break
            tickets.append(self.fresh.popleft())
            total += size
        self.fresh_bytes -= total
        return Batch(tickets)

    def hurry(self, now_s: float) -> None:
        """Bring forward what waits for our own reasons, as a flush asks."""
        if self.paused_until_s > now_s and not self.server_pause:
            self.paused_until_s = now_s
        if self.later and not self.server_pause:
            self.again.extend(batch for _, _, batch in sorted(self.later, key=lambda one: one[:2]))
            self.later.clear()

    def drop_oldest(self) -> Ticket | None:
        """Take out the oldest event that is not under way."""
        places: list[tuple[float, int]] = []
        if self.fresh:
            places.append((self.fresh[0].since_s, 0))
        if self.again:
            places.append((self.again[0].tickets[0].since_s, 1))
        if self.later:
            places.append((self.later[0][2].tickets[0].since_s, 2))
        if not places:
            return None
        place = min(places)[1]
        if place == 0:
            ticket = self.fresh.popleft()
            self.fresh_bytes -= len(ticket.body or b"")
            return ticket
        batch = self.again[0] if place == 1 else self.later[0][2]
        ticket = batch.tickets.pop(0)
        # The request that was sent had this event too: its receipt no longer fits, so the rest is sent again.
        batch.is_unknown = False
        if not batch.tickets:
            if place == 1:
                self.again.popleft()
            else:
                heapq.heappop(self.later)
        return ticket

    def forget(self, batch: Batch) -> None:
        """Take out a batch, wherever it waits."""
        self.in_flight = None if self.in_flight is batch else self.in_flight
        self.again = deque(one for one in self.again if one is not batch)
        self.later = [one for one in self.later if one[2] is not batch]
        heapq.heapify(self.later)

    def tickets(self) -> list[Ticket]:
        """Return all events, those under way too."""
        batches = [*self.again, *(batch for _, _, batch in self.later)]
        batches += [self.in_flight] if self.in_flight is not None else []
        return [*self.fresh, *(ticket for batch in batches for ticket in batch.tickets)]

    def oldest_s(self) -> float:
        """Return since when the oldest event waits; infinity: none does."""
        firsts = [self.fresh[0]] if self.fresh else []
        firsts += [batch.tickets[0] for batch in self.again]
        firsts += [batch.tickets[0] for _, _, batch in self.later]
        if self.in_flight is not None:
            firsts += self.in_flight.tickets[:1]
        return min((ticket.since_s for ticket in firsts), default=float("inf"))
