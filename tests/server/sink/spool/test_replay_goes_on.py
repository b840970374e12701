"""server.sink.spool.replay outlives every exception."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from server.sink.spool.backlog import Backlog
from server.sink.spool.event import Spooled
from server.sink.spool.replay import EDGE_S
from server.sink.spool.spool import Spool
from tests.server.sink.spool.replays import Replayed, quick
from tests.server.sink.spool.spools import drive, flushed, made, numbers, put, row, until

__all__ = ["quick"]

pytestmark = pytest.mark.usefixtures("quick")


def test_an_exception_in_a_turn_does_not_end_the_replay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failed: list[str] = []
    monkeypatch.setattr("server.timing.timers.failed", failed.append)
    work = Backlog.work

    def lacking(backlog: Backlog, *arguments: Any, **more: Any) -> Any:
        if len(failed) < 3:
            raise OSError(24, "Too many open files")
        return work(backlog, *arguments, **more)

    async def test(spool: Spool) -> None:
        monkeypatch.setattr(Backlog, "work", lacking)
        replayed = Replayed(spool)
        for number in range(1, 11):
            put(spool, number)
        await flushed(spool)
        await replayed.start()
        await until(lambda: len(replayed.left) == 10)
        await replayed.end()

        assert replayed.delivered == list(range(1, 11))
        assert failed == ["Replay._run"] * 3

    drive(tmp_path, test)


def test_a_batch_whose_ack_raises_is_not_waited_for(tmp_path: Path) -> None:
    async def test(spool: Spool) -> None:
        replayed = Replayed(spool)
        on_replayed, told = replayed.replay._on_replayed, []

        def raise_once(event: Spooled) -> None:
            told.append(event)
            if len(told) == 1:
                raise ValueError("a bug")
            on_replayed(event)

        replayed.replay._on_replayed = raise_once
        put(spool, 1)
        await flushed(spool)
        await replayed.start()
        await until(lambda: spool.pending() == 0)
        put(spool, 2)
        await until(lambda: spool.pending() == 0)
        await replayed.end()

        assert replayed.delivered == [1, 2]

    drive(tmp_path, test)


def test_a_database_without_a_worker_that_cannot_be_opened_now_is_taken_over_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(tmp_path / "spool-7.db", row(1))
    attempts: list[Path] = []

    async def test(spool: Spool) -> None:
        with monkeypatch.context() as patched:

            def no_descriptor(path: Path) -> int:
                attempts.append(path)
                raise OSError(24, "Too many open files")

            replayed = Replayed(spool)
            await replayed.start()
            await until(lambda: replayed.replay.is_leading)
            patched.setattr("server.sink.spool.claim.take", no_descriptor)
            await until(lambda: len(attempts) > 2)
        await until(lambda: not (tmp_path / "spool-7.db").exists())
        await replayed.end()
        assert replayed.delivered == [1]

    drive(tmp_path, test)


def test_a_disk_that_hangs_at_the_end_does_not_keep_the_worker_alive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def test(spool: Spool) -> None:
        replayed = Replayed(spool)
        put(spool, 1)
        await flushed(spool)
        await replayed.start()
        await until(lambda: replayed.replay.is_leading)
        hanging: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        async def never(function: Callable[[], Any]) -> Any:
            await hanging

        replayed.replay._on_thread = never  # type: ignore[method-assign]
        replayed.replay.stop()
        await replayed.replay.finish(0.0)

    drive(tmp_path, test)
    assert "may be sent again" in caplog.text
    assert numbers(tmp_path) in ([], [1])


def test_when_a_turn_sends_all_that_waits_the_end_is_near_whatever_the_pace_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then live events wait in memory. They would go to the disk otherwise, and the last few would never be gone."""
    monkeypatch.setattr("server.sink.spool.pace.ReplayPace.catch_up_s", lambda _pace, is_paused: 1000.0)

    async def test(spool: Spool) -> None:
        replayed = Replayed(spool)
        replayed.is_away = True
        await replayed.start()
        for number in range(1, 11):
            put(spool, number)
        await until(lambda: spool.catch_up_s() == 1000.0)
        replayed.sink.is_held = True
        replayed.is_away = False
        await until(lambda: spool.catch_up_s() == EDGE_S)
        assert spool.pending() == 10
        replayed.is_away = True
        await until(lambda: spool.catch_up_s() == 1000.0)
        replayed.sink.release()
        replayed.is_away = False
        await until(lambda: not spool.waits())
        await replayed.end()

    drive(tmp_path, test)


def test_a_batch_stops_at_a_pause_in_which_its_records_were_recalled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their acks come later: the rest of the batch would overtake them. Another topic's event can be the reason."""
    monkeypatch.setattr("server.timing.loop_share.LoopShare.is_over", lambda _share: True)

    async def test(spool: Spool) -> None:
        replayed = Replayed(spool)
        sink = replayed.sink
        sink.is_held = True
        for number in range(1, 6):
            put(spool, number, 7)
        await flushed(spool)
        submitted: list[int] = []
        submit = sink.submit

        def recalled_after_two(record: Any, on_ack: Any) -> str | None:
            submitted.append(json.loads(record.value)["n"])
            if len(submitted) == 2:
                asyncio.get_running_loop().call_soon(sink.recalled)
            return submit(record, on_ack)

        replayed.replay._submit = recalled_after_two
        await replayed.start()
        await until(lambda: len(submitted) >= 2)
        await replayed.turns()
        assert submitted == [1, 2]
        sink.is_held = False
        sink._ack("broker_timeout")
        await until(lambda: not spool.waits())
        await replayed.end()
        assert replayed.delivered == [1, 2, 3, 4, 5]

    drive(tmp_path, test)
