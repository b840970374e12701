"""Replay spooled events to the broker. One worker of the host does this for all of them.

Place: worker.durability → HERE → a sink; sink.spool.backlog on a thread of its own. It is a task of the worker's loop.
Rules:
1. The worker that holds the lock ``replay`` leads: it replays the databases of all workers. If it has lost contact with
   the brokers while another worker has it, it releases the lock.
2. The events of a topic are sent in the order of their numbers, one batch at a time, and deleted once they are acked.
   When this worker is killed, the batches that are out may be delivered twice.
3. Nothing is sent while a worker is in doubt, that is, while it may still put older events.
4. An event that stays too large for its topic is set aside, and tried again later (sink.spool.backlog). The events of
   a topic that takes less than a batch are sent one by one. The sink is asked for such topics before anything is sent,
   because a broker that refuses a batch may store the next one, with younger events of its keys.
Not here: what goes into the spool (intake.delivery), how fast it leaves (sink.spool.pace), whether it ever becomes
empty (sink.spool.shedding), which topics pause (sink.spool.lane).
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

from server.log import Limited
from server.sink.base import BATCH_TOO_LARGE, Sink
from server.sink.spool import claim
from server.sink.spool.backlog import Backlog, BacklogView, Taken, Want
from server.sink.spool.event import Spooled
from server.sink.spool.lane import ALL, Lane
from server.sink.spool.pace import ReplayPace
from server.sink.spool.shedding import Shedding
from server.sink.spool.spool import Spool
from server.timing import timers
from server.timing.loop_share import LoopShare

TURN_S: Final = 0.02  # Time between turns while there are events to send,
ASIDE_S: Final = 0.1  # while there are others, which are set aside or on their way to the disk,
IDLE_S: Final = 2.0  # and while there are none by the maps. The first one ends the sleep.
LEAD_S: Final = 0.25  # Time between attempts to take the lock.
AWAY_S: Final = 2.0  # After this long without contact to a broker, a worker releases the lock if another has contact.
TROUBLE_S: Final = 1.0
EDGE_S: Final = 0.5  # The estimate after a turn that has sent all that waited: one more turn at any pace.
# An event that is refused as too large for this long is set aside. Until then its topic waits, and is tried again after
# TRY_AGAIN_S.
TOO_LARGE_S: Final = 20.0
TRY_AGAIN_S: Final = 5.0
CAN_PASS: Final = frozenset({"broker_timeout", "queue_full"})

_logger = logging.getLogger("sink.replay")
_limited = Limited(_logger)


class Replay:
    """Replays the spool while it leads. ``may_run`` says whether the sink has contact with a broker; ``on_replayed`` is
    called for each delivered event. ``replayed`` and ``damaged`` are for metrics."""

    def __init__(
        self,
        spool: Spool,
        sink: Sink,
        may_run: Callable[[], bool],
        on_replayed: Callable[[Spooled], None],
        pace: ReplayPace,
        *,
        may_shed: bool = True,
    ) -> None:
        self._spool = spool
        self._sink = sink
        self._submit = sink.submit
        self._classify = sink.classify
        self._may_run = may_run
        self._on_replayed = on_replayed
        self._pace = pace
        self._shedding = Shedding()
        self._may_shed = may_shed
        self._is_at_edge = False
        self._lock_fd: int | None = None
        self._backlog: Backlog | None = None
        self._lanes: dict[bytes, Lane] = {}
        self._outcomes: list[tuple[Taken, bool]] = []  # With whether it is too large.
        self._partitions: dict[str, int] = {}
        self._small: dict[str, bool] = {}  # Whether a topic takes less than a batch, since the spool was last empty.
        self._too_large_since: dict[tuple[Path, int], float] = {}
        self._is_stopping = False
        self._is_away_since = 0.0
        self._is_idle = False
        self._news: asyncio.Future[None] | None = None
        self._task: asyncio.Task[None] | None = None
        self._damaged_before = 0
        self._recalls = 0
        self.replayed = 0
        sink.tell_of_recalls(self._on_recall)

    @property
    def damaged(self) -> int:
        """The number of events that were set aside because they are damaged."""
        return self._damaged_before + (self._backlog.damaged if self._backlog is not None else 0)

    @property
    def is_leading(self) -> bool:
        """Whether this worker holds the lock, and so replays."""
        return self._backlog is not None

    def start(self) -> None:
        """Start the task."""
        self._loop = asyncio.get_running_loop()
        self._thread = ThreadPoolExecutor(1, "replay")
        self._stopping: asyncio.Future[None] = self._loop.create_future()
        self._spool.on_waits = self._on_waits
        self._task = self._loop.create_task(self._run())

    def stop(self) -> None:
        """Send nothing more. The acks of events that are out are still awaited."""
        self._is_stopping = True
        if self._task is not None:
            self._stopping.set_result(None)

    async def finish(self, deadline: float) -> None:
        """Delete the events that the last acks were for. The sink must be closed, so that all acks are in."""
        if self._task is None:
            return
        await asyncio.wait({self._task}, timeout=max(0.1, deadline - self._loop.time()))
        self._task.cancel()
        closing = asyncio.ensure_future(self._let_go())
        await asyncio.wait({closing}, timeout=max(0.1, deadline - self._loop.time()))
        if not closing.done():
            _logger.error(
                "the disk of the spool was too slow: delivered events were not deleted before the end of the drain, "
                "and may be sent again"
            )
        self._thread.shutdown(wait=False)

    async def _run(self) -> None:
        while not self._is_stopping:
            try:
                await self._sleep(await self._turn())
            except Exception:  # The events are read from the disk again, and may be delivered twice.
                timers.failed("Replay._run")
                self._pace.begin_again(self._loop.time())
                await self._sleep(TROUBLE_S)

    async def _sleep(self, seconds: float) -> None:
        """Sleep, but not beyond ``stop``, and while no event waits not beyond the next one."""
        if self._is_stopping or seconds <= 0:
            return
        if self._is_idle:
            self._news = self._loop.create_future()
            await asyncio.wait({self._stopping, self._news}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            self._news = None
        else:
            await asyncio.wait({self._stopping}, timeout=seconds)

    def _on_waits(self) -> None:
        if self._news is not None and not self._news.done():
            self._news.set_result(None)

    async def _on_thread(self, function: Callable[[], Any]) -> Any:
        return await self._loop.run_in_executor(self._thread, function)

    # Leading.

    async def _turn(self) -> float:
        """Read and send what may be sent now. Returns the seconds until the next turn."""
        self._is_idle = False
        if self._backlog is None and not self._lead():
            self._is_idle = not self._spool.waits()
            return IDLE_S if self._is_idle else LEAD_S
        assert self._backlog is not None
        may_run = self._may_run()
        if await self._is_relieved(may_run):
            return AWAY_S
        if self._lock_fd is None or not claim.is_held(self._lock_fd, self._lock_path()):
            _limited.warning("lock", "the lock %s was deleted: it is taken again", self._lock_path())
            await self._let_go()
            return LEAD_S
        view = await self._work(self._backlog, may_run=may_run)
        if self._is_stopping:  # The sink may be closed by now.
            return 0.0
        if not view.events:
            self._pace.begin_again(self._loop.time())
            self._end_shedding()
            self._small.clear()
            if not self._spool.maps.aside():  # Else it is known for the next time that one of them is tried.
                self._too_large_since.clear()
            self._is_idle = not self._spool.waits()
            return IDLE_S if self._is_idle else ASIDE_S
        if may_run and not view.is_doubtful:
            sending = [(self._lanes[topic], taken) for topic, taken in view.taken.items() if taken]
            if await self._separate([lane.name for lane, _ in sending]):
                for lane, taken in sending:
                    await self._send(lane, taken)
        return TURN_S

    def _lead(self) -> bool:
        """Take the lock, unless another worker holds it. Returns whether this worker leads now."""
        try:
            self._lock_fd = claim.take(self._lock_path())
        except OSError as failed:
            _limited.warning("lead", "the spool %s cannot be replayed: %s", self._spool.directory, failed)
        if self._lock_fd is None:
            return False
        self._backlog = Backlog(self._spool.directory)
        self._lanes = {}
        return True

    def _lock_path(self) -> Path:
        return self._spool.directory / "replay"

    async def _is_relieved(self, may_run: bool) -> bool:
        """Release the lock if this worker has had no contact for AWAY_S and another one has. Returns whether it did."""
        now = self._loop.time()
        if may_run:
            self._is_away_since = 0.0
            return False
        self._pace.begin_again(self._loop.time())
        self._is_at_edge = False
        self._is_away_since = self._is_away_since or now
        if now - self._is_away_since < AWAY_S or any(lane.out for lane in self._lanes.values()):
            return False
        if not self._spool.is_any_in_contact():
            return False
        _logger.info("another worker replays the spool: this one has no contact with a broker")
        await self._let_go()
        self._is_away_since = 0.0
        return True

    async def _let_go(self) -> None:
        backlog, self._backlog = self._backlog, None
        self._end_shedding()
        if backlog is not None:
            self._damaged_before += backlog.damaged
            self._write_down()
            await self._on_thread(backlog.close)
        if self._lock_fd is not None:
            os.close(self._lock_fd)
            self._lock_fd = None

    # Sending.

    async def _work(self, backlog: Backlog, *, may_run: bool) -> BacklogView:
        """Settle the batches whose outcomes are all known, delete delivered events, and read those that may be sent."""
        now = self._loop.time()
        for lane in self._lanes.values():
            if lane.has_been_sent and not lane.out:
                if may_run and lane.has_failed():
                    await self._count_partitions(lane.name)
                lane.settle(now, is_away=not may_run)
        self._write_down()
        wants = self._wants(now) if may_run else []
        is_paused = bool(self._lanes) and not any(lane.out or lane.may_send(now) for lane in self._lanes.values())
        catch_up_s = self._pace.catch_up_s(is_paused=is_paused)
        if self._is_at_edge:
            catch_up_s = min(catch_up_s, EDGE_S)
        sheds = self._may_shed and self._shedding.is_on
        view: BacklogView = await self._on_thread(lambda: backlog.work(wants, catch_up_s, sheds=sheds))
        self._pace.look(self._loop.time(), view.acked, view.put, view.events)
        if wants:
            self._is_at_edge = not view.has_more
        self._look_at_gain(view, may_send=may_run and not view.is_doubtful and not is_paused, has_asked=bool(wants))
        for topic in view.topics - self._lanes.keys():
            self._lanes[topic] = Lane(topic, self._partition_of)
        for topic in [topic for topic, lane in self._lanes.items() if topic not in view.topics and lane.is_idle()]:
            del self._lanes[topic]
        return view

    def _look_at_gain(self, view: BacklogView, *, may_send: bool, has_asked: bool) -> None:
        """Note whether the replay is behind: it may send, and a topic has more events than were asked for."""
        if not may_send or (has_asked and not view.has_more):
            self._end_shedding()
            return
        was_on = self._shedding.is_on
        self._shedding.look(self._loop.time(), view.events, self.replayed)
        if self._may_shed and self._shedding.is_on and not was_on:
            _logger.warning("the spool hardly shrinks although brokers answer: hasty events of its keys are refused")

    def _end_shedding(self) -> None:
        """Begin the measurement again: the replay has caught up, may not send now, or ends."""
        if self._may_shed and self._shedding.is_on:
            _logger.info("hasty events are no longer refused: the replay has caught up, or may not send now")
        self._shedding.begin_again()

    async def _count_partitions(self, topic: str) -> None:
        if not self._partitions.get(topic):
            self._partitions[topic] = await self._on_thread(lambda: self._sink.partitions(topic))

    def _partition_of(self, topic: str, key: bytes) -> int:
        count = self._partitions.get(topic, 0)
        return self._sink.partition_of(key, count) if count else ALL

    def _write_down(self) -> None:
        """Note in their databases which events are delivered or too large. The thread must be idle."""
        outcomes, self._outcomes = self._outcomes, []
        for taken, is_too_large in outcomes:
            if is_too_large:
                taken.part.leave_too_large(taken.event)
            else:
                taken.part.leave(taken.event)

    def _wants(self, now: float) -> list[Want]:
        """Divide the number of events that may be sent now among the topics that are ready."""
        ready = [lane for lane in self._lanes.values() if lane.may_send(now)]
        budget = self._pace.draw(now)
        if not ready or budget <= 0 or self._sink.is_full():
            return []
        share = max(1, budget // len(ready))
        return [Want(lane.topic, share, lane.above) for lane in ready[:budget]]

    async def _separate(self, topics: list[str]) -> bool:
        """Let the sink send the events of topics one by one that take less than a batch. Returns whether events may
        still be sent: while the sink was asked, it may have been closed."""
        unknown = [topic for topic in topics if topic not in self._small]
        if unknown:
            small = await self._on_thread(lambda: self._sink.small_topics(unknown))
            self._small.update((topic, topic in small) for topic in unknown)
            if self._is_stopping:
                return False
        for topic in topics:
            if self._small[topic]:
                self._sink.separate(topic, is_keyed=True)
        return True

    async def _send(self, lane: Lane, taken: list[Taken]) -> None:
        """Submit the events of a topic in order, until the sink does not take one, or one fails meanwhile."""
        sent = 0
        share, recalls = LoopShare(self._loop), self._recalls
        refused: set[bytes | None] = set()  # The keys of refused events; younger events of them must not be sent first.
        for one in lane.choose(taken):
            if one.event.key is not None and one.event.key in refused:
                continue
            if sent and share.is_over():
                lane.has_been_sent = True
                await share.pause()
                # If records were recalled meanwhile, those sent before the pause will fail, but have no ack yet.
                if self._is_stopping or lane.is_interrupted or self._recalls != recalls:
                    lane.begin_again()
                    break
            refusal = self._submit(one.event, self._on_ack(lane, one))
            if refusal is None:
                lane.out += 1
                sent += 1
                continue
            lane.begin_again()
            if refusal in CAN_PASS:
                break
            self._refused(lane, one, refusal)
            refused.add(one.event.key)
        if sent:
            lane.has_been_sent = True
            self._pace.spend(sent)

    def _on_recall(self) -> None:
        self._recalls += 1

    def _on_ack(self, lane: Lane, taken: Taken) -> Callable[[Any, Any], None]:
        def on_ack(error: Any, _message: Any) -> None:
            lane.out -= 1
            if error is None:
                self.replayed += 1
                self._outcomes.append((taken, False))
                self._on_replayed(taken.event)
                return
            error_type = self._classify(error)
            if error_type == BATCH_TOO_LARGE:
                lane.begin_again()
                self._sink.separate(taken.event.topic, is_keyed=taken.event.key is not None)
            elif error_type in CAN_PASS:
                if taken.event.key is not None:
                    self._sink.recall()  # Younger events of its key must not be sent before it.
                lane.fail(taken.event)
            else:
                self._refused(lane, taken, error_type)

        return on_ack

    def _refused(self, lane: Lane, taken: Taken, error_type: str) -> None:
        """Pause the topic of a refused event. If the event has been too large for TOO_LARGE_S, set it aside instead."""
        stream, now = taken.event.stream, self._loop.time()
        if error_type == "event_too_large":
            if now >= self._too_large_since.setdefault((taken.part.path, taken.event.id), now) + TOO_LARGE_S:
                self._outcomes.append((taken, True))
                _limited.warning(error_type, "a spooled event of stream %s is set aside: it is too large", stream)
                return
            self._sink.recall()  # Younger events of its key must not be sent before it.
            lane.rest(now, TRY_AGAIN_S)
            _limited.warning(
                error_type, "spooled events of stream %s wait: Kafka says that one is too large for its topic", stream
            )
            return
        lane.rest(now)
        _limited.warning(error_type, "spooled events of stream %s wait: Kafka refuses its topic", stream)
