"""A lake whose process is killed, or whose commits fail, has each event once when it runs again."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from server.errors import PenstockError
from tests.harness.killer import killed
from tests.processors.lake.world import NOON, STREAM, World, commit_failed, event, tables

PARTS = 4

pytestmark = pytest.mark.slow(reason="runs that are killed")

# A run that ends at its Nth call of a function in a commit, or while columns are added: without any cleaning up, as
# after SIGKILL. A schema that comes later is there when everything was read.
KILLED = """
import sys
from pathlib import Path
from processors.lake import tables
from processors.lake.catalog import Catalog
from processors.lake.landing import Landing
from processors.lake.run import Runner
from processors.lake.settings import load
from processors.page_change.embedded.stop import Stop
from tests.harness.killer import Killer

settings, base_dir = load(Path(sys.argv[1]))
runner = Runner(settings, base_dir, Catalog(settings, base_dir), Stop())
for later in base_dir.rglob("*.later"):
    later.rename(later.with_suffix(""))
killer = Killer(int(sys.argv[2]))
Landing.commit = killer.watched(Landing.commit)
tables.widen = killer.watched(tables.widen)
runner.run(once=True)
runner.close()
print(killer.calls)
"""


def killed_run(world: World, calls: int) -> subprocess.CompletedProcess[str]:
    return killed(KILLED, world.config, calls)


def filled(root: Path) -> World:
    """Return a world whose events go to three tables, with duplicates."""
    world = World(root)
    world.schema("shop/order", "2.0.0", {})
    for number in range(0, 60, 6):
        world.put(event(number), event(number + 1, version="2.0.0"), "no JSON", event(number), event(number + 2))
    return world


def check(world: World, consumed: int, rows: int, rejected: int) -> None:
    """Each offset is in the tables once, or is a duplicate."""
    head = world.run().streams[STREAM]

    assert head.is_conserved
    assert (head.consumed, head.rows, head.rejected) == (consumed, rows, rejected)
    places = """
        SELECT count(*), count(DISTINCT _offset) FROM (
            SELECT _offset FROM shop_order UNION ALL SELECT _offset FROM shop_order_v2
            UNION ALL SELECT _offset FROM shop_order__rejected)
    """
    assert world.query(places) == [(rows + rejected, rows + rejected)]


def test_a_run_that_is_killed_anywhere_in_a_commit_leaves_each_event_once(tmp_path: Path) -> None:
    whole = killed_run(filled(tmp_path / "whole"), 0)
    assert whole.returncode == 0, whole.stderr
    calls = int(whole.stdout)
    chance = random.Random(1)
    world = filled(tmp_path / "killed")
    consumed = 50

    assert calls > 1_000
    for part in range(PARTS):
        # Each part of the commit has one kill; the run after it begins with what that one has left.
        at = chance.randrange(calls * part // PARTS, calls * (part + 1) // PARTS) + 1
        killed_run(world, at)
        world.put(event(1000 + part), "no JSON either", event(2000 + part, version="2.0.0"))
        consumed += 3

    check(world, consumed, 30 + 2 * PARTS, 10 + PARTS)


def test_a_run_that_is_killed_while_its_table_grows_in_mid_batch_leaves_each_event_once(tmp_path: Path) -> None:
    whole = killed_run(growing(tmp_path / "whole"), 0)
    assert whole.returncode == 0, whole.stderr
    calls = int(whole.stdout)
    chance = random.Random(3)

    assert calls > 1_000
    for part in range(PARTS):
        world = growing(tmp_path / f"killed{part}")
        at = chance.randrange(calls * part // PARTS, calls * (part + 1) // PARTS) + 1
        assert killed_run(world, at).returncode == 9
        world.put(event(100, version="1.1.0", colour="late"), event(101))
        head = world.run().streams[STREAM]

        assert head.is_conserved and head.rows == 11
        assert world.query("SELECT n, _offset, colour FROM shop_order ORDER BY n") == [
            *((number, number + 1, "red" if number % 3 == 2 else None) for number in range(9)),
            (100, 10, "late"),
            (101, 11, None),
        ]


def growing(root: Path) -> World:
    """Return a world that has a table, and whose next run meets a newer schema in the middle of a batch."""
    world = World(root)
    world.put(event(0), event(1))
    world.run()
    world.schema("shop/order", "1.1.0", {"colour": {"type": "string"}})
    newer = root / "schemas" / "shop" / "order" / "1.1.0.yaml"
    newer.rename(newer.with_name("1.1.0.yaml.later"))
    for number in range(2, 9):
        is_newer = number % 3 == 2
        world.put(event(number, version="1.1.0", colour="red") if is_newer else event(number))
    return world


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("number", range(3))
def test_a_run_that_ends_at_a_commit_of_a_table_leaves_each_event_once(
    tmp_path: Path, number: int, after: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before and after the commit of each of the three tables."""
    world = filled(tmp_path / "world")
    real = tables.append
    done: list[object] = []

    def append(*arguments: Any) -> None:
        if len(done) == number and not after:
            raise KeyboardInterrupt
        real(*arguments)
        done.append(arguments)
        if len(done) == number + 1 and after:
            raise KeyboardInterrupt

    monkeypatch.setattr(tables, "append", append)
    with pytest.raises(KeyboardInterrupt):
        world.run()
    monkeypatch.undo()
    world.put(event(1000), "no JSON", event(1001, version="2.0.0"))

    check(world, 53, 32, 11)


def test_rows_that_landed_stay_where_they_are_though_they_would_be_judged_otherwise_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path)
    world.put(event(1), event(2, version="2.0.0"))
    real = tables.append
    done: list[object] = []

    def append(*arguments: Any) -> None:
        real(*arguments)
        done.append(arguments)
        if len(done) == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(tables, "append", append)
    with pytest.raises(KeyboardInterrupt):
        world.run()
    monkeypatch.undo()
    world.schema("shop/order", "2.0.0", {})  # The second event was rejected, and would be a row from now on.

    head = world.run().streams[STREAM]

    assert (head.consumed, head.rows, head.rejected) == (2, 1, 1)
    assert [sorted(world.tables())] == [["shop_order", "shop_order__rejected"]]


def test_a_commit_that_another_one_overtook_is_made_on_top_of_it(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.put(event(1))
    world.run()
    runner = world.runner()
    (theirs,) = world.tables().values()
    with theirs.transaction() as change:
        change.append(tables.no_rows(theirs), snapshot_properties={})
    world.put(event(2))
    try:
        runner.run(once=True)
    finally:
        runner.close()

    assert world.query("SELECT n FROM shop_order ORDER BY n") == [(1,), (2,)]


def test_another_writer_of_the_same_stream_ends_the_run(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.put(event(1))
    world.run()
    runner = world.runner()
    (theirs,) = world.tables().values()
    head = tables.head_in(theirs)
    assert head is not None
    head.offsets["events-0.db"] = 3
    tables.append(theirs, tables.no_rows(theirs), head, {})
    world.put(event(2))
    try:
        with pytest.raises(PenstockError, match="another process writes the table"):
            runner.run(once=True)
    finally:
        runner.close()

    assert world.query("SELECT n FROM shop_order") == [(1,)]


def test_a_table_that_others_always_commit_to_first_ends_the_run_in_plain_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path)
    world.put(event(1), at=NOON)
    world.run()
    (table,) = world.tables().values()
    transaction: Callable[[], Any] = commit_failed
    monkeypatch.setattr(table, "transaction", transaction)

    with pytest.raises(PenstockError, match="others are always first"):
        tables.append(table, tables.no_rows(table), None, {})
