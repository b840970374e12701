"""A simulated host with its spool, and the brokers of all hosts.

Place: bench.scale.fleet → HERE → clock, and the product's own pace and shedding.
Rules: events are a fluid, in steps of STEP_S; each host has a phase of its own. A host has one queue to the brokers
and one spool for all of its workers, because one worker replays for the host. At most ``window`` events of it are with
the brokers, which serve in order of arrival.
1. A silence of ``silence_s`` shows that the brokers are away. From then on, and while the queue is longer than ROOM_S
   of the usual load, hasty events are spooled and guaranteed ones are refused.
2. Events that are older than ``timeout_s`` and not acked go to the spool; those that are with the brokers are served
   all the same, for nothing.
3. A live event whose key waits is spooled, or waits in memory near the end. It is refused while the spool hardly
   shrinks, and if it is guaranteed.
4. Nothing is replayed while the producer holds an event that is older than a spooled one (doubt), nor for a while
   after a replayed event has timed out. One batch of the replay is out at a time.
Not here: CPU, partitions, disks, crashes, and workers that share a host.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Final

from msgspec import Struct

from bench.scale.clock import Clock
from server.intake.delivery.delivery import NEARLY_EMPTY_S, WAIT_S
from server.sink.kafka.contact import SILENCE_S
from server.sink.spool.lane import FIRST_PAUSE_S, REST_S
from server.sink.spool.pace import ReplayPace
from server.sink.spool.replay import EDGE_S
from server.sink.spool.shedding import Shedding

STEP_S: Final = 0.1
ROOM_S: Final = 2.0
NONE: Final = 1e-9  # Less of an event is rounding.


class Fleet(Struct, frozen=True, kw_only=True):
    """``per_s`` is the load of one host, of which ``guaranteed`` is a share that is never spooled but by a time-out;
    ``fresh_per_s`` guaranteed events of new keys come besides. ``capacity`` is that of the brokers over the load of
    all; ``window_s`` is the number of events that may be with the brokers, as seconds of their capacity; ``keys`` is
    how many each host has (0: an event never waits for its key); ``is_cyclic``: they come in turn and not by chance;
    ``retries``: refused hasty events come again after a second."""

    hosts: int = 1
    per_s: float = 5000.0
    guaranteed: float = 0.0
    fresh_per_s: float = 0.0
    capacity: float = 3.0
    outage_s: float = 60.0
    window_s: float = 0.5
    timeout_s: float = 6.0
    keys: int = 0
    is_cyclic: bool = False
    spool_events: float = 15e6
    replay_per_s: float = math.inf
    is_paced: bool = True
    retries: bool = True

    @property
    def usual_per_s(self) -> float:
        """Everything that comes to one host."""
        return self.per_s + self.fresh_per_s


class Lot(Struct):
    """Events that came at one instant, and have no ack."""

    at: float
    count: float
    host: Host
    is_replay: bool
    is_late: bool = False


class Brokers:
    """All brokers, as one queue."""

    def __init__(self, fleet: Fleet, clock: Clock) -> None:
        self.fleet, self.clock = fleet, clock
        self.queue: deque[Lot] = deque()
        self.away_since: float | None = None
        self.wasted = self.peak = 0.0
        clock.every(STEP_S, self._step, STEP_S)

    def go(self) -> None:
        """Answer no more."""
        self.away_since = self.clock.now

    def come_back(self) -> None:
        """Answer again."""
        self.away_since = None

    def take(self, lot: Lot) -> None:
        """Take events of a host."""
        self.queue.append(lot)

    def _step(self) -> None:
        usual = self.fleet.usual_per_s * self.fleet.hosts * STEP_S
        left = 0.0 if self.away_since is not None else self.fleet.capacity * usual
        served = 0.0
        while left > NONE and self.queue:
            lot = self.queue[0]
            part = min(lot.count, left)
            left -= part
            served += part
            self.wasted += part if lot.is_late else 0.0
            lot.count -= part
            if lot.count <= NONE:
                self.queue.popleft()
            lot.host.on_ack(lot, part)
        self.peak = max(self.peak, served / usual)


class Host:
    """``came`` events are ``kept`` or ``refused``."""

    def __init__(self, fleet: Fleet, clock: Clock, brokers: Brokers, phase_s: float) -> None:
        self.fleet, self.clock, self.brokers = fleet, clock, brokers
        self._pace = ReplayPace(fleet.replay_per_s)
        self._shedding = Shedding()
        self._silence_s = min(SILENCE_S, fleet.timeout_s / 2)
        self._window = fleet.window_s * fleet.capacity * fleet.usual_per_s
        self._queue: deque[Lot] = deque()
        self._out: deque[Lot] = deque()
        self._room: deque[tuple[float, float]] = deque()  # Until when, and how many.
        self.waiting = self.came = self.refused = 0.0
        self._replaying = self._replayed = self._acked = self._put = 0.0
        self._again = self._in_flight = self._queued = 0.0
        self._doubt_at, self._rests_until, self._pause_s = -1.0, 0.0, FIRST_PAUSE_S
        self._is_at_edge = False
        clock.every(STEP_S, self._step, phase_s)

    @property
    def spooled(self) -> float:
        """The events in the spool, those that are being replayed among them."""
        return self.waiting + self._replaying

    @property
    def kept(self) -> float:
        """The events that are acked, wait, or are on their way."""
        on_their_way = sum(lot.count for lot in self._out) + sum(count for _, count in self._room)
        return self._acked + self._replayed + self.waiting + self._queued + on_their_way + self._again

    def on_ack(self, lot: Lot, count: float) -> None:
        """Note that the brokers have served events of this host."""
        self._in_flight -= count
        if lot.is_late:
            return
        if lot.is_replay:
            self._replaying = max(0.0, self._replaying - count)
            self._replayed += count
            self._pause_s = FIRST_PAUSE_S
        else:
            self._acked += count

    def _step(self) -> None:
        now, away_since = self.clock.now, self.brokers.away_since
        self._time_out(now)
        is_away = away_since is not None and now - away_since >= self._silence_s
        self._take_in(now, is_away=is_away)
        self._look_at_room(now, is_away=is_away)
        if is_away or self.spooled < 1:
            self._pace.begin_again(now)
            self._shedding.begin_again()
        self._pace.look(now, int(self._acked), int(self._put), int(self.spooled))
        if not is_away:
            self._replay(now)
        self._fill()

    def _take_in(self, now: float, *, is_away: bool) -> None:
        """The events of one step."""
        fleet, again = self.fleet, self._again * STEP_S
        self._again -= again
        guaranteed = fleet.per_s * fleet.guaranteed * STEP_S
        hasty = fleet.per_s * STEP_S - guaranteed + again
        fresh = fleet.fresh_per_s * STEP_S
        self.came += hasty + guaranteed + fresh - again
        if is_away or self._queued > ROOM_S * fleet.usual_per_s:
            if self._queued + self._in_flight >= 1:
                self._doubt_at = now
            self._spool(hasty)
            self.refused += guaranteed + fresh
            return
        behind = self._share_behind()
        if behind and min(self._pace.catch_up_s(), EDGE_S if self._is_at_edge else math.inf) <= NEARLY_EMPTY_S:
            self._room.append((now + WAIT_S, hasty * behind))
        elif self._shedding.is_on:
            self._refuse(hasty * behind)
        else:
            self._spool(hasty * behind)
        self.refused += guaranteed * behind
        self._send((hasty + guaranteed) * (1 - behind) + fresh, is_replay=False)

    def _share_behind(self) -> float:
        """The share of events whose key waits."""
        if not self.fleet.keys:
            return 0.0
        if self.fleet.is_cyclic:
            return min(1.0, self.spooled / self.fleet.keys)
        return 1 - math.exp(-self.spooled / self.fleet.keys)

    def _look_at_room(self, now: float, *, is_away: bool) -> None:
        while self._room and (is_away or self.spooled < 1 or self._room[0][0] <= now):
            _, count = self._room.popleft()
            if not is_away and self.spooled < 1:
                self._send(count, is_replay=False)
            else:
                self._spool(count)

    def _replay(self, now: float) -> None:
        """Send one batch of the spool, unless one is out or nothing may be sent now."""
        if self._replaying >= 1 or self.waiting <= 0 or now < self._rests_until or self._is_in_doubt():
            return
        wanted = min(self.waiting, self._pace.draw(now) if self.fleet.is_paced else self.waiting)
        if wanted <= 0:
            return
        self._is_at_edge = wanted >= self.waiting
        if self._is_at_edge:
            self._shedding.begin_again()
        else:
            self._shedding.look(now, int(self.spooled), int(self._replayed))
        self.waiting -= wanted
        self._pace.spend(int(wanted))
        self._replaying += wanted
        self._send(wanted, is_replay=True)

    def _is_in_doubt(self) -> bool:
        return any(
            lot.at <= self._doubt_at and not lot.is_replay and lot.count > NONE
            for lots in (self._out, self._queue)
            for lot in lots
        )

    def _spool(self, count: float) -> None:
        taken = max(0.0, min(count, self.fleet.spool_events - self.waiting))
        self.waiting += taken
        self._put += taken
        self._refuse(count - taken)

    def _refuse(self, count: float) -> None:
        if self.fleet.retries:
            self._again += count
        else:
            self.refused += count

    def _send(self, count: float, *, is_replay: bool) -> None:
        if count > 0:
            self._queue.append(Lot(self.clock.now, count, self, is_replay))
            self._queued += count

    def _fill(self) -> None:
        """Give the brokers what they may have."""
        while self._queue and self._in_flight < self._window - 1:
            lot = self._queue[0]
            part = min(lot.count, self._window - self._in_flight)
            lot.count -= part
            self._queued -= part
            self._in_flight += part
            sent = Lot(lot.at, part, self, lot.is_replay)
            self._out.append(sent)
            self.brokers.take(sent)
            if lot.count <= NONE:
                self._queue.popleft()

    def _time_out(self, now: float) -> None:
        while self._queue and now - self._queue[0].at > self.fleet.timeout_s:
            lot = self._queue.popleft()
            self._queued -= lot.count
            self._failed(lot, now)
        while self._out and (self._out[0].count <= NONE or now - self._out[0].at > self.fleet.timeout_s):
            lot = self._out.popleft()
            if lot.count > NONE:
                lot.is_late = True
                self._failed(lot, now)

    def _failed(self, lot: Lot, now: float) -> None:
        """Put events into the spool that were accepted, however full it is."""
        self.waiting += lot.count
        if not lot.is_replay:
            self._put += lot.count
            self._doubt_at = now
            return
        self._replaying -= lot.count
        if now >= self._rests_until:
            self._rests_until = now + self._pause_s
            self._pause_s = min(2 * self._pause_s, REST_S)
