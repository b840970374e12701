"""server.sink.spool.replay outlives whatever raises."""

from __future__ import annotations

from pathlib import Path

import pytest

from server.sink.spool.event import Spooled
from server.sink.spool.spool import Spool
from tests.server.sink.spool.spools import drive, flushed, put, until
from tests.server.sink.spool.test_replay import Replayed, _quick

__all__ = ["_quick"]  # A fixture for these tests, too.


def test_whatever_raises_the_replay_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """EMFILE where it looked for spools of others ended it for good, and 150 events with it."""
    failed: list[str] = []
    monkeypatch.setattr("server.timing.timers.failed", failed.append)
    look = Spool.adopt

    async def adopt(spool: Spool) -> None:
        if len(failed) < 3:
            raise OSError(24, "Too many open files")
        await look(spool)

    async def test(spool: Spool) -> None:
        monkeypatch.setattr(Spool, "adopt", adopt)
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
        on_left, was_told = replayed.replay._on_left, []

        def raise_once(event: Spooled, error_type: str | None) -> None:
            was_told.append(event)
            if len(was_told) == 1:
                raise ValueError("a bug")
            on_left(event, error_type)

        replayed.replay._on_left = raise_once
        put(spool, 1)
        await flushed(spool)
        await replayed.start()
        await until(lambda: spool.pending() == 0)
        put(spool, 2)
        await until(lambda: spool.pending() == 0)
        await replayed.end()

        assert replayed.delivered == [1, 2]

    drive(tmp_path, test)
