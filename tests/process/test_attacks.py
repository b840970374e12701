"""A small part of every attack ends in the documented answer, and nobody else notices. `make attack` runs the whole.

The bystander here is one client that sends an event every few milliseconds and must always be answered 202.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.attacks.arena import Arena
from bench.attacks.table import ATTACKS, Attack, by_name, wrong
from bench.attacks.wire import Outcome, Target, ask, post
from bench.events import workload

SCALE = 0.005
PATIENCE_S = 1.0  # Of the server with those who wait; the others must not meet it on a busy machine.
LONG_S = 10.0
GROWN_MB = 64.0
PAUSE_S = 0.005

QUICK = [attack for attack in ATTACKS if not attack.is_patient and not attack.needs_site]
PATIENT = [attack for attack in ATTACKS if attack.is_patient]


@pytest.fixture(scope="module")
def arena(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arena]:
    with Arena(tmp_path_factory.mktemp("arena"), patience_s=LONG_S) as arena:
        yield arena


async def _beside(target: Target, *attacks: Attack) -> tuple[list[Outcome], Outcome]:
    """Run the attacks together, with the bystander. What came back to each, and to the bystander."""
    is_over = asyncio.Event()
    raw = post(workload("example").events[0], target="/v1/events?hasty=true")

    async def bystander() -> Outcome:
        answers: Outcome = Counter()
        while not is_over.is_set() or not answers:
            answers[await ask(target, raw, "127.0.0.2")] += 1
            await asyncio.sleep(PAUSE_S)
        return answers

    watching = asyncio.create_task(bystander())
    outcomes = await asyncio.gather(*(attack.run(target) for attack in attacks))
    is_over.set()
    return outcomes, await watching


def _run(arena: Arena, *attacks: Attack) -> None:
    start_mb = arena.resident_mb()
    arena.begin()
    outcomes, answers = asyncio.run(_beside(arena.target(SCALE), *attacks))
    findings = {attack.name: wrong(attack, outcome) for attack, outcome in zip(attacks, outcomes, strict=True)}

    assert {name: finding for name, finding in findings.items() if finding} == {}
    assert answers.keys() == {"202"}
    assert arena.trouble() == ""
    assert arena.peak_mb() - start_mb < GROWN_MB


@pytest.mark.parametrize("attack", QUICK, ids=lambda attack: attack.name)
def test_an_attack_ends_as_documented_and_a_bystander_is_served(arena: Arena, attack: Attack) -> None:
    _run(arena, attack)


def test_those_that_wait_are_cut_off_all_at_once_while_a_bystander_is_served(tmp_path: Path) -> None:
    with Arena(tmp_path, patience_s=PATIENCE_S) as arena:
        _run(arena, *PATIENT)


def test_schemas_at_urls_lead_nowhere_else_and_are_not_fetched_without_end(tmp_path: Path) -> None:
    with Arena(tmp_path, patience_s=LONG_S, has_site=True) as arena:
        _run(arena, *(attack for attack in ATTACKS if attack.needs_site))


def test_reports_of_invalid_events_stay_within_their_rate(arena: Arena) -> None:
    before, began = arena.error_events(), time.monotonic()
    asyncio.run(_beside(arena.target(0.1), by_name("invalid events without end")))
    told = arena.error_events() - before

    assert 0 < told <= 100 + 100 * (time.monotonic() - began)  # 10,000 were invalid.


def test_what_is_not_documented_is_a_finding() -> None:
    attack = by_name("broken UTF-8")

    assert wrong(attack, Counter({"400": 3})) == ""
    assert wrong(attack, Counter({"400": 3, "500": 1, "400 without nosniff": 2})) == "1 x 500, 2 x 400 without nosniff"
    assert wrong(attack, Counter()) == "nothing came back"
