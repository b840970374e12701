"""A minute in the life of a service whose processes are killed, told to drain and reloaded all the time.

``CHURN_S=60`` for the whole minute; the default is short.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.process.load import STREAM, Load, Outcome
from tests.process.served import Served

CHURN_S = float(os.environ.get("CHURN_S", "8"))
NOTICED_S = 1.0  # A client learns of the death of its worker at once, but shares two cores with everybody.


async def torment(service: Served, load: Load) -> list[float]:
    """Until the load is over: kill a worker, tell one to drain, reload. Returns when something was killed."""
    kills = []
    chance = random.Random(7)
    end = time.monotonic() + load.for_s - 1.0
    blows = ["kill", "hup", "term"]
    while time.monotonic() < end:
        for blow in blows:
            await asyncio.sleep(chance.uniform(0.3, 0.9))
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


@pytest.mark.timeout(CHURN_S * 2 + 60)
def test_only_a_kill_breaks_connections_and_what_was_guaranteed_is_there_once(tmp_path: Path) -> None:
    """Nobody is refused, reset or left hanging but by the kill itself; no guaranteed 2xx is missing, none is twice."""
    with Served(tmp_path, process={"beat_s": 0.1}) as service:

        async def both() -> tuple[list[Outcome], list[float]]:
            load = Load(service.address, CHURN_S)
            outcomes, kills = await asyncio.gather(load.run(), torment(service, load))
            return outcomes, kills

        outcomes, kills = asyncio.run(both())
        service.signal(signal.SIGTERM)
        code = service.exit_code(20.0)
        stored = Counter(event["value"]["count"] for event in service.events() if event["topic"] == STREAM)

        broken = [outcome for outcome in outcomes if outcome.end != "answered" and not is_by_a_kill(outcome, kills)]
        assert broken == []
        assert {outcome.status for outcome in outcomes if outcome.end == "answered"} == {201, 202}
        promised = [outcome for outcome in outcomes if outcome.is_accepted() and not outcome.is_hasty]
        assert len(promised) > 100 * CHURN_S
        assert [number for outcome in promised for number in outcome.numbers if stored[number] != 1] == []
        assert [number for number, times in stored.items() if times > 1] == []
        assert code == 0
        assert "unexpected" not in service.log()
