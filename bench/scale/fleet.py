"""Simulate hosts with spools in front of brokers: an outage, and the way back.

Place: bench.scale.report → HERE → clock, and the product's own pace of the replay.
Rules: events are a fluid, in steps of STEP_S; each host has a phase of its own. A host has one queue to the brokers,
for all of its workers; at most ``window`` events of it are with the brokers. Events that are older than ``timeout_s``
and not acked go to the spool; those that are with the brokers are served all the same, for nothing. While
the queue is longer than ROOM_S of the usual load, new events are spooled. A live event whose key waits is spooled.
Nothing is replayed while events that have timed out are with the brokers (doubt), for at most ``timeout_s``.
Not here: which fleets are tried (report), CPU of workers, partitions, order, and crashes.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Final

from msgspec import Struct

from bench.scale.clock import Clock
from server.sink.spool.pace import ReplayPace

STEP_S: Final = 0.1
ROOM_S: Final = 2.0
CALM_S: Final = 10.0  # Before the outage: the pace measures the usual load.


class Fleet(Struct, frozen=True, kw_only=True):
    """``per_s`` is the load of one host; ``capacity`` is that of the brokers over the load of all; ``window_s`` is
    the number of events that may be with the brokers, as seconds of their capacity; ``keys`` is how many each host has
    (0: an event never waits for its key); ``retries``: refused events come again after a second."""

    hosts: int = 1
    per_s: float = 5000.0
    capacity: float = 3.0
    outage_s: float = 60.0
    window_s: float = 0.5
    timeout_s: float = 5.0
    keys: int = 0
    spool_events: float = 15e6
    replay_per_s: float = 20000.0
    is_paced: bool = True
    retries: bool = True


class Outcome(Struct, kw_only=True):
    """``empty_s`` is how long after the outage all spools were empty; None: not within the time that was simulated.
    ``wasted`` events were served after they had timed out. ``kept`` of those that ``came`` are
    acked, wait, or are on their way. ``waiting`` is a course: seconds, events in all spools."""

    empty_s: float | None
    wasted: float
    refused: float
    peak: float
    came: float
    kept: float
    waiting: list[tuple[float, float]]


class _Lot(Struct):
    at: float
    count: float
    host: _Host
    is_replay: bool
    is_late: bool = False


class _Host:
    def __init__(self, fleet: Fleet, clock: Clock, brokers: _Brokers, phase_s: float) -> None:
        self.fleet, self.clock, self.brokers = fleet, clock, brokers
        self.pace = ReplayPace(fleet.replay_per_s)
        self.queue: deque[_Lot] = deque()
        self.out: deque[_Lot] = deque()
        self.waiting = self.acked = self.put = self.refused = self.again = self.in_flight = self.queued = 0.0
        self.replaying = self.came = self.done = 0.0
        self.late_until = 0.0
        self.was_away = False
        clock.every(STEP_S, self._step, phase_s)

    def _step(self) -> None:
        fleet, now = self.fleet, self.clock.now
        self._time_out(now)
        self.came += fleet.per_s * STEP_S
        new = fleet.per_s * STEP_S + self.again * STEP_S
        self.again -= self.again * STEP_S
        has_no_room = self.queued > ROOM_S * fleet.per_s
        behind = 1.0 if has_no_room else 1 - math.exp(-self.waiting / fleet.keys) if fleet.keys else 0.0
        self._spool(new * behind, is_new=True)
        self._send(new * (1 - behind), is_replay=False)
        if self.brokers.is_away:
            self.was_away = True
        elif self.was_away:
            self.was_away = False
            self.pace.begin_again(now)
        self.pace.look(now, int(self.acked), int(self.put), int(self.waiting))
        wanted = min(self.waiting, self.pace.draw(now) if fleet.is_paced else self.waiting)
        if wanted > 0 and not self.brokers.is_away and now >= self.late_until and self.replaying < 1:
            self.waiting -= wanted
            self.pace.spend(int(wanted))
            self.replaying += wanted
            self._send(wanted, is_replay=True)
        self._fill()

    def _spool(self, count: float, *, is_new: bool) -> None:
        taken = max(0.0, min(count, self.fleet.spool_events - self.waiting)) if is_new else count
        self.waiting += taken
        if is_new:
            self.put += taken
        self.refused += count - taken
        if self.fleet.retries:
            self.again += count - taken

    def _send(self, count: float, *, is_replay: bool) -> None:
        if count > 0:
            self.queue.append(_Lot(self.clock.now, count, self, is_replay))
            self.queued += count

    def _fill(self) -> None:
        window = self.fleet.window_s * self.fleet.capacity * self.fleet.per_s
        while self.queue and self.in_flight < window - 1:
            lot = self.queue[0]
            part = min(lot.count, window - self.in_flight)
            lot.count -= part
            self.queued -= part
            self.in_flight += part
            sent = _Lot(lot.at, part, self, lot.is_replay)
            self.out.append(sent)
            self.brokers.take(sent)
            if lot.count <= 1e-9:
                self.queue.popleft()

    def _time_out(self, now: float) -> None:
        while self.queue and now - self.queue[0].at > self.fleet.timeout_s:
            lot = self.queue.popleft()
            self.queued -= lot.count
            self._failed(lot, now)
        while self.out and now - self.out[0].at > self.fleet.timeout_s:
            lot = self.out.popleft()
            if lot.count > 0:
                lot.is_late = True
                self.late_until = now + self.fleet.timeout_s
                self._failed(lot, now)

    def _failed(self, lot: _Lot, now: float) -> None:
        self.replaying -= lot.count if lot.is_replay else 0.0
        self.pace.begin_again(now)
        self._spool(lot.count, is_new=False)

    @property
    def kept(self) -> float:
        """The events that are acked, wait, or are on their way."""
        return self.done + self.waiting + self.queued + sum(lot.count for lot in self.out)

    def on_ack(self, lot: _Lot, count: float) -> None:
        self.in_flight -= count
        if not lot.is_late:
            self.done += count
            if lot.is_replay:
                self.replaying = max(0.0, self.replaying - count)
            else:
                self.acked += count


class _Brokers:
    def __init__(self, fleet: Fleet, clock: Clock) -> None:
        self.fleet, self.clock = fleet, clock
        self.queue: deque[_Lot] = deque()
        self.is_away = False
        self.wasted = self.peak = 0.0
        clock.every(STEP_S, self._step, STEP_S)

    def take(self, lot: _Lot) -> None:
        self.queue.append(lot)

    def _step(self) -> None:
        left = 0.0 if self.is_away else self.fleet.capacity * self.fleet.per_s * self.fleet.hosts * STEP_S
        served = 0.0
        while left > 1e-9 and self.queue:
            lot = self.queue[0]
            part = min(lot.count, left)
            left -= part
            served += part
            self.wasted += part if lot.is_late else 0.0
            lot.count -= part
            if lot.count <= 1e-9:
                self.queue.popleft()
            lot.host.on_ack(lot, part)
        self.peak = max(self.peak, served / (self.fleet.per_s * self.fleet.hosts * STEP_S))


def simulate(fleet: Fleet, most: float = 6.0) -> Outcome:
    """One outage, and up to ``most`` times its length and a minute of the way back."""
    clock = Clock()
    brokers = _Brokers(fleet, clock)
    hosts = [_Host(fleet, clock, brokers, STEP_S * number / fleet.hosts) for number in range(fleet.hosts)]
    back_at = CALM_S + fleet.outage_s
    course: list[tuple[float, float]] = []

    def begin() -> None:
        brokers.is_away = True

    def end() -> None:
        brokers.is_away = False

    clock.at(CALM_S, begin)
    clock.at(back_at, end)
    clock.every(1.0, lambda: course.append((clock.now - CALM_S, sum(host.waiting for host in hosts))), 0.05)

    def is_done() -> bool:
        return clock.now > back_at + 1 and all(host.waiting + host.replaying < 1 for host in hosts)

    clock.run(is_done, back_at + most * fleet.outage_s + 60)
    return Outcome(
        empty_s=clock.now - back_at if is_done() else None,
        wasted=brokers.wasted,
        refused=sum(host.refused for host in hosts),
        peak=brokers.peak,
        came=sum(host.came for host in hosts),
        kept=sum(host.kept for host in hosts),
        waiting=course,
    )
