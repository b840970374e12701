"""Owns sink, spool and replay: opens them in order, closes them in reverse.

Place: worker → HERE → intake.delivery, sink.spool.spool, sink.spool.replay.
Rules: when ``drain`` returns, every accepted event is delivered, on disk, or counted as dropped with a reason that is
in the log. The books are checked then: a difference is a bug.
Not here: which events may be spooled (intake.delivery), HTTP (worker).
"""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from server.catalog.regex import is_regex
from server.config.rules import settle_s
from server.host import cores
from server.intake.delivery.delivery import Delivery
from server.sink.make import make

if TYPE_CHECKING:
    from collections.abc import Callable

    from server.catalog.snapshot import Snapshot
    from server.config.settings import Config
    from server.intake.event import Event
    from server.shared.rings import Ring
    from server.sink.spool.event import Spooled
    from server.sink.spool.replay import Replay
    from server.worker.concerns import Concerns


LIMITS_S = 0.25  # Time for the limits of topics before the first event. A broker that answers does so in milliseconds.
SPOOL_S = 1.0  # Even a hurried end leaves this much time for the disk: 50,000 events take about half of it.

_logger = logging.getLogger("delivery")


class Durability:
    """Sink, spool and replay of one worker. ``tallies`` are the books, stream by stream. ``on_dropped`` is that of
    intake.delivery."""

    def __init__(
        self,
        config: Config,
        data_dir: Path,
        snapshot: Snapshot,
        ring: Ring,
        on_dropped: Callable[[Event], None],
        concerns: Concerns,
    ) -> None:
        self.sink = make(config.sink, data_dir, settle_s(config))
        self.spool = concerns.make_spool(config, data_dir, _workers(config))
        self.delivery = Delivery(
            self.sink,
            self.spool,
            settle_s=settle_s(config),
            is_spooled=config.spool.on_broker_down == "spool",
            on_spooled=self._on_spooled,
            on_dropped=on_dropped,
        )
        self.tallies = self.delivery.tallies
        oldest = self.sink.oldest if self.sink.knows_oldest else None
        self.receipts = concerns.receipts(ring, self._unsettled, 0.0 if oldest else settle_s(config), oldest)
        self._config = config
        self._is_open = False
        self._separating: asyncio.Task[None] | None = None
        self.use(snapshot)
        self.replay: Replay | None = None
        self.replay = self._make_replay()

    def use(self, snapshot: Snapshot) -> None:
        """Use these streams from now on."""
        is_spooled = self._config.spool.on_broker_down == "spool"
        wishes = {stream.on_broker_down for stream in snapshot.streams()}
        self.delivery.may_be_spooled = is_spooled or "spool" in wishes
        topics = {stream.topic for stream in snapshot.streams() if stream.key_fields and not is_regex(stream.name)}
        self._keyed_topics = sorted(topics)
        if self._is_open:
            self._separating = asyncio.get_running_loop().create_task(self._separate_small_topics())

    async def open(self) -> None:
        """Get ready to take events. Raises BootError when that can never succeed with these settings."""
        if self.spool is not None:
            await self.spool.open(self.receipts.left_spool)
        await self.sink.open()
        self._separating = asyncio.get_running_loop().create_task(self._separate_small_topics())
        await asyncio.wait({self._separating}, timeout=LIMITS_S)
        self.delivery.open(self.spool.first_number() if self.spool is not None else 0)
        self.receipts.start()
        if self.replay is not None:
            self.replay.start()
        self._is_open = True

    async def _separate_small_topics(self) -> None:
        """Send the events of topics one by one that take less than a batch, from the first event on: a broker that
        refuses a batch may store the next one, with younger events of its keys. While no broker answers it is not known
        which topics these are, until one refuses a batch."""
        if self._keyed_topics and not self.sink.is_away():
            for topic in await asyncio.to_thread(self.sink.small_topics, self._keyed_topics):
                self.sink.separate(topic, is_keyed=True)

    async def drain(self, deadline: float) -> None:
        """Deliver events in flight until ``deadline``, and put the rest into the spool. Afterwards every outcome is
        known."""
        if self._separating is not None:
            self._separating.cancel()
        if self.replay is not None:
            self.replay.stop()
        self.delivery.empty_room()
        await self.sink.drain(deadline)
        while asyncio.get_running_loop().time() < deadline and self.delivery.rescue(is_last=True):
            await self.sink.drain(deadline)
        await self.sink.close()
        if self.spool is not None:
            now = asyncio.get_running_loop().time()
            await self._close_spool(max(deadline, now + SPOOL_S))

    def sink_counts(self) -> dict[str, int]:
        """Return the counts of this kind of sink, by the names in metrics.sink_metrics."""
        counts = self.sink.counts()
        return {
            "producers_replaced": counts.replaced,
            "failed_commits": counts.failed_commits,
            "databases_damaged": counts.damaged,
            "databases_gone": counts.gone,
            "events_recovered": counts.recovered,
        }

    def damaged(self) -> int:
        """Spooled events that were found damaged, and are not delivered."""
        damaged = self.replay.damaged if self.replay is not None else 0
        return damaged + (self.spool.damaged if self.spool is not None else 0)

    def is_spool_unusable(self) -> bool:
        """Whether the spool's disk takes nothing, as far as is known."""
        return self.spool is not None and not self.spool.is_usable()

    def replayed(self) -> int:
        """Return the number of events that left the spool for the broker, including events of earlier workers."""
        return self.replay.replayed if self.replay is not None else 0

    def _unsettled(self) -> int:
        """Return the number of events in the sink, and of those that wait in memory for their key."""
        return self.sink.outstanding() + self.delivery.in_room()

    def unaccounted(self) -> int:
        """Return the number of events in flight that neither the sink nor the spool has. The sink may also hold other
        events, such as replayed ones, which hide missing events until it is idle."""
        in_flight = self.in_flight()
        return -in_flight if in_flight < 0 else max(0, in_flight - self.outstanding() - self.waiting())

    def in_flight(self) -> int:
        """Return the number of accepted events without an outcome, by the books."""
        return sum(tally.in_flight() for tally in self.tallies)

    def outstanding(self) -> int:
        """Return the number of events that the sink has taken and not yet settled."""
        return self.sink.outstanding() if self._is_open else 0

    def waiting(self) -> int:
        """Return the number of events on the way to the disk, and of those that wait in memory for their key."""
        return self.spool.waiting() + self.delivery.in_room() if self.spool is not None else 0

    def spool_bytes(self) -> int:
        return self.spool.used_bytes() if self.spool is not None else 0

    def is_broker_away(self) -> bool:
        """Whether the sink can store nothing at the moment: no broker answers, or its database cannot be written."""
        return self.sink.is_away()

    def is_throttled(self) -> bool:
        """Whether a broker's quota holds the sink back."""
        return self.sink.is_throttled()

    def callback_failures(self) -> int:
        """Return the number of unexpected exceptions that the sink has caught."""
        return self.sink.callback_failures

    def queue(self) -> tuple[int, int]:
        """Return the number of events and bytes that wait in the sink, as far as it knows."""
        return self.sink.queue()

    def brokers(self) -> list[tuple[str, list[int]]]:
        """Return each broker's name with its numbers (sink.base)."""
        return self.sink.brokers()

    def close_books(self) -> bool:
        """Check that every accepted event has an outcome; if not, log which stream lacks how many."""
        dropped, spooled = self.tallies.dropped, self.tallies.spooled
        if dropped:
            _logger.error("%d accepted events were not delivered and never will be: %s", dropped, self._reasons())
        if spooled:
            _logger.info("%d events went into the spool since the start", spooled)
        wrong = {tally.stream: tally.in_flight() for tally in self.tallies if tally.in_flight()}
        for stream, count in wrong.items():
            _logger.error("the books of stream %s do not add up: %d events have no outcome", stream, count)
        return not wrong

    async def _close_spool(self, deadline: float) -> None:
        assert self.spool is not None
        assert self.replay is not None
        await self.replay.finish(deadline)
        if left := await self.spool.flush(deadline):
            _logger.error("%d events cannot be written to the spool before the end of the drain", left)
            self.spool.give_up()
        if pending := self.spool.pending():
            _logger.info("%d events wait in the spool for the next start", pending)
        await self.spool.close()

    def _reasons(self) -> str:
        reasons: dict[str, int] = {}
        for tally in self.tallies:
            for error_type, count in tally.dropped.items():
                reasons[error_type] = reasons.get(error_type, 0) + count
        return ", ".join(f"{count} {error_type}" for error_type, count in sorted(reasons.items()))

    def _make_replay(self) -> Replay | None:
        spool = self.spool
        if spool is None:
            return None
        from server.sink.spool.pace import ReplayPace
        from server.sink.spool.replay import Replay

        pace = ReplayPace(self._config.spool.replay_per_s)
        may_shed = self._config.spool.when_behind == "refuse"
        return Replay(spool, self.sink, self.delivery.may_replay, self._on_replayed, pace, may_shed=may_shed)

    def _on_spooled(self, event: Event) -> None:
        self.receipts.spooled(event.number)

    def _on_replayed(self, event: Spooled) -> None:
        """Count an event that this worker has replayed; any worker may have accepted it."""
        self.tallies.of(event.stream).replayed += 1


def _workers(config: Config) -> int:
    return cores.usable() if config.workers == "auto" else config.workers
