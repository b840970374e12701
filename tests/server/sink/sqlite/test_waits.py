"""The embedded sink while its file is locked or the disk is full: records wait, in their order and within bounds."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path
from typing import Any, cast

import pytest

from server.sink.base import Sink
from tests.contract.sinks import Acks, drive, record, settle, until
from tests.server.sink.sqlite.sqlites import held, make, nothing, rows, values, waited_for


def test_records_wait_for_a_full_disk_in_their_order_and_are_kept_when_it_has_room(tmp_path: Path) -> None:
    """SQLite's own bound on pages stands for the disk: the error is the same, SQLITE_FULL."""
    acks = Acks()

    async def test(sink: Any) -> None:
        sink._file.database.execute("PRAGMA max_page_count = 10")
        for number in range(200):
            large = record("t", number)
            large.value = b'"%d %s"' % (number, b"x" * 1000)
            sink.submit(large, acks)
        await until(lambda: sink.failed_commits)
        assert sink.is_away()
        assert sink.outstanding() == 200
        assert sink.submit(record("t", 200), acks) is None
        assert acks.errors == []

        sink._file.database.execute("PRAGMA max_page_count = 1000000")
        assert await settle(sink) == 0
        assert not sink.is_away()

    drive(test, make(tmp_path))

    assert acks.errors == [None] * 201
    numbers = [value.split()[0].strip('"') for value in values(tmp_path / "events-0.db")]
    assert numbers == [*map(str, range(200)), '{"n":200}']


def waits_ms(sink: Sink) -> int:
    """How long SQLite holds the loop up for a lock."""
    (found,) = cast(Any, sink)._file.database.execute("PRAGMA busy_timeout").fetchone()
    return int(found)


def test_records_wait_for_a_lock_without_holding_the_loop_up(tmp_path: Path) -> None:
    acks = Acks()

    async def test(sink: Any) -> None:
        with held(tmp_path / "events-0.db"):
            assert waits_ms(sink) == 0
            sink.submit(record("t", 1), acks)
            await until(lambda: sink.failed_commits >= 3)
            assert acks.errors == []
        assert await settle(sink) == 0

    drive(test, make(tmp_path))

    assert acks.errors == [None]


def test_what_waits_for_a_lock_is_bounded(tmp_path: Path) -> None:
    acks = Acks()

    async def test(sink: Any) -> None:
        with held(tmp_path / "events-0.db"):
            for number in range(3):
                assert sink.submit(record("t", number), acks) is None
                await until(sink.is_away)
            assert sink.is_full()
            assert sink.submit(record("t", 3), acks) == "queue_full"
        assert await settle(sink) == 0
        assert not sink.is_full()

    drive(test, make(tmp_path, max_outstanding=3))

    assert acks.errors == [None] * 3


def test_a_record_that_somebody_waits_for_fails_in_time_and_is_not_stored_afterwards(tmp_path: Path) -> None:
    hasty, guaranteed = Acks(), Acks()

    async def test(sink: Any) -> None:
        with held(tmp_path / "events-0.db"):
            sink.submit(record("t", 1), hasty)
            sink.submit(waited_for(2), guaranteed)
            sink.submit(record("t", 3), hasty)
            await until(lambda: guaranteed.errors)
            assert [sink.classify(error) for error in guaranteed.errors] == ["broker_timeout"]
            assert hasty.errors == []
        assert await settle(sink) == 0

    drive(test, make(tmp_path, settle_s=0.0))

    assert hasty.errors == [None, None]
    assert values(tmp_path / "events-0.db") == ['{"n":1}', '{"n":3}']


def test_a_drain_waits_for_a_lock_to_its_deadline_and_close_fails_what_is_left(tmp_path: Path) -> None:
    acks = Acks()

    async def test(sink: Any) -> None:
        sink.submit(record("t", 1), acks)
        assert await sink.drain(asyncio.get_running_loop().time() + 0.1) == 1
        await sink.close()
        assert [sink.classify(error) for error in acks.errors] == ["broker_timeout"]

    async def whole() -> None:
        sink = make(tmp_path)
        await sink.open()
        with held(tmp_path / "events-0.db"):
            await test(sink)

    asyncio.run(whole())


@pytest.mark.parametrize("how", ["BEGIN IMMEDIATE", "BEGIN EXCLUSIVE", "alone"])
def test_a_lock_at_the_start_makes_records_wait_and_does_not_end_the_service(tmp_path: Path, how: str) -> None:
    acks = Acks()
    drive(nothing, make(tmp_path))

    async def whole() -> None:
        stranger = sqlite3.connect(tmp_path / "events-0.db", isolation_level=None)
        if how == "alone":  # Nobody else may even read.
            stranger.execute("PRAGMA locking_mode = EXCLUSIVE")
        stranger.execute("BEGIN IMMEDIATE" if how == "alone" else how)
        sink = make(tmp_path)
        await sink.open()
        assert sink.submit(record("t", 1), acks) is None
        await until(sink.is_away)
        assert acks.errors == []
        stranger.execute("ROLLBACK")
        stranger.close()
        assert await settle(sink) == 0
        await sink.close()

    asyncio.run(whole())

    assert acks.errors == [None]
    assert rows(tmp_path / "events-0.db") == 1


@pytest.mark.parametrize("is_locked", [True, False], ids=["a lock", "a full disk"])
def test_a_file_that_can_be_written_again_is_noticed_though_nothing_waits_any_more(
    tmp_path: Path, is_locked: bool
) -> None:
    """A worker passed for away until the next event came: its alert went on after the fault was over."""
    acks = Acks()

    async def test(sink: Any) -> None:
        sink._settle_s = 0.0
        database = sink._file.database
        if not is_locked:
            (pages,) = database.execute("PRAGMA page_count").fetchone()
            database.execute(f"PRAGMA max_page_count = {pages}")
        large = waited_for(1)
        large.value = b'"%s"' % (b"x" * 100_000)
        if is_locked:
            with held(tmp_path / "events-0.db"):
                sink.submit(large, acks)
                await until(lambda: acks.errors)
                assert sink.is_away()
        else:
            sink.submit(large, acks)
            await until(lambda: acks.errors)
        await until(lambda: not sink.is_away())
        assert sink.outstanding() == 0

    drive(test, make(tmp_path))
