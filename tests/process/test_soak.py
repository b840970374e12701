"""The soak finds no broken promise in the service, and finds those that are made up for it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from server.soak.clients import Sent
from server.soak.faults import Fault
from server.soak.reader import Read
from server.soak.verdict import judge
from tests.process.running import ROOT

MINUTES = "0.7"


@pytest.mark.timeout(240)
def test_a_short_soak_breaks_no_promise(tmp_path: Path) -> None:
    report = tmp_path / "soak.json"
    command = [sys.executable, "-m", "server", "soak", "--seed", "1", "--minutes", MINUTES, "--report", str(report)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=220)

    assert done.returncode == 0, done.stdout + done.stderr
    outcome = json.loads(report.read_text())
    assert outcome["verdict"]["violations"] == []
    assert outcome["verdict"]["once"] > 500
    assert len(outcome["faults"]) > 3


@pytest.mark.parametrize("arguments", [["--minutes", "0"], ["--minutes", "x"], ["--kafka", "/nowhere"]])
def test_wrong_command_lines_end_with_2(arguments: list[str]) -> None:
    command = [sys.executable, "-m", "server", "soak", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)

    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def event(number: int) -> dict[str, Any]:
    return {"meta": {"stream": "s", "request_id": f"1/{number}"}, "total": number}


def sent(number: int, status: int, *, is_hasty: bool = False) -> Sent:
    return Sent(1, number, is_hasty, event(number), 100.0, status, None, 100.1)


def read(offset: int, number: int) -> Read:
    return Read(("t", 0), offset, b"k", event(number) | {"added": 1})


def violations(told: list[Sent], there: list[Read], faults: list[Fault] | None = None, gaps: int = 0) -> list[str]:
    return judge(told, there, faults or [Fault("HUP", 0.0)], gaps).violations


def test_what_is_kept_is_no_violation() -> None:
    told = [sent(0, 201), sent(1, 202), sent(2, 503), sent(3, 0), sent(4, 202, is_hasty=True), sent(5, 0)]

    assert violations(told, [read(0, 0), read(1, 1), read(2, 3), read(3, 4), read(4, 0)]) == []


@pytest.mark.parametrize(
    ("told", "there", "what"),
    [
        ([sent(0, 201)], [], "guaranteed events lost"),
        ([sent(0, 202)], [], "guaranteed events lost"),
        ([sent(0, 202, is_hasty=True)], [], "hasty events lost without a kill"),
        ([sent(0, 503)], [read(0, 0)], "ghosts"),
        ([sent(0, 201), sent(1, 201)], [read(0, 1), read(1, 0)], "out of order"),
        ([], [read(0, 7)], "never sent"),
        ([sent(0, 201)], [Read(("t", 0), 0, b"k", event(0) | {"total": 5})], "wrong payloads"),
    ],
)
def test_each_broken_promise_is_found(told: list[Sent], there: list[Read], what: str) -> None:
    (violation,) = violations(told, there)

    assert what in violation


def test_hasty_events_may_be_lost_to_a_kill_that_came_soon_and_to_none_that_came_late() -> None:
    told = [sent(0, 202, is_hasty=True)]

    assert violations(told, [], [Fault("kill a worker", 103.0)]) == []
    assert violations(told, [], [Fault("kill a worker", 120.0)])
    assert violations([sent(0, 201)], [], [Fault("kill a worker", 100.2)])


def test_hasty_events_may_be_refused_for_good_but_not_for_a_reason_that_passes() -> None:
    told = [sent(0, 202, is_hasty=True)]

    assert violations(told, [], [Fault("brokers refuse", 100.0, 101.0, "not authorised, 5 times")]) == []
    assert violations(told, [], [Fault("brokers refuse", 100.0, 101.0, "not enough replicas, 5 times")])


def test_brokers_that_lose_records_themselves_spoil_the_verdict() -> None:
    assert "lost records" in violations([], [], gaps=1)[0]


def test_duplicates_need_a_fault() -> None:
    assert "twice" in judge([sent(0, 201)], [read(0, 0), read(1, 0)], [], 0).violations[0]


def test_order_is_asked_for_on_one_connection_or_well_apart_in_time() -> None:
    older, younger = sent(0, 202), sent(1, 202)
    there = [read(0, 1), read(1, 0)]
    assert violations([older, younger], there)
    younger.connection = 2
    assert violations([older, younger], there) == []
    younger.sent_at += 60

    assert violations([older, younger], there)
