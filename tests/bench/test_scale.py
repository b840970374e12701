"""The simulated fleets: what is kept is what the code gives, and agrees with what was measured."""

from __future__ import annotations

import json

from bench.scale import draw
from bench.scale.clock import Clock
from bench.scale.fleet import Fleet, simulate
from bench.scale.report import KEPT, RESULTS, measured

FIGURES = json.loads(KEPT.read_text(encoding="utf-8"))


def test_calls_come_in_the_order_of_their_instants_and_then_of_the_asking() -> None:
    clock, heard = Clock(), []
    for when, name in ((2.0, "c"), (1.0, "a"), (1.0, "b"), (9.0, "too late")):
        clock.at(when, lambda name=name: heard.append((clock.now, name)))  # type: ignore[misc]
    clock.run(lambda: False, 5.0)

    assert heard == [(1.0, "a"), (1.0, "b"), (2.0, "c")]


def test_the_simulation_agrees_with_the_measured_way_back_within_a_fifth() -> None:
    rows = measured()

    assert rows == FIGURES["measured"]
    assert [row for row in rows if abs(row["simulated_s"] / row["measured_s"] - 1) > 0.2] == []


def test_the_kept_figures_are_those_of_the_code() -> None:
    for row in (FIGURES["way_back"][3], FIGURES["windows"][-1], FIGURES["windows"][0]):
        outcome = simulate(Fleet(capacity=row["capacity"], outage_s=row["outage_s"], window_s=row["window_s"]))

        assert row["empty_s"] == (None if outcome.empty_s is None else round(outcome.empty_s, 1))


def test_no_event_is_lost_or_made() -> None:
    """Each event that came in is acked, waits, or is on its way, also after others have timed out."""
    outcome = simulate(Fleet(per_s=100.0, outage_s=20.0, window_s=8.0, capacity=1.2, retries=False), most=0.0)

    assert abs(outcome.came - outcome.kept - outcome.refused) < 1e-3


def test_the_pictures_are_those_of_the_figures() -> None:
    for file, text in draw.pictures(FIGURES).items():
        assert (RESULTS / file).read_text(encoding="utf-8") == text
