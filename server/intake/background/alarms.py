"""Send an event for each expectation that events have failed in the last minute, to a stream of ours.

Place: the beat of a worker → HERE → intake.pipeline → sink; it reads the counts of all workers of the host.
Rules: one event per stream, expectation and minute of the clock, from one worker of the host. Every worker notes the
counts at the end of each minute, so that another one can go on; the minute in which the first one ends may be left out
or told in part. The event holds counts and names, and no part of an event. Alarm events are judged by no expectation.
Not here: what is counted (intake.background.expectations), alerts of Prometheus (deploy).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import msgspec

from server.auth.grant import OURS
from server.intake.arrival import Arrival, Clock
from server.intake.background.counts import EXPECT, JUDGED, WORSE, CheckName, parsed
from server.log import Limited

if TYPE_CHECKING:
    from server.config.settings import Config
    from server.intake.event import Event
    from server.intake.pipeline import Pipeline

MINUTE_S: Final = 60
MOST_EVENTS: Final = 200  # In a minute: a bad release may break an expectation of every stream.

_limited = Limited(logging.getLogger("intake"))

Totals = Callable[[], Mapping[str, list[int]]]


class ExpectationAlarms:
    """The alarms of one worker. ``totals`` returns the lines of all workers; ``is_first`` says whether this worker
    sends for all; ``wall_s`` is the clock, in seconds since 1970."""

    def __init__(
        self,
        config: Config,
        pipeline: Pipeline,
        submit: Callable[[Event], str | None],
        totals: Totals,
        is_first: Callable[[], bool],
        wall_s: Callable[[], float] = time.time,
    ) -> None:
        self._stream = config.intake.alarm_stream
        self._schema_uri = config.intake.alarm_schema_uri
        self._emitter = config.service_name or "penstock"
        self._pipeline = pipeline
        self._submit = submit
        self._totals = totals
        self._is_first = is_first
        self._wall_s = wall_s
        self._clock = Clock()
        self._minute = self._now()
        self._before = self._counted() if self._stream else {}

    def look(self) -> None:
        """At the end of a minute, tell of it. Called on the beat."""
        until = self._now()
        if not self._stream or until == self._minute:
            return
        since, self._minute = self._minute, until
        if until < since:
            return  # The clock was set back.
        before, self._before = self._before, self._counted()
        if self._is_first():
            self._tell(before, self._before, since, until)

    def _now(self) -> int:
        return int(self._wall_s() // MINUTE_S)

    def _counted(self) -> dict[CheckName, tuple[int, int]]:
        """Return the numbers of judged and failed events, by expectation."""
        named = ((parsed(line), numbers) for line, numbers in self._totals().items())
        return {
            name: (numbers[JUDGED], numbers[WORSE])
            for name, numbers in named
            if name is not None and name.kind == EXPECT and name.rule
        }

    def _tell(
        self,
        before: Mapping[CheckName, tuple[int, int]],
        now: Mapping[CheckName, tuple[int, int]],
        since: int,
        until: int,
    ) -> None:
        grown = [(name, before.get(name, (0, 0)), numbers) for name, numbers in now.items()]
        failing = [(name, old, new) for name, old, new in grown if new[1] > old[1]]
        if len(failing) > MOST_EVENTS:
            _limited.warning("many", "%d expectations fail, and alarms tell of %d", len(failing), MOST_EVENTS)
        for name, old, new in failing[:MOST_EVENTS]:
            self._send(self._describe(name, new[0] - old[0], new[1] - old[1], since, until))

    def _send(self, raw: bytes) -> None:
        arrival = Arrival(*self._clock.now(), {})
        arrival.grants = OURS
        event = self._pipeline.prepare(0, raw, arrival)
        why = event.verdict.text if event.verdict is not None else self._submit(event)
        if why is not None:
            _limited.warning("alarm", "an alarm of an expectation was not sent: %s", why)

    def _describe(self, name: CheckName, judged: int, failed: int, since: int, until: int) -> bytes:
        return msgspec.json.encode(
            {
                "$schema": self._schema_uri,
                "meta": {"stream": self._stream},
                "emitter_id": self._emitter,
                "stream": name.stream,
                "expectation": name.rule,
                "judged": judged,
                "failed": failed,
                "since": _text(since),
                "until": _text(until),
            }
        )


def _text(minute: int) -> str:
    return datetime.fromtimestamp(minute * MINUTE_S, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
