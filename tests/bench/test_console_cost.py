"""The comparison of the console's cost judges by ratios within each start."""

from __future__ import annotations

from bench.console_cost import OFF, ON, SIDES, VIEWED, is_too_much, judged, table
from bench.measure import Usage
from bench.rounds import Round


def round_of(events: int, cpu_s: float) -> Round:
    return Round(events, 1.0, Usage(user_s=cpu_s), 0, 0)


def measured(on: float, viewed: float) -> dict[str, dict[str, list[list[Round]]]]:
    """Rounds of three starts on machines of different speed; ``on`` and ``viewed`` are shares of the throughput."""
    share = {OFF: 1.0, ON: on, VIEWED: viewed}
    return {
        "single-hasty": {
            side: [[round_of(int(speed * share[side]), 1.0)] * 2 for speed in (10_000, 20_000, 40_000)]
            for side in SIDES
        }
    }


def test_speeds_of_the_machine_are_no_difference_and_a_cost_is_one() -> None:
    results = judged(measured(0.98, 0.85))

    assert results["single-hasty"][ON]["throughput_ratio"] == [0.98] * 3
    assert results["single-hasty"][VIEWED]["cpu_ratio"][0] == 1.1765
    assert is_too_much(results)
    assert not is_too_much(judged(measured(0.98, 0.92)))


def test_the_table_has_a_line_for_each_side() -> None:
    lines = table(judged(measured(0.98, 0.9))).splitlines()

    assert len(lines) == 1 + len(SIDES)
    assert "-2.0%" in lines[2] and "-10.0%" in lines[3]
