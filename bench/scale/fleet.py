"""Simulate hosts with spools in front of brokers: an outage, and the way back.

Place: bench.scale.report → HERE → host, clock.
Rules: there is no chance in it. All brokers are away at once, and answer again at once.
Not here: a host and the brokers (host), which fleets are tried (report).
"""

from __future__ import annotations

from msgspec import Struct

from bench.scale.clock import Clock
from bench.scale.host import STEP_S, Brokers, Fleet, Host

CALM_S = 10.0  # Before the outage: the pace measures the usual load.


class Outcome(Struct, kw_only=True):
    """``empty_s`` is how long after the outage all spools were empty; None: not within the time that was simulated.
    ``wasted`` events were served after they had timed out. ``peak`` is the most that the brokers served, over the
    usual load. ``kept`` of those that ``came`` are acked, wait, or are on their way. ``waiting`` is a course: seconds,
    events in all spools."""

    empty_s: float | None
    wasted: float
    refused: float
    peak: float
    came: float
    kept: float
    waiting: list[tuple[float, float]]


def simulate(fleet: Fleet, most: float = 6.0) -> Outcome:
    """One outage, and up to ``most`` times its length and a minute of the way back."""
    clock = Clock()
    brokers = Brokers(fleet, clock)
    hosts = [Host(fleet, clock, brokers, STEP_S * number / fleet.hosts) for number in range(fleet.hosts)]
    back_at = CALM_S + fleet.outage_s
    course: list[tuple[float, float]] = []

    clock.at(CALM_S, brokers.go)
    clock.at(back_at, brokers.come_back)
    clock.every(1.0, lambda: course.append((clock.now - CALM_S, sum(host.waiting for host in hosts))), 0.05)

    def is_done() -> bool:
        return clock.now > back_at + 1 and all(host.spooled < 1 for host in hosts)

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
