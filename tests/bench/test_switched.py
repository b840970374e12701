"""The comparison of something switched on and off judges by ratios within each start."""

from __future__ import annotations

from pathlib import Path

import yaml

from bench.events import workload
from bench.measure import Usage
from bench.rounds import Round
from bench.switched import CONSOLE, Side, given, is_too_much, judged, table


def round_of(events: int, cpu_s: float) -> Round:
    return Round(events, 1.0, Usage(user_s=cpu_s), 0, 0)


def measured(on: float, viewed: float) -> dict[str, dict[str, list[list[Round]]]]:
    """Rounds of three starts on machines of different speed; ``on`` and ``viewed`` are shares of the throughput."""
    share = {"off": 1.0, "on": on, "viewed": viewed}
    return {
        "single-hasty": {
            side: [[round_of(int(speed * share[side]), 1.0)] * 2 for speed in (10_000, 20_000, 40_000)]
            for side in share
        }
    }


def test_speeds_of_the_machine_are_no_difference_and_a_cost_is_one() -> None:
    results = judged(measured(0.98, 0.85))

    assert results["single-hasty"]["on"]["throughput_ratio"] == [0.98] * 3
    assert results["single-hasty"]["viewed"]["cpu_ratio"][0] == 1.1765
    assert is_too_much(CONSOLE, results)
    assert not is_too_much(CONSOLE, judged(measured(0.98, 0.92)))


def test_the_table_has_a_line_for_each_side() -> None:
    lines = table(CONSOLE, judged(measured(0.98, 0.9))).splitlines()

    assert len(lines) == 1 + len(CONSOLE)
    assert "-2.0%" in lines[2] and "-10.0%" in lines[3]


def test_a_shadow_schema_is_declared_for_the_streams_of_the_events(tmp_path: Path) -> None:
    events = workload("example")
    shadowed = given(Side("on", "on", shadow="1.0.0"), events, tmp_path)
    streams = yaml.safe_load(shadowed.streams.read_text())["streams"]

    assert given(Side("off", "off"), events, tmp_path) is events
    assert shadowed == events._replace(streams=shadowed.streams)
    assert streams["web.page_view"]["producers"]["eventgate"].items() >= {"shadow_schema": "1.0.0"}.items()
