"""What operators see of canaries: ages that no clock makes young again, and canaries that no run has tried."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from server.admin.canaries import Canaries, page, said
from server.canary.state import CanaryState, Row, write_state
from server.catalog.snapshot import Snapshot, build
from server.catalog.sources import read_files
from server.config.settings import Config

PERIOD_S = 300.0
DAY_S = 86_400.0
NOW_S = 1_790_000_000.0


@pytest.fixture
def snapshot(tmp_path: Path) -> Snapshot:
    (tmp_path / "streams.yaml").write_text("streams: {s: {schema_title: a/b}}")
    return build(read_files([tmp_path / "streams.yaml"]), topic_prefix="", wiki=None)


@pytest.fixture
def canaries(tmp_path: Path) -> Canaries:
    return Canaries(msgspec.convert({"canary": {"targets": {"t": "http://t.example"}}}, Config), tmp_path)


def keep(directory: Path, *, ended_s: float, success_s: float) -> None:
    row = Row("s", "t", True, "done", "", 1.0, success_s - DAY_S, ended_s, success_s)
    write_state(directory, CanaryState("run", ended_s - 1, ended_s, PERIOD_S, 1, "host", [row]))


def test_a_canary_that_no_run_has_tried_is_pending_for_two_periods_and_then_failing(
    canaries: Canaries, snapshot: Snapshot
) -> None:
    new = canaries.look(snapshot, NOW_S, NOW_S + 2 * PERIOD_S - 1)
    old = canaries.look(snapshot, NOW_S, NOW_S + 2 * PERIOD_S)

    assert [said(one)["canaries"][0]["condition"] for one in (new, old)] == ["pending", "failing"]
    assert old.expected[0].age_s == 2 * PERIOD_S
    assert "failing: no run has tried it; never ok" in page(old)


def test_ages_grow_by_a_steady_clock_where_that_of_the_host_was_ahead(
    canaries: Canaries, snapshot: Snapshot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steady_s = 100.0
    monkeypatch.setattr("server.admin.canaries.time.monotonic", lambda: steady_s)
    keep(tmp_path, ended_s=NOW_S + DAY_S, success_s=NOW_S + DAY_S)  # Then the clock was set right.
    assert canaries.look(snapshot, NOW_S, NOW_S).expected[0].age_s == 0
    steady_s += 5 * PERIOD_S
    view = canaries.look(snapshot, NOW_S, NOW_S + 5 * PERIOD_S)
    assert (view.expected[0].age_s, view.silent_s) == (5 * PERIOD_S, 5 * PERIOD_S)

    keep(tmp_path, ended_s=NOW_S + 5 * PERIOD_S, success_s=NOW_S)
    view = canaries.look(snapshot, NOW_S, NOW_S + 5 * PERIOD_S)
    assert (view.expected[0].age_s, view.silent_s) == (5 * PERIOD_S, 0)
