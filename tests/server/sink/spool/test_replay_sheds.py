"""server.sink.spool.replay: while the spool grows although brokers answer, workers are told to refuse hasty events."""

from __future__ import annotations

import asyncio
import itertools
from pathlib import Path

import pytest

from server.sink.spool.spool import Spool
from tests.server.sink.spool.replays import Replayed
from tests.server.sink.spool.spools import drive, put, until


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.sink.spool.shedding.SETTLE_S", 0.0)
    monkeypatch.setattr("server.sink.spool.shedding.WINDOW_S", 0.05)


async def growing(spool: Spool, replayed: Replayed) -> None:
    """Put more than is replayed until the replay has found that the spool grows."""
    numbers = itertools.count(1)
    while not replayed.replay._shedding.is_on:
        for number in itertools.islice(numbers, 10):
            put(spool, number, 7)
        await asyncio.sleep(0.01)


def test_it_is_told_until_the_replay_has_caught_up(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def test(spool: Spool) -> None:
        assert not spool.sheds()
        replayed = Replayed(spool, per_s=10.0)
        await replayed.start()
        await growing(spool, replayed)
        await until(spool.sheds)
        replayed.replay._pace._max_per_s = 1e6
        await until(lambda: not spool.waits())
        await until(lambda: not spool.sheds())
        await replayed.end()

    with caplog.at_level("INFO"):
        drive(tmp_path, test)
    assert "the spool hardly shrinks although brokers answer: hasty events of its keys are refused" in caplog.text
    assert "hasty events are no longer refused" in caplog.text


def test_it_ends_when_the_brokers_are_away_again(tmp_path: Path) -> None:
    async def test(spool: Spool) -> None:
        replayed = Replayed(spool, per_s=10.0)
        await replayed.start()
        await growing(spool, replayed)
        await until(spool.sheds)
        replayed.is_away = True
        await until(lambda: not spool.sheds())
        await replayed.end()

    drive(tmp_path, test)


def test_nothing_is_told_where_it_is_not_wanted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def test(spool: Spool) -> None:
        replayed = Replayed(spool, per_s=10.0)
        replayed.replay._may_shed = False
        await replayed.start()
        await growing(spool, replayed)
        turns = replayed.replay.replayed
        await until(lambda: replayed.replay.replayed > turns)
        assert not spool.sheds()
        await replayed.end()

    drive(tmp_path, test)
    assert "hardly shrinks" not in caplog.text


def test_the_end_of_the_worker_that_replays_ends_it_and_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def test(spool: Spool) -> None:
        replayed = Replayed(spool, per_s=10.0)
        await replayed.start()
        await growing(spool, replayed)
        await until(spool.sheds)
        await replayed.end()
        assert not spool.sheds()

    with caplog.at_level("INFO"):
        drive(tmp_path, test)
    assert "hasty events are no longer refused" in caplog.text
