"""What is kept of canaries: ages, what is pending, and a file that is whole or absent."""

from __future__ import annotations

from pathlib import Path

from server.canary.plan import Check
from server.canary.run import Outcome
from server.canary.state import FILE, CanaryState, expected_rows, read_state, rows_of, write_state
from server.canary.verdict import Verdict

CHECK = Check("s", "t", "http://t", "topic", "a/b")
OTHER = Check("new", "t", "http://t", "topic", "a/b")


def outcome(check: Check, stage: str, ended_s: float) -> Outcome:
    return Outcome(
        check, Verdict(stage, "" if stage == "done" else "why"), ended_s, 0.0123 if stage == "done" else None
    )


def state(*outcomes: Outcome, before: CanaryState | None = None, began_s: float = 100.0) -> CanaryState:
    return CanaryState("run", began_s, began_s + 9, 300.0, 1, "host", rows_of(outcomes, before, began_s))


def test_the_age_is_that_of_the_last_success_whatever_failed_since() -> None:
    first = state(outcome(CHECK, "done", 101.0))
    second = state(outcome(CHECK, "http", 402.0), before=first, began_s=400.0)
    (row,) = second.rows

    assert (row.ok, row.stage, row.detail, row.roundtrip_ms) == (False, "http", "why", None)
    assert (row.since_s, row.success_s, row.tried_s) == (100.0, 101.0, 402.0)
    assert row.age_s(501.0) == 400.0
    assert row.condition(402.0, 300.0) == "failing"
    assert first.is_good and not second.is_good
    assert first.rows[0].roundtrip_ms == 12.3


def test_a_new_stream_without_success_is_pending_for_two_periods() -> None:
    (row,) = state(outcome(OTHER, "kafka", 101.0)).rows

    assert row.condition(699.0, 300.0) == "pending"
    assert row.condition(700.0, 300.0) == "failing"
    assert row.age_s(700.0) == 600.0


def test_a_row_lives_as_long_as_its_stream_is_expected() -> None:
    first = state(outcome(CHECK, "done", 101.0), outcome(OTHER, "done", 101.0))
    second = state(outcome(OTHER, "done", 401.0), before=first, began_s=400.0)

    assert [row.stream for row in second.rows] == ["new"]
    assert expected_rows([CHECK, OTHER], second) == [(CHECK, None), (OTHER, second.rows[0])]


def test_no_canary_at_all_is_not_good() -> None:
    assert not state().is_good


def test_the_file_is_whole_or_counts_as_absent(tmp_path: Path) -> None:
    written = state(outcome(CHECK, "done", 101.0))

    assert read_state(tmp_path) is None
    write_state(tmp_path, written)
    assert read_state(tmp_path) == written
    assert [path.name for path in tmp_path.iterdir()] == [FILE]
    (tmp_path / FILE).write_bytes((tmp_path / FILE).read_bytes()[:-9])
    assert read_state(tmp_path) is None


def test_times_of_a_clock_that_was_ahead_are_those_of_the_next_run() -> None:
    first = state(outcome(CHECK, "done", 90_101.0), began_s=90_100.0)
    (row,) = state(outcome(CHECK, "http", 402.0), before=first, began_s=400.0).rows

    assert (row.since_s, row.success_s) == (400.0, 400.0)
    assert row.age_s(1400.0) == 1000.0
