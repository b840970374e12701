"""The simulated fleets: what is kept is what the code gives, and agrees with what was measured."""

from __future__ import annotations

import json

from bench.scale import draw
from bench.scale.clock import Clock
from bench.scale.fleet import simulate
from bench.scale.host import Fleet
from bench.scale.report import KEPT, RESULTS, WITHIN, agreement, measured, off_by
from tests.harness.running import ROOT

FIGURES = json.loads(KEPT.read_text(encoding="utf-8"))
# The rows that do not agree, by workers, load, keys and outage: docs/designs/scale.md says what is known of each.
APART = [(2, 3000, 2000, 6.0), (4, 300, 50, 6.0)]


def test_calls_come_in_the_order_of_their_instants_and_then_of_the_asking() -> None:
    clock, heard = Clock(), []
    for when, name in ((2.0, "c"), (1.0, "a"), (1.0, "b"), (9.0, "too late")):
        clock.at(when, lambda name=name: heard.append((clock.now, name)))  # type: ignore[misc]
    clock.run(lambda: False, 5.0)

    assert heard == [(1.0, "a"), (1.0, "b"), (2.0, "c")]


def test_the_simulation_agrees_with_the_measured_way_back_within_a_fifth() -> None:
    rows = measured()
    apart = [row for row in rows if row["is_modelled"] and ((off := off_by(row)) is None or abs(off) > WITHIN)]

    assert rows == FIGURES["measured"]
    assert {row["workers"] for row in rows} == {1, 2, 4}
    assert [(row["workers"], row["per_s"], row["keys"], row["outage_s"]) for row in apart] == APART


def test_the_page_shows_each_measured_row_next_to_the_simulated_one() -> None:
    assert agreement(FIGURES["measured"]) in (ROOT / "docs" / "designs" / "scale.md").read_text("utf-8")


def test_the_kept_figures_are_those_of_the_code() -> None:
    for row in (FIGURES["way_back"][3], FIGURES["windows"][-1], FIGURES["windows"][0]):
        outcome = simulate(Fleet(capacity=row["capacity"], outage_s=row["outage_s"], window_s=row["window_s"]))

        assert row["empty_s"] == (None if outcome.empty_s is None else round(outcome.empty_s, 1))


def test_no_event_is_lost_or_made() -> None:
    """Each event that came in is acked, waits, is on its way, or was refused, in all the ways that events take."""
    fleets = (
        Fleet(per_s=100.0, outage_s=20.0, window_s=8.0, capacity=1.2),
        Fleet(per_s=100.0, outage_s=20.0, capacity=1.2, keys=50, guaranteed=0.1, fresh_per_s=10.0, retries=False),
        Fleet(per_s=100.0, outage_s=20.0, capacity=1.02, keys=5, is_cyclic=True, spool_events=1500.0),
    )
    for fleet in fleets:
        outcome = simulate(fleet, most=0.5)

        assert abs(outcome.came - outcome.kept - outcome.refused) < 1e-3


def test_the_pictures_are_those_of_the_figures() -> None:
    for file, text in draw.pictures(FIGURES).items():
        assert (RESULTS / file).read_text(encoding="utf-8") == text
