"""Judge refused events again, and store the good ones with their original time, key and identity, once.

Place: ``penstock recover`` → HERE → intake.pipeline, the sink.
Rules: an event that is stored is never stored again: before the run starts, the sink is asked which events are there,
and within it no key comes twice. Events are stored in the order in which they were refused. After a failure that may
pass no further event is sent, so that none overtakes one of its key; the next run goes on from there.
Not here: which events there are (recovery.candidates), which of them are stored (recovery.stored).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Any, Final

from server.auth.grant import OURS
from server.intake.arrival import Arrival
from server.intake.event import Event
from server.record import Record
from server.recovery.refused import Refused
from server.recovery.report import Report
from server.recovery.stored import HEADER
from server.sink.base import Sink

TICK_S: Final = 0.02
TURN_EVENTS: Final = 200
SETTLE_S: Final = 60.0  # At the end of a run, for the events that were sent.
TRANSIENT: Final = frozenset({"broker_timeout", "queue_full", "batch_too_large", "internal"})

Judge = Callable[[bytes, Arrival], Event]


class _Record(Record):
    """A record for the sink."""

    def is_awaited(self) -> bool:
        """True: a failure is told as soon as a request would be told of it."""
        return True


class Recovery:
    """One run. ``stored`` are the keys of events that are there; ``report`` is brought up to date as events settle."""

    def __init__(self, judge: Judge, stored: set[bytes], report: Report, per_s: float) -> None:
        self._judge = judge
        self._stored = stored
        self._per_s = per_s
        self.report = report

    def topics(self, candidates: Iterable[Refused]) -> set[str]:
        """Return the topics that the events would be stored in."""
        events = (self._judged(refused) for refused in candidates if not refused.trouble)
        return {event.topic for event in events if event.verdict is None}

    def try_all(self, candidates: Iterable[Refused]) -> None:
        """Judge all events, and store none."""
        for refused in candidates:
            if self._good(refused) is not None:
                self.report.recovered += 1

    async def store_all(self, candidates: Iterable[Refused], sink: Sink) -> None:
        """Judge and store all events, at most ``per_s`` in a second. The sink is open; the caller closes it."""
        begin_s, sent = time.monotonic(), 0
        for number, refused in enumerate(candidates):
            if number % TURN_EVENTS == 0:
                await asyncio.sleep(
                    0
                )  # Events that are not sent wait for nothing, and signals and acks come meanwhile.
            if self.report.stopped:
                break
            event = self._good(refused)
            if event is not None and await self._may_send(sent, begin_s, sink):
                sent += 1
                self._send(event, refused, sink)
        await sink.drain(asyncio.get_running_loop().time() + SETTLE_S)

    def stop(self, why: str) -> None:
        """Send no further event."""
        self.report.stopped = self.report.stopped or why

    async def _may_send(self, sent: int, begin_s: float, sink: Sink) -> bool:
        """Wait until the next event is due and the sink has room. False: the run was stopped meanwhile."""
        while True:
            if self.report.stopped:
                return False
            if sent < self.due(time.monotonic() - begin_s) and not sink.is_full():
                return True
            await asyncio.sleep(TICK_S)

    def due(self, passed_s: float) -> float:
        """Return how many events may have been sent so long after the beginning. The first tick's worth may go at
        once."""
        return (passed_s + TICK_S) * self._per_s

    def _good(self, refused: Refused) -> Event | None:
        """Return the event as it would be stored. None: it is stored, or is still refused, and was counted."""
        if not self._stored.isdisjoint(refused.keys):
            self.report.stored_before += 1
            return None
        if refused.trouble:
            self.report.refuse("malformed_event", refused.trouble, refused.raw)
            return None
        event = self._judged(refused)
        if event.verdict is not None:
            self.report.refuse(event.verdict.error_type, event.verdict.text, refused.raw)
            return None
        self._stored |= refused.keys
        return event

    def _judged(self, refused: Refused) -> Event:
        arrival = Arrival(refused.received_ms, refused.received_dt, {})
        arrival.grants = OURS
        return self._judge(refused.raw, arrival)

    def _send(self, event: Event, refused: Refused, sink: Sink) -> None:
        headers = [*event.headers, (HEADER, refused.name.encode())]
        record = _Record(event.topic, event.value, event.key, event.timestamp_ms, headers)

        def on_ack(error: Any, _message: Any) -> None:
            if error is None:
                self.report.recovered += 1
            else:
                self._on_failed(sink.classify(error), refused)

        error_type = sink.submit(record, on_ack)
        if error_type is not None:
            self._on_failed(error_type, refused)

    def _on_failed(self, error_type: str, refused: Refused) -> None:
        if error_type in TRANSIENT:
            self.stop(f"the sink has not stored an event ({error_type}): run the command again")
        else:
            self.report.fail(error_type, refused.raw)
