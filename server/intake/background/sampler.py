"""Choose events for checks in the background, at random.

Place: intake.receive, with the prepared events of a request → HERE → intake.background.checks.
Rules: a request costs a subtraction, and a chosen event one random number: the number of events that are passed over
until the next one is drawn at once, and intake.receive counts it down. Not every tenth is chosen, because senders
repeat themselves. Events that are neither accepted nor refused by their schema are passed over. When more are chosen
than can be judged, fewer are chosen, because a choice costs time that no budget counts.
Not here: the judgement of chosen events, which comes after their request (intake.background.checks).
"""

# hot path

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from server.intake.event import Event


# A busy worker judges about as many; after a burst the events of a quiet one are judged again after 2 / LEAST_SHARE.
LEAST_SHARE: Final = 1 / 128


class Check(Protocol):
    """A check of chosen events. ``rate`` is the share that is chosen, above 0 and up to 1."""

    rate: float

    def judge(self, value: bytes, is_refused: bool) -> Check | None:
        """Judge one event, as it is stored; ``is_refused``: its schema has refused it. Returns a check for the rest of
        a judgement that would take too long without a pause; None: the event is done."""

    def skip(self) -> None:
        """Count an event that was chosen, and could not be judged."""


Put = Callable[[Check, bytes, bool], None]


class Sampler:
    """Hands chosen events to ``put``, for each check of their route. ``rate`` is the highest of all checks, of which
    ``share`` is chosen at present."""

    __slots__ = ("_first", "_put", "rate", "share")

    def __init__(self, put: Put) -> None:
        self._put = put
        self._first = 0  # How many events to pass over before the first.
        self.rate = 0.0
        self.share = 1.0

    def add(self, rate: float) -> None:
        """Choose at least this share of the events from now on."""
        if rate > self.rate:
            self.rate = rate
            self._first = gap(rate)

    def adapt(self, *, is_less: bool) -> None:
        """Choose half as many events, or twice as many, up to ``rate``."""
        self.share = max(self.share / 2, LEAST_SHARE) if is_less else min(1.0, self.share * 2)

    def take(self, events: list[Event], at: int) -> int:
        """Choose the event at this place of a request, before it is sent, and perhaps some behind it. Returns how many
        events of further requests to pass over."""
        at, self._first = at + self._first, 0
        count, rate = len(events), self.rate * self.share
        while at < count:
            self._choose(events[at])
            at += 1 + gap(rate)
        return at - count

    def _choose(self, event: Event) -> None:
        route, verdict = event.route, event.verdict
        if route is None or not route.checks or (verdict is not None and verdict.error_type != "schema_violation"):
            return
        for check in route.checks:
            if check.rate >= self.rate or random.random() * self.rate < check.rate:
                self._put(check, event.value, verdict is not None)


def gap(rate: float) -> int:
    """Return how many events to pass over before the next: as many as if each were chosen with this probability."""
    return 0 if rate >= 1 else int(math.log(1.0 - random.random()) / math.log1p(-rate))
