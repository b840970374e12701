"""The canary process keeps to its period also when its state cannot be written or read."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from server.canary import process
from server.canary.process import Canaries
from server.canary.state import FILE, read_state
from server.config.settings import Config

PERIOD_S = 300.0


class NoCanary:
    """A run without any canary."""

    async def outcomes(self, checks: object) -> list[Any]:
        return []


@pytest.fixture
def canaries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Canaries:
    monkeypatch.setattr(process, "make_run", lambda *_: NoCanary())
    monkeypatch.setattr(process, "checks", lambda *_: [])
    materials: Any = SimpleNamespace(config=Config(), data_dir=tmp_path, snapshot=SimpleNamespace(is_open=True))
    context: Any = SimpleNamespace(row=SimpleNamespace(board=SimpleNamespace(secret="secret")))
    (tmp_path / Config().canary.path).mkdir(parents=True)
    return Canaries(materials, context)


def test_a_state_that_cannot_be_written_begins_no_other_run_before_its_time(
    canaries: Canaries, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    directory = tmp_path / Config().canary.path
    (directory / FILE / "in the way").mkdir(parents=True)
    assert canaries._wait_s() == 0

    async def run() -> None:
        await canaries._once()

    asyncio.run(run())
    assert "cannot be written" in caplog.text
    assert PERIOD_S / 2 < canaries._wait_s() <= PERIOD_S
    assert [path.name for path in directory.iterdir()] == [FILE]


@pytest.mark.parametrize("step_s", [-10_000.0, 10_000.0])
def test_a_clock_that_is_set_begins_no_run_before_its_time(
    canaries: Canaries, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step_s: float
) -> None:
    asyncio.run(canaries._once())
    state = read_state(tmp_path / Config().canary.path)
    assert state is not None
    monkeypatch.setattr("server.canary.process.time.time", lambda: state.began_s + step_s)

    assert PERIOD_S / 2 < canaries._wait_s() <= PERIOD_S


def test_a_state_that_cannot_be_read_loses_no_history(canaries: Canaries, tmp_path: Path) -> None:
    directory = tmp_path / Config().canary.path
    asyncio.run(canaries._once())
    asyncio.run(canaries._once())
    (directory / FILE).write_text("{")
    asyncio.run(canaries._once())
    state = read_state(directory)

    assert state is not None and state.runs == 3


def test_another_process_leads_and_is_due_within_a_period_of_the_last_run_when_the_leader_dies(
    canaries: Canaries, tmp_path: Path
) -> None:
    second = Canaries(canaries._materials, canaries._context)
    assert canaries._is_leader() and not second._is_leader()
    asyncio.run(canaries._once())
    assert 0 < second._wait_s() <= PERIOD_S
    canaries._lock.release()  # As the kernel does when a process dies.

    assert second._is_leader()
    assert PERIOD_S / 2 < second._wait_s() <= PERIOD_S


def test_parts_of_a_state_whose_writer_was_killed_are_removed_by_the_next_leader(
    canaries: Canaries, tmp_path: Path
) -> None:
    directory = tmp_path / Config().canary.path
    (directory / f"{FILE}.123").write_text('{"run_id"')
    (directory / "other.123").touch()
    assert canaries._is_leader()

    assert sorted(path.name for path in directory.iterdir()) == ["leader.lock", "other.123"]
