"""Judge chosen events after their requests, within a share of the worker's time, and count the findings.

Place: intake.router asks for the checks of a route; intake.background.sampler → HERE → the checks of the event.
Rules: no answer waits for a check or depends on one: events wait in a queue, are judged in turns of the loop of their
own, and an exception fails one check. Checks take a bounded share of the time of the worker; an event for which the
queue has no room is skipped and counted, so that load never adds to latency. Without checks nothing is scheduled.
Not here: which events are chosen (intake.background.sampler), their verdicts (shadow, expectations), the share
(budget).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol

from server.intake.background.budget import EVERY_S, Budget
from server.intake.background.counts import EXPECT, JUDGED, SHADOW, TIME, AllCheckCounts, CheckName, Keep
from server.intake.background.expectations import ExpectationCheck
from server.intake.background.sampler import Check, Sampler
from server.intake.background.shadow import ShadowCheck
from server.timing.timers import failed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from server.catalog.stream import Stream
    from server.intake.event import Event
    from server.intake.route import SchemaLookup
    from server.schemas.repository import Expectations, Validator

MOST_WAITING: Final = 1_000
MOST_BYTES: Final = 8 << 20
LATEST: Final = "latest"


Take = Callable[[list["Event"], int], int]


class Versions(Protocol):
    """The signature of schemas.repository.SchemaRepository.versions."""

    def __call__(self, title: str) -> Sequence[str]: ...


class ExpectationLookup(Protocol):
    """Part of schemas.repository.SchemaRepository."""

    def has_expectations(self, validator: Validator) -> bool: ...

    def expectations(self, validator: Validator) -> Expectations: ...


class BackgroundChecks:
    """The checks of one worker. ``on_needed`` is told of the function that chooses from the prepared events of requests
    (Sampler.take); None: there is no route with checks."""

    def __init__(
        self,
        find: SchemaLookup,
        versions: Versions,
        keep: Keep | None = None,
        max_event_bytes: int = 1 << 20,
        budget: Budget | None = None,
        expecting: ExpectationLookup | None = None,
    ) -> None:
        """``keep`` None: no examples are kept. ``expecting`` None: no event is judged by expectations."""
        self._expecting = expecting
        self._find = find
        self._versions = versions
        self._max_event_bytes = max_event_bytes
        self._waiting: deque[tuple[Check, bytes, bool]] = deque()
        self._bytes = 0
        self._is_scheduled = False
        self._was_full = False  # Since the last turn.
        self._budget = budget or Budget()
        self._sampler = Sampler(self._put)
        self.on_needed: Callable[[Take | None], None] = _ignore
        self.counts = AllCheckCounts(keep)

    def of(self, stream: Stream, schema_uri: str, validator: Validator | None) -> tuple[Check, ...]:
        """Return the checks of a route."""
        made = self._shadow(stream, schema_uri), self._expect(stream, schema_uri, validator)
        checks = tuple(check for check in made if check is not None)
        for check in checks:
            self._sampler.add(check.rate)
        if checks:
            self.on_needed(self._sampler.take)
        return checks

    def forget(self) -> None:
        """Forget the checks of all routes, which are made again: the streams are replaced."""
        self._sampler = Sampler(self._put)
        self.on_needed(None)

    def _shadow(self, stream: Stream, schema_uri: str) -> Check | None:
        version, title = stream.shadow_schema, stream.schema_title
        if version is None or title is None or not stream.shadow_rate:
            return None
        known = self._versions(title)
        uri = f"/{title}/{version}" if version != LATEST else known[-1] if known else None
        if uri is None or uri == schema_uri:
            return None  # Its verdict would be the same.
        counts = self.counts.of(CheckName(stream.declared, SHADOW, uri.rpartition("/")[2]))
        return ShadowCheck(uri, stream.shadow_rate, self._find, counts, self._max_event_bytes)

    def _expect(self, stream: Stream, schema_uri: str, validator: Validator | None) -> Check | None:
        lookup = self._expecting
        if lookup is None or validator is None or not stream.expect_rate or not lookup.has_expectations(validator):
            return None
        counts = self.counts.of(CheckName(stream.declared, EXPECT, ""))
        return ExpectationCheck(stream.expect_rate, schema_uri, partial(lookup.expectations, validator), counts)

    def _put(self, check: Check, value: bytes, is_refused: bool) -> None:
        if len(self._waiting) >= MOST_WAITING or self._bytes >= MOST_BYTES:
            check.skip()
            self._was_full = True
            return
        self._waiting.append((check, value, is_refused))
        self._bytes += len(value)
        if not self._is_scheduled:
            self._schedule()

    def _schedule(self) -> None:
        self._is_scheduled = True
        asyncio.get_running_loop().call_later(EVERY_S, self._turn)

    def _turn(self) -> None:
        self._is_scheduled = False
        self.work()
        if self._was_full or not self._waiting:
            self._sampler.adapt(is_less=self._was_full)
        self._was_full = False
        if self._waiting:
            self._schedule()

    def work(self) -> None:
        """Judge waiting events, the oldest first, for as long as the budget allows."""
        budget = self._budget
        budget.begin()
        while self._waiting and budget.has_time():
            self._judge()
        budget.end()
        self.counts.line(TIME)[JUDGED] = int(budget.spent_s * 1e6)

    def _judge(self) -> None:
        check, value, is_refused = self._waiting.popleft()
        self._bytes -= len(value)
        try:
            rest = check.judge(value, is_refused)
            if rest is not None:  # Before the events that came later, so that it ends.
                self._waiting.appendleft((rest, value, is_refused))
                self._bytes += len(value)
        except Exception:  # A bug must fail this check alone.
            check.skip()
            failed("a check in the background")

    def close(self) -> None:
        """Judge no more. Events that wait are counted as skipped."""
        while self._waiting:
            check, value, _ = self._waiting.popleft()
            self._bytes -= len(value)
            check.skip()


def _ignore(_take: Take | None) -> None:
    """No prepared events are chosen, as in commands."""
