"""Give spooled events to the broker again: oldest first, in order per key, paced.

Place: sink.spool.spool → HERE → a sink, as a task of the worker's loop that sleeps while nothing waits.
Rules: one batch is out at a time, and it is deleted when all of its acks are in, so a worker that is killed delivers
one batch twice at the most. An event that fails for a reason that can pass stays; nothing behind it is sent before it.
One that is too large for its topic by itself is given up and counted; what was refused as part of a batch goes by
itself the next time. A topic that
the broker refuses (no right, not there) rests for REST_S, and its events wait: they were promised, and somebody may
mend it. A key whose older events are in another worker's spool waits for those.
The pace begins at START_PER_S after every trouble and doubles each second, up to what was asked for and to a share of
the acks that this worker was seen to get: a broker that has just come back is not taken down again.
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
# A worker that has seen no traffic yet may still replay this much: half of what one slow broker acks.
LEAST_CAP_PER_S: Final = 500.0
SHARE: Final = 0.5
BATCH_S: Final = 0.1  # A batch is what the pace allows in this time …
MOST_AT_ONCE: Final = (
    200  # … and never more: so many may be delivered twice after a kill -9, and hold the loop for 2 ms.
)
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
    """How many events a second. ``acked`` and ``spooled`` tell how many this worker has had acked, replayed ones
    included, and has spooled, ever."""

    def __init__(self, most_per_s: float, acked: Callable[[], int], spooled: Callable[[], int]) -> None:
        self._most_per_s = most_per_s
        self._acked = _Rate(acked)
        self._spooled = _Rate(spooled)
        self._peak_per_s = 0.0
        self._at = 0.0
        self.per_s = min(START_PER_S, most_per_s)

    def look(self, now: float) -> None:
        """Once a second: measure, and go faster. The best second of acks fades by a tenth a minute."""
        passed_s = now - self._at
        if passed_s < 1.0:
            return
        self._at = now
        self._peak_per_s = max(self._acked.per_s(now), self._peak_per_s * 0.9 ** (passed_s / 60))
        self.per_s = min(self.per_s * 2, self._cap_per_s(now))

    def _cap_per_s(self, now: float) -> float:
        """The fastest that is allowed. Twice what still comes in behind what waits, or it would never become empty."""
        return min(self._most_per_s, max(LEAST_CAP_PER_S, SHARE * self._peak_per_s, 2 * self._spooled.per_s(now)))

    def begin_again(self) -> None:
        """After trouble: slowly."""
        self.per_s = min(START_PER_S, self._most_per_s)


class _Rate:
    """What a count grows by in a second, from one look to the next."""

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
    """What is out: who was delivered, who was given up, who has to stay."""

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
    """``may_run`` says whether the broker answers and nothing older is still on its way."""

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
        """Begin to watch the spool."""
        self._stopping: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._task = asyncio.get_running_loop().create_task(self._run())

    def stop(self) -> None:
        """Send nothing more; acks of what is out are still waited for."""
        self._is_stopping = True
        if self._task is not None:
            self._stopping.set_result(None)

    async def finish(self, deadline: float) -> None:
        """Write down the acks of the last batch. The sink must be closed: then all of them are in."""
        if self._task is not None:
            await asyncio.wait({self._task}, timeout=max(0.1, deadline - asyncio.get_running_loop().time()))
            self._task.cancel()

    async def _run(self) -> None:
        while not self._is_stopping:
            try:
                await self._turn(asyncio.get_running_loop())
            except Exception:  # What it was at is read from the disk again, and may be delivered twice.
                timers.failed("Replay._run")
                self._pace.begin_again()
                await self._sleep(TROUBLE_S)

    async def _turn(self, loop: asyncio.AbstractEventLoop) -> None:
        """One batch, or a pause."""
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
        """A drain need not wait for it."""
        if not self._is_stopping and seconds > 0:
            await asyncio.wait({self._stopping}, timeout=seconds)

    async def _send(self, store: Store, began: float) -> None:
        """One batch, to its end."""
        count = max(1, min(MOST_AT_ONCE, int(self._pace.per_s * BATCH_S)))
        events = await self._spool.oldest(store, count)
        if not events:
            await self._sleep(LOOK_S)  # All topics rest, or the disk has trouble, which the spool has said.
            return
        batch = self._submit_all(store, events)
        sent = len(events) - len(batch.stays)  # Before acks come in.
        await batch.settled
        batch.stays.sort(key=lambda one: one.number)
        front = batch.stays[0].number if batch.stays else events[-1].number + 1
        while batch.done and not await self._spool.forget(store, batch.done, front):
            if self._is_stopping:
                _logger.error("%d delivered events cannot be deleted from the spool: they come again", len(batch.done))
                return
            await self._sleep(TROUBLE_S)
        if sent == 0:
            await self._sleep(LOOK_S)  # Full, or older events are in another spool.
        elif batch.has_failed:
            self._pace.begin_again()
            await self._sleep(TROUBLE_S)
        else:
            await self._sleep(began + sent / self._pace.per_s - asyncio.get_running_loop().time())

    def _submit_all(self, store: Store, events: list[Spooled]) -> _Batch:
        """Give the sink what may go now, in order; what comes after something that may not stays."""
        batch = _Batch()
        for index, event in enumerate(events):
            if event.topic in store.resting:  # Since a moment ago.
                batch.stays.append(event)
                continue
            if self._spool.elders.is_older_elsewhere(store.keys, event.topic, event.key, event.number):
                # The older one may rest there for long: other topics need not wait with this one.
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
            finally:  # Whatever is raised goes to the sink, and the batch must not be waited for any more.
                batch.settle_if_done()

        return on_ack

    def _refused(self, store: Store, batch: _Batch, event: Spooled, error_type: str) -> None:
        """The same again would be refused: for ever, or until somebody mends the topic."""
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
