"""Trouble for a service under load: its processes are killed, told to drain and reloaded all the time.

``CHURN_S=60`` for a whole minute; the default is short.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections import Counter

from tests.harness.served import Served
from tests.process.load import Load, Outcome

CHURN_S = float(os.environ.get("CHURN_S", "8"))
NOTICED_S = 5.0  # A client learns of the death of its worker at once, but shares two cores with everybody.
MANY = 100  # Far fewer than come in a second: how many there are is the machine's.


async def torment(service: Served, load: Load) -> list[float]:
    """Until the load is over: kill a worker, tell one to drain, reload. Returns when something was killed."""
    kills = []
    chance = random.Random(7)
    end = time.monotonic() + load.for_s - 1.0
    blows = ["kill", "hup", "term"]
    while time.monotonic() < end:
        for blow in blows:
            await asyncio.sleep(chance.uniform(0.3, 0.9))
            if time.monotonic() >= end:  # A worker that dies while the service stops has not drained.
                break
            victim = chance.choice(sorted(service.workers()) or [0])
            if blow == "hup":
                service.signal(signal.SIGHUP)
            elif victim:
                try:
                    os.kill(victim, signal.SIGKILL if blow == "kill" else signal.SIGTERM)
                except ProcessLookupError:
                    continue  # It had drained already.
                if blow == "kill":
                    kills.append(time.monotonic())
        chance.shuffle(blows)
    return kills


def is_by_a_kill(outcome: Outcome, kills: list[float]) -> bool:
    """The connection was open when a worker was killed, and broke then."""
    return outcome.end in ("reset", "eof") and any(
        outcome.opened_at <= kill <= outcome.ended_at <= kill + NOTICED_S for kill in kills
    )


def churn(service: Served) -> tuple[list[Outcome], list[float]]:
    """Load and torment for CHURN_S: what became of every request, and when something was killed."""

    async def both() -> tuple[list[Outcome], list[float]]:
        load = Load(service.address, CHURN_S)
        outcomes, kills = await asyncio.gather(load.run(), torment(service, load))
        return outcomes, kills

    return asyncio.run(both())


def assert_kept(outcomes: list[Outcome], kills: list[float], stored: Counter[int]) -> None:
    """Nobody was refused, reset or left hanging but by a kill; no guaranteed 2xx is missing, nothing is twice."""
    broken = [outcome for outcome in outcomes if outcome.end != "answered" and not is_by_a_kill(outcome, kills)]
    assert broken == []
    assert {outcome.status for outcome in outcomes if outcome.end == "answered"} == {201, 202}
    promised = [outcome for outcome in outcomes if outcome.is_accepted() and not outcome.is_hasty]
    assert len(promised) > MANY
    assert [number for outcome in promised for number in outcome.numbers if stored[number] != 1] == []
    assert [number for number, times in stored.items() if times > 1] == []
