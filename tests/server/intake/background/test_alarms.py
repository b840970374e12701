"""server.intake.background.alarms: an event a minute for each expectation that events fail, from one worker."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from server.boot.generation import read
from server.intake.background import alarms
from server.intake.background.alarms import ExpectationAlarms
from server.intake.background.counts import CheckName
from server.intake.event import Event
from server.intake.pipeline import make_pipeline
from server.log import Limited
from server.shared.row import State
from server.shared.scoreboard import Scoreboard
from server.worker.background import make_alarms

STARTED = 1_767_323_045.0  # 2026-01-02T03:04:05Z


class Made:
    """Alarms over a list in place of a sink, with a clock and counts that a test sets."""

    def __init__(self, settings_path: Path, *overrides: str) -> None:
        self.now = STARTED
        self.is_first = True
        self.answer: str | None = None
        self.lines: dict[str, list[int]] = {}
        self.sent: list[dict[str, Any]] = []
        generation = read(settings_path, ["intake.alarm_stream=our.alarms", "service_name=me", *overrides])
        pipeline = make_pipeline(generation.config, generation.schemas.find, generation.snapshot.find)
        self.alarms = ExpectationAlarms(
            generation.config, pipeline, self._submit, lambda: self.lines, lambda: self.is_first, lambda: self.now
        )

    def _submit(self, event: Event) -> str | None:
        self.sent.append({**json.loads(event.value), "topic": event.topic})
        return self.answer

    def count(self, rule: str, judged: int, failed: int, stream: str = "odd") -> None:
        self.lines[CheckName(stream, "expect", "", rule).line()] = [judged, failed, 0, 0]

    def told(self, after_s: float = 60) -> list[tuple[str, str, int, int]]:
        """Let time pass, and return what was told in it."""
        self.now += after_s
        before = len(self.sent)
        self.alarms.look()
        return [(one["stream"], one["expectation"], one["judged"], one["failed"]) for one in self.sent[before:]]


@pytest.fixture
def made(settings_path: Path) -> Made:
    return Made(settings_path)


def test_an_alarm_says_which_expectation_of_which_stream_failed_how_often_and_when(made: Made) -> None:
    made.count("a", 100, 3)
    made.told()

    (sent,) = made.sent
    assert {key: value for key, value in sent.items() if key not in ("meta", "dt")} == {
        "$schema": "/penstock/expectation_alarm/1.0.0",
        "emitter_id": "me",
        "stream": "odd",
        "expectation": "a",
        "judged": 100,
        "failed": 3,
        "since": "2026-01-02T03:04:00Z",
        "until": "2026-01-02T03:05:00Z",
        "topic": "our.alarms",
    }
    assert sent["meta"]["stream"] == "our.alarms"


def test_there_is_at_most_one_a_minute_for_each_and_none_for_a_minute_without_failures(made: Made) -> None:
    made.count("a", 100, 3)
    made.count("b", 100, 0)

    assert made.told(20) == []
    assert made.told(40) == [("odd", "a", 100, 3)]
    made.count("a", 150, 4)
    assert [made.told(1) for _ in range(50)] == [[]] * 50
    made.count("b", 150, 40)
    assert made.told(10) == [("odd", "a", 50, 1), ("odd", "b", 50, 40)]
    assert made.told(60) == []


def test_other_lines_raise_no_alarm(made: Made) -> None:
    made.count("", 9, 9)
    made.lines[CheckName("odd", "shadow", "1.0.0", "#/required").line()] = [9, 9, 9, 9]
    made.lines["(others)"] = [9, 9, 9, 9]

    assert made.told() == []


def test_a_clock_that_is_set_back_raises_no_alarm_twice_and_loses_none(made: Made) -> None:
    made.count("a", 100, 3)

    assert made.told(60) == [("odd", "a", 100, 3)]
    assert made.told(-3600) == []
    made.count("a", 110, 4)
    assert made.told(60) == [("odd", "a", 10, 1)]
    assert made.told(3600) == []


def test_another_worker_notes_the_counts_and_goes_on_from_there(made: Made) -> None:
    made.is_first = False
    made.count("a", 100, 3)
    assert made.told() == []

    made.is_first = True
    made.count("a", 110, 5)
    assert made.told() == [("odd", "a", 10, 2)]


def test_failures_before_the_worker_began_raise_no_alarm(settings_path: Path, made: Made) -> None:
    made.count("a", 100, 3)
    pipeline = made.alarms._pipeline
    later = ExpectationAlarms(
        read(settings_path, ["intake.alarm_stream=our.alarms"]).config,
        pipeline,
        made._submit,
        lambda: made.lines,
        lambda: True,
        lambda: made.now,
    )
    made.now += 60
    later.look()

    assert made.sent == []


def test_without_a_stream_there_are_no_alarms(settings_path: Path) -> None:
    made = Made(settings_path, "intake.alarm_stream=''")
    made.count("a", 100, 3)

    assert made.told() == []


@pytest.mark.parametrize("overrides", [("intake.alarm_stream=plain",), ()], ids=["no stream of its schema", "away"])
def test_an_alarm_that_cannot_be_sent_is_told_in_the_log(
    settings_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    overrides: tuple[str, ...],
) -> None:
    monkeypatch.setattr(alarms, "_limited", Limited(logging.getLogger("intake")))
    made = Made(settings_path, *overrides)
    made.answer = "queue_full"
    made.count("a", 100, 3)
    made.told()

    assert "an alarm of an expectation was not sent" in caplog.text


def test_alarms_of_one_minute_are_bounded(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alarms, "MOST_EVENTS", 3)
    for number in range(9):
        made.count(f"rule {number}", 1, 1)

    assert len(made.told()) == 3


def test_the_first_worker_is_the_ready_one_of_the_newest_generation_and_the_lowest_slot(settings_path: Path) -> None:
    config = read(settings_path, ["intake.alarm_stream=our.alarms"]).config
    board = Scoreboard(8)

    def row(slot: int, generation: int, state: State = State.READY) -> Any:
        claimed = board.claim(slot, generation)
        assert claimed is not None
        claimed.set_state(state)
        return claimed

    rows = [row(-1, 2), row(0, 1), row(1, 1), row(0, 2, State.BOOTING), row(1, 2)]
    none: Any = None

    def first() -> list[int]:
        made = [make_alarms(config, none, none, each) for each in rows]
        return [at for at, each in enumerate(made) if each._is_first()]

    assert first() == [4]
    rows[3].set_state(State.READY)
    assert first() == [3]
    for each in rows[3:]:
        each.set_state(State.DRAINING)
    assert first() == [1]
    for each in rows[1:]:
        each.set_state(State.DRAINING)
    assert first() == []
