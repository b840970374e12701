"""Old hours, snapshots and files go; offsets, newer rows and files of commits that run now stay."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

from processors.lake.head import EXPIRED
from tests.processors.lake.world import HOUR, NOON, STREAM, Expired, World, compacted, event, expired, hour_now, tables

pytestmark = pytest.mark.slow(reason="commits to tables")

DAY = 24 * HOUR


def files(table: Any) -> set[Path]:
    """Return all files of a table."""
    root = Path(table.location().removeprefix("file://"))
    return {path for path in root.rglob("*") if path.is_file() and not path.name.endswith(".crc")}


def aged(table: Any, hours: float) -> int:
    """Make every file so old. Returns the time of now, in milliseconds."""
    now = time.time()
    for path in files(table):
        os.utime(path, (now - hours * 3600, now - hours * 3600))
    return round(now * 1000)


def test_hours_that_are_too_old_are_dropped_and_counted(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.put(event(1), event(2), at=NOON)
    world.put(event(3), at=hour_now())
    world.run()
    (table,) = world.tables().values()

    dropped = expired(table, 30, 72, round(time.time() * 1000))
    again = expired(table, 30, 72, round(time.time() * 1000))
    world.put(event(4), at=hour_now())
    head = world.run().streams[STREAM]

    assert (dropped.rows, again.rows) == (2, 0)
    assert world.query("SELECT list(n ORDER BY n) FROM shop_order") == [([3, 4],)]
    assert head.is_conserved and (head.consumed, head.rows) == (4, 4)
    assert tables.count_in(world.tables()["shop_order"], EXPIRED) == 2


def test_files_of_snapshots_that_are_gone_are_deleted_and_readers_lose_nothing(tmp_path: Path) -> None:
    world = World(tmp_path)
    for number in range(4):
        world.put(event(number))
        world.run()
    (table,) = world.tables().values()
    assert len(list(compacted(table))) == 1
    before = {path for path in files(table) if path.suffix == ".parquet"}
    now = aged(table, 100)

    dropped = expired(table, 0, 72, now + 100 * HOUR)
    after = {path for path in files(table) if path.suffix == ".parquet"}

    assert (len(before), len(after)) == (5, 1)
    assert dropped.snapshots >= 4
    assert dropped.files >= 4
    assert world.query("SELECT list(n ORDER BY n) FROM shop_order") == [([0, 1, 2, 3],)]
    world.put(event(4))
    assert world.run().streams[STREAM].rows == 5


def test_nothing_is_dropped_before_its_time(tmp_path: Path) -> None:
    world = World(tmp_path)
    for number in range(3):
        world.put(event(number))
        world.run()
    (table,) = world.tables().values()
    assert len(list(compacted(table))) == 1
    before = files(table)

    assert expired(table, 0, 72, round(time.time() * 1000)) == Expired("shop_order", 0, 0, 0)
    assert files(table) == before


def test_files_that_a_killed_process_left_are_deleted_when_they_are_old(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.put(event(1))
    world.run()
    (table,) = world.tables().values()
    data = Path(table.location().removeprefix("file://")) / "data"
    (data / "old.parquet").write_bytes(b"left")
    now = aged(table, 100)
    (data / "new.parquet").write_bytes(b"of a commit that runs now")

    dropped = expired(table, 0, 72, now)

    assert dropped.files == 1
    assert sorted(path.name for path in files(table) if path.stem in ("old", "new")) == ["new.parquet"]


def test_the_snapshot_that_has_the_offsets_stays_though_others_wrote_after_it(tmp_path: Path) -> None:
    """Another program that deletes rows, for privacy, writes snapshots without our summary."""
    world = World(tmp_path)
    world.put(event(1), event(2))
    world.run()
    (table,) = world.tables().values()
    table.delete("n = 1")
    now = aged(table, 100)

    expired(table, 0, 72, now + 100 * HOUR)

    assert world.run().read == 0
    assert world.query("SELECT n FROM shop_order") == [(2,)]


def test_hours_are_dropped_while_others_append(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(tmp_path)
    world.put(event(1), at=NOON)
    world.run()
    (table,) = world.tables().values()
    real = type(table).transaction
    late = [event(2)]

    def transaction(self: Any) -> Any:
        change = real(self)
        if late:
            world.put(late.pop(), at=hour_now())
            monkeypatch.undo()
            world.run()
        return change

    monkeypatch.setattr(type(table), "transaction", transaction)
    dropped = expired(table, 30, 72, round(time.time() * 1000))

    assert (dropped.rows, late) == (1, [])
    assert world.query("SELECT n FROM shop_order") == [(2,)]
    assert world.run().read == 0
