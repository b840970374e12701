"""Watch the deadlines of all connections of a worker with one timer.

Place: http.server's tick → HERE → ``on_deadline`` of connections.
Rules: a connection has a deadline, an instant that it may move at the cost of one attribute. It sits in the bucket of
the instant of its next visit, and is visited every ``visit_s`` at least: as no limit is shorter, no deadline is missed.
``on_deadline`` is never called early, and two ticks late at most. The wheel's clock stops while the loop is blocked, so
that clients do not pay for a stall of ours.
Not here: the meaning of a deadline (http.protocol), the limits (config.settings).
"""

# hot path

from __future__ import annotations

from typing import Final, Protocol

TICK_S: Final = 0.25
MAX_STEP_S: Final = 1.0  # A turn of the loop that took longer counts as this much.
MAX_VISIT_S: Final = 64.0


class Timed(Protocol):
    """An entry of the wheel."""

    deadline: float
    bucket: set[Timed] | None

    def on_deadline(self) -> None:
        """Move the deadline, which has passed, or close."""


class Carried(Timed, Protocol):
    """A connection of a worker in any of its protocols: PROXY header, requests, or a stream that took it over."""

    def drain(self, deadline: float) -> None:
        """Close by ``deadline``, on the wheel's clock, unless something is under way."""

    def is_owed(self) -> bool:
        """Whether the client still waits for something that was promised."""

    def abort(self) -> bool:
        """Close now. Returns whether that cuts something short."""


class Wheel:
    """Hashed timer wheel (Varghese and Lauck 1987), lazy as in Kafka's purgatory: moving a deadline moves nothing."""

    __slots__ = ("_at", "_buckets", "_last_s", "_visit_ticks", "now")

    def __init__(self, loop_s: float, visit_s: float) -> None:
        self.now = 0.0
        self._last_s = loop_s
        self._visit_ticks = max(1, int(min(visit_s, MAX_VISIT_S) / TICK_S))
        self._buckets: list[set[Timed]] = [set() for _ in range(self._visit_ticks + 1)]
        self._at = 0

    def after(self, delay_s: float) -> float:
        """Return the instant ``delay_s`` from now, and a tick more, since ``now`` may be a tick old."""
        return self.now + delay_s + TICK_S

    def add(self, entry: Timed) -> None:
        """Watch ``entry`` from now on, or again after its deadline was moved nearer than any limit."""
        if entry.bucket is not None:
            entry.bucket.discard(entry)
        ticks = int((entry.deadline - self.now) / TICK_S) + 1
        ticks = min(max(ticks, 1), self._visit_ticks)
        bucket = self._buckets[(self._at + ticks) % len(self._buckets)]
        entry.bucket = bucket
        bucket.add(entry)

    def remove(self, entry: Timed) -> None:
        """Stop watching ``entry``."""
        if entry.bucket is not None:
            entry.bucket.discard(entry)
            entry.bucket = None

    def turn(self, loop_s: float) -> None:
        """Advance the clock to ``loop_s`` and call ``on_deadline`` of every entry whose deadline has passed."""
        elapsed_s = min(loop_s - self._last_s, MAX_STEP_S)
        self._last_s = loop_s
        before = int(self.now / TICK_S)
        self.now += elapsed_s
        for _ in range(int(self.now / TICK_S) - before):
            self._at = (self._at + 1) % len(self._buckets)
            self._visit(self._buckets[self._at])

    def _visit(self, bucket: set[Timed]) -> None:
        for entry in list(bucket):
            if entry.bucket is not bucket:
                continue  # The on_deadline of an earlier entry has closed it.
            if entry.deadline <= self.now:
                entry.on_deadline()
            if entry.bucket is bucket:
                self.add(entry)
