"""Replay spooled events to the broker: oldest first, in order per key, at a limited rate.

Place: sink.spool.spool → HERE → a sink, as a task of the worker's loop that sleeps while nothing waits.
Rules: one batch is out at a time, and it is deleted when all of its acks are in, so a worker that is killed delivers
at most one batch twice. An event that fails for a reason that can pass stays, and nothing after it is sent before it.
An event that is too large for its topic by itself is given up and counted; one that was refused as part of a batch is
sent by itself the next time. A topic that the broker refuses (no permission, does not exist) pauses for REST_S, and its
events wait: they were promised, and an operator may mend the topic. A key waits for its older events in another
worker's spool.
The rate begins at START_PER_S after every failure and doubles each second, up to the configured limit and to a share of
the acks that this worker was seen to get, so that a broker that has just come back is not overloaded again.
Not here: what goes into the spool (intake.delivery).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Final

from server.log import Limited
from server.sink.base import BATCH_TOO_LARGE, Sink
from server.sink.spool.event import Spooled
from server.sink.spool.spool import Spool
from server.sink.spool.store import Store
from server.timing import timers

START_PER_S: Final = 100.0
# A worker that has seen no traffic yet may still replay this much: half of the acks of one slow broker.
MIN_CAP_PER_S: Final = 500.0
SHARE: Final = 0.5
BATCH_S: Final = 0.1  # A batch holds the events that the rate allows in this time, at most MAX_AT_ONCE.
MAX_AT_ONCE: Final = 200  # A full batch may be delivered twice after a kill -9, and holds the loop for 2 ms.
LOOK_S: Final = 0.1
IDLE_S: Final = 0.5
TROUBLE_S: Final = 1.0
REST_S: Final = 30.0
CAN_PASS: Final = frozenset({"broker_timeout", "queue_full"})

_logger = logging.getLogger("sink.replay")
_limited = Limited(_logger)

# (event, error_type or None) of each one that left the spool.
OnLeft = Callable[[Spooled, str | None], None]


class ReplayPace:
    """The rate limit of the replay. ``acked`` and ``spooled`` return the totals of this worker's acked events, replayed
    ones included, and of its spooled events."""

    def __init__(self, max_per_s: float, acked: Callable[[], int], spooled: Callable[[], int]) -> None:
        self._max_per_s = max_per_s
        self._acked = _Rate(acked)
        self._spooled = _Rate(spooled)
        self._peak_per_s = 0.0
        self._at = 0.0
        self.per_s = min(START_PER_S, max_per_s)

    def look(self, now: float) -> None:
        """Measure and double the rate, once a second. The highest rate of acks decays by a tenth per minute."""
        passed_s = now - self._at
        if passed_s < 1.0:
            return
        self._at = now
        self._peak_per_s = max(self._acked.per_s(now), self._peak_per_s * 0.9 ** (passed_s / 60))
        self.per_s = min(self.per_s * 2, self._cap_per_s(now))

    def _cap_per_s(self, now: float) -> float:
        """Return the highest allowed rate. It is at least twice the rate of newly spooled events, since the spool would
        otherwise never become empty."""
        return min(self._max_per_s, max(MIN_CAP_PER_S, SHARE * self._peak_per_s, 2 * self._spooled.per_s(now)))

    def begin_again(self) -> None:
        """Return to the start rate after a failure."""
        self.per_s = min(START_PER_S, self._max_per_s)


class _Rate:
    """Measures the growth of a count per second, from one call to the next."""

    def __init__(self, count: Callable[[], int]) -> None:
        self._count = count
        self._last = count()
        self._at = 0.0

    def per_s(self, now: float) -> float:
        count, passed_s = self._count(), now - self._at
        grown, is_first = count - self._last, self._at == 0.0
        self._last, self._at = count, now
        return 0.0 if is_first else grown / passed_s


class _Batch:
    """The batch that is out. ``done`` were delivered or given up; ``stays`` have to stay in the spool."""

    def __init__(self) -> None:
        self.left = 0
        self.done: list[Spooled] = []
        self.stays: list[Spooled] = []
        self.is_sent = False
        self.has_failed = False
        self.settled = asyncio.get_running_loop().create_future()

    def settle_if_done(self) -> None:
        if self.is_sent and self.left == 0 and not self.settled.done():
            self.settled.set_result(None)


class Replay:
    """Replays the spool. ``may_run`` says whether the broker answers and no older event is still on its way."""

    def __init__(
        self, spool: Spool, sink: Sink, may_run: Callable[[], bool], on_left: OnLeft, pace: ReplayPace
    ) -> None:
        self._spool = spool
        self._submit = sink.submit
        self._is_full = sink.is_full
        self._classify = sink.classify
        self._separate = sink.separate
        self._may_run = may_run
        self._on_left = on_left
        self._pace = pace
        self._is_stopping = False
        self._task: asyncio.Task[None] | None = None
        self.replayed = 0

    def start(self) -> None:
        """Start the task."""
        self._stopping: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._task = asyncio.get_running_loop().create_task(self._run())

    def stop(self) -> None:
        """Send nothing more; the acks of the last batch are still awaited."""
        self._is_stopping = True
        if self._task is not None:
            self._stopping.set_result(None)

    async def finish(self, deadline: float) -> None:
        """Store the outcome of the last batch. The sink must be closed, so that all acks are in."""
        if self._task is not None:
            await asyncio.wait({self._task}, timeout=max(0.1, deadline - asyncio.get_running_loop().time()))
            self._task.cancel()

    async def _run(self) -> None:
        while not self._is_stopping:
            try:
                await self._turn(asyncio.get_running_loop())
            except Exception:  # The batch is read from the disk again, and may be delivered twice.
                timers.failed("Replay._run")
                self._pace.begin_again()
                await self._sleep(TROUBLE_S)

    async def _turn(self, loop: asyncio.AbstractEventLoop) -> None:
        """Send one batch, or pause."""
        self._pace.look(loop.time())
        await self._spool.adopt()
        store = self._spool.store()
        if store is None:
            await self._sleep(IDLE_S)
        elif not self._may_run():
            self._pace.begin_again()
            await self._sleep(LOOK_S)
        else:
            await self._send(store, loop.time())

    async def _sleep(self, seconds: float) -> None:
        """Sleep, but not beyond ``stop``."""
        if not self._is_stopping and seconds > 0:
            await asyncio.wait({self._stopping}, timeout=seconds)

    async def _send(self, store: Store, began: float) -> None:
        """Send one batch and wait for its end."""
        count = max(1, min(MAX_AT_ONCE, int(self._pace.per_s * BATCH_S)))
        events = await self._spool.oldest(store, count)
        if not events:
            await self._sleep(LOOK_S)  # All topics are paused, or the disk fails, which the spool has logged.
            return
        batch = self._submit_all(store, events)
        sent = len(events) - len(batch.stays)  # Counted before acks come in.
        await batch.settled
        batch.stays.sort(key=lambda one: one.number)
        front = batch.stays[0].number if batch.stays else events[-1].number + 1
        while batch.done and not await self._spool.forget(store, batch.done, front):
            if self._is_stopping:
                _logger.error("%d delivered events cannot be deleted from the spool: they come again", len(batch.done))
                return
            await self._sleep(TROUBLE_S)
        if sent == 0:
            await self._sleep(LOOK_S)  # The sink is full, or older events are in another spool.
        elif batch.has_failed:
            self._pace.begin_again()
            await self._sleep(TROUBLE_S)
        else:
            await self._sleep(began + sent / self._pace.per_s - asyncio.get_running_loop().time())

    def _submit_all(self, store: Store, events: list[Spooled]) -> _Batch:
        """Submit events to the sink in order, up to the first that may not be sent now; the rest stays."""
        batch = _Batch()
        for index, event in enumerate(events):
            if event.topic in store.resting:  # It was paused after this batch was read.
                batch.stays.append(event)
                continue
            if self._spool.elders.is_older_elsewhere(store.keys, event.topic, event.key, event.number):
                # The older event's topic may be paused there for long: other topics need not wait with this one.
                if store.rest(event.topic, self._now() + LOOK_S, event.number):
                    batch.stays.append(event)
                    continue
                batch.stays += events[index:]
                break
            refusal = self._submit(event, self._on_ack(store, batch, event))
            if refusal is None:
                batch.left += 1
            elif refusal in CAN_PASS:
                batch.stays += events[index:]
                break
            else:
                self._refused(store, batch, event, refusal)
        batch.is_sent = True
        batch.settle_if_done()
        return batch

    def _on_ack(self, store: Store, batch: _Batch, event: Spooled) -> Callable[[Any, Any], None]:
        def on_ack(error: Any, _message: Any) -> None:
            batch.left -= 1
            try:
                if error is None:
                    self.replayed += 1
                    batch.done.append(event)
                    self._on_left(event, None)
                elif (error_type := self._classify(error)) in CAN_PASS or error_type == BATCH_TOO_LARGE:
                    if error_type == BATCH_TOO_LARGE:
                        self._separate(event.topic, is_keyed=event.key is not None)
                    batch.has_failed = True
                    batch.stays.append(event)
                else:
                    self._refused(store, batch, event, error_type)
            finally:  # The sink handles an exception, and the batch must settle all the same.
                batch.settle_if_done()

        return on_ack

    def _refused(self, store: Store, batch: _Batch, event: Spooled, error_type: str) -> None:
        """Give up an event that would always be refused, or pause its topic until an operator mends it."""
        if error_type == "event_too_large":
            batch.done.append(event)
            self._on_left(event, error_type)
            _limited.warning(error_type, "a spooled event of stream %s is given up: it is too large", event.stream)
            return
        batch.stays.append(event)
        store.rest(event.topic, self._now() + REST_S, event.number)
        _limited.warning(error_type, "spooled events of stream %s wait: Kafka refuses its topic", event.stream)

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()
