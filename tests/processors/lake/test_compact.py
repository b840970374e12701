"""Files of closed hours are merged, and no row is lost or comes twice, also while others append."""

from __future__ import annotations

import random
import signal
import subprocess
from pathlib import Path

import pytest

from tests.harness.killer import killed
from tests.harness.running import Running, eventually
from tests.processors.lake.world import HOUR, NOON, STREAM, World, compacted, event, hour_now, tables

pytestmark = pytest.mark.slow(reason="commits to tables")

ROWS = "SELECT list(n ORDER BY n) FROM shop_order"


def files(world: World) -> list[int]:
    """Return the hour of each file."""
    found = world.tables()["shop_order"].scan().plan_files()
    return sorted(task.file.partition[0] - NOON // HOUR for task in found)


def test_closed_hours_have_one_file_each_and_open_ones_are_left_alone(tmp_path: Path) -> None:
    world = World(tmp_path)
    for number in range(3):
        world.put(event(number), at=NOON)
        world.put(event(10 + number), at=hour_now())
        world.run()
    before = files(world)

    merged = [one for table in world.tables().values() for one in compacted(table)]

    assert before[:3] == [0, 0, 0]
    assert [(one.table, one.hour, one.files, one.rows, one.dropped) for one in merged] == [
        ("shop_order", NOON // HOUR, 3, 3, 0)
    ]
    assert files(world) == [0, *before[3:]]
    assert world.query(ROWS) == [([0, 1, 2, 10, 11, 12],)]


def test_a_merge_drops_duplicates_and_counts_them_and_keeps_the_offsets(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.put(event(1), event(2))
    world.run()
    world.put(event(1), event(3), event(4) | {"meta": {"stream": STREAM}}, event(5) | {"meta": {"stream": STREAM}})
    before = world.run().streams[STREAM]

    (merged,) = (one for table in world.tables().values() for one in compacted(table))
    world.put(event(6), at=NOON + HOUR)
    head = world.run().streams[STREAM]

    assert (merged.rows, merged.dropped, before.rows) == (5, 1, 6)
    assert head.is_conserved and head.rows == 7
    assert tables.count_in(world.tables()["shop_order"], "penstock.compacted") == 1
    assert world.query("SELECT n, _offset FROM shop_order ORDER BY n") == [
        (1, 1),
        (2, 2),
        (3, 4),
        (4, 5),
        (5, 6),
        (6, 7),
    ]
    assert head.offsets == {"events-0.db": 8}


def test_a_merge_while_others_append_loses_nothing(tmp_path: Path) -> None:
    world = World(tmp_path)
    for number in range(2):
        world.put(event(number))
        world.run()
    (table,) = world.tables().values()
    late = [event(2), event(3)]

    def append() -> None:
        if late:
            world.put(late.pop())
            world.run()

    (merged,) = compacted(table, append)

    assert late == []
    assert (merged.files, merged.rows) == (4, 4), "it read again after each commit of the writer"
    assert files(world) == [0]
    assert world.query(ROWS) == [([0, 1, 2, 3],)]


def test_a_writer_and_merges_in_two_processes_have_each_event_once(tmp_path: Path) -> None:
    """All hours are closed but that of now, so each commit of the writer leaves a file to merge."""
    world = World(tmp_path, commit_s=0.05, commit_events=100, late_s=1)
    for file in range(4):
        world.put(*(event(number) for number in range(file * 500, file * 500 + 500)), file=f"events-{file}.db")
    merges = 0
    with Running(["-m", "server", "lake", "-c", str(world.config)], tmp_path / "log") as writer:
        eventually(lambda: rows_of(world) > 0)
        for file in range(4):
            world.put(
                *(event(number) for number in range(2000 + file * 50, 2050 + file * 50)), file=f"events-{file}.db"
            )
            merges += len([one for table in world.tables().values() for one in compacted(table)])
        eventually(lambda: rows_of(world) == 2_200)
        merges += len([one for table in world.tables().values() for one in compacted(table)])
        writer.signal(signal.SIGTERM)
        assert writer.exit_code() == 0

    assert merges
    assert world.query("SELECT count(*), count(DISTINCT n), count(DISTINCT (_partition, _offset)) FROM shop_order") == [
        (2_200, 2_200, 2_200)
    ]


def rows_of(world: World) -> int:
    """Return how many rows the newest snapshots count."""
    heads = [tables.head_in(table) for table in world.tables().values()]
    return sum(head.rows for head in heads if head is not None)


KILLED_MERGE = """
import sys
from pathlib import Path
from processors.lake.compact import compacted
from processors.lake.settings import load
from processors.lake.tables import Lake
from tests.harness.killer import Killer

(table,) = Lake(*load(Path(sys.argv[1])), is_writer=False).tables()
with Killer(int(sys.argv[2])) as killer:
    list(compacted(table))
print(killer.calls)
"""


def test_a_merge_that_is_killed_anywhere_leaves_each_event_once(tmp_path: Path) -> None:
    def merge(world: World, calls: int) -> subprocess.CompletedProcess[str]:
        return killed(KILLED_MERGE, world.config, calls)

    def filled(root: Path) -> World:
        world = World(root)
        for number in range(3):
            world.put(event(number))
            world.run()
        return world

    whole = merge(filled(tmp_path / "whole"), 0)
    assert whole.returncode == 0, whole.stderr
    calls, chance, world = int(whole.stdout), random.Random(4), filled(tmp_path / "killed")

    assert calls > 1_000
    for part in range(4):
        at = chance.randrange(calls * part // 4, calls * (part + 1) // 4) + 1
        assert merge(world, at).returncode in (0, 9)  # A merge that was done leaves fewer calls to the next one.
        world.put(event(10 + part))
        assert world.run().streams[STREAM].is_conserved

    assert world.query("SELECT list(n ORDER BY n) FROM shop_order") == [([0, 1, 2, 10, 11, 12, 13],)]


def test_a_writer_goes_on_after_a_merge_that_it_did_not_see(tmp_path: Path) -> None:
    world = World(tmp_path)
    for number in range(2):
        world.put(event(number))
        world.run()
    runner = world.runner()
    (table,) = world.tables().values()
    assert len(list(compacted(table))) == 1
    world.put(event(2))
    try:
        head = runner.run(once=True).streams[STREAM]
    finally:
        runner.close()

    assert head.is_conserved
    assert files(world) == [0, 0]
    assert world.query(ROWS) == [([0, 1, 2],)]


def test_rejected_events_are_merged_too(tmp_path: Path) -> None:
    world = World(tmp_path)
    for _ in range(2):
        world.put("no JSON")
        world.run()

    (merged,) = (one for table in world.tables().values() for one in compacted(table))

    assert (merged.table, merged.files, merged.rows) == ("shop_order__rejected", 2, 2)
