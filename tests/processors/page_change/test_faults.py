"""What no input and no disk may do: stop the processor for good, or lose the events of other pages."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import orjson
import pytest

from processors.page_change.catalog import open_catalog
from processors.page_change.embedded.run import Runner
from processors.page_change.embedded.store import NAME
from processors.page_change.oracle.inputs import Arrival
from processors.page_change.oracle.run import history_of, prepared, records_of, run_once, stored, verdict_on
from processors.page_change.records import Output
from processors.page_change.settings import load
from server.errors import PenstockError
from tests.processors.page_change.events import NAMES, T, event

GOOD = [orjson.dumps(event("revision-create", 100 + n, n, page_id=99)) for n in range(3)]
TOO_LARGE = 1 << 63
DEEP = (
    orjson.dumps(event("revision-create", 10, 1))[:-1] + b',"performer":' + b'{"user_groups":' * 900 + b"1" + b"}" * 901
)


def outputs(tmp_path: Path, poison: bytes, at: int = T) -> list[Output]:
    """All records, where a poison event is among good ones."""
    (one, *others) = records_of(GOOD)
    return run_once(prepared(tmp_path, {"eqiad": [one, Arrival(one.stream, at, 7, poison), *others]}))


def with_members(stream: str = "revision-create", **members: Any) -> bytes:
    return orjson.dumps(event(stream, 10, 1) | members)


@pytest.mark.parametrize(
    "poison",
    [
        b"",
        b"{",
        b"null",
        b"[" * 100_000 + b"]" * 100_000,
        DEEP,
        with_members(meta=None),
        with_members(meta={"stream": {}}),
        with_members(rev_id=TOO_LARGE),
        with_members(page_id=TOO_LARGE),
        with_members(rev_id=1e30),
        with_members(rev_id=True),
        with_members(database=5),
        with_members(rev_timestamp="0000-01-01T00:00:00Z"),
        with_members(rev_slots={"main": 5}),
        with_members(rev_slots={"main": None}),
        with_members(rev_slots=[1]),
        with_members(performer=[1]),
        with_members(comment={}),
        with_members(rev_len="x" * 1_000_000, rev_parent_id=TOO_LARGE),
        with_members("revision-visibility-change", rev_slots={"main": []}),
    ],
)
def test_a_poison_event_becomes_an_error_event_and_stops_nothing(tmp_path: Path, poison: bytes) -> None:
    found = outputs(tmp_path, poison)
    good = [one for one in found if one.stream == NAMES.output and b'"page_id":99' in one.value]
    others = [one for one in found if one not in good]

    assert len(good) == 3
    assert all(one.stream in (NAMES.output, NAMES.error) for one in others)
    assert len(others) == 1


def opened(config: Path) -> Runner:
    settings, base_dir = load(config)
    return Runner(settings, base_dir, open_catalog(settings, base_dir))


def test_a_full_disk_ends_the_run_and_the_next_one_goes_on(tmp_path: Path) -> None:
    wiki, inputs = history_of(5, 60)
    config = prepared(tmp_path, inputs.centres, commit_events=100)
    runner = opened(config)
    runner._store._database.execute("PRAGMA max_page_count = 60")
    with closing(runner), pytest.raises(PenstockError, match="database or disk is full; what was not committed is"):
        runner.run(once=True)
    before = stored(tmp_path / "out")
    with closing(opened(config)) as runner:
        runner.run(once=True)
    found = stored(tmp_path / "out")

    assert len(found) > len(before)
    assert found[: len(before)] == before
    assert verdict_on(wiki, inputs, found).is_good


@pytest.mark.parametrize(("first", "last"), [(0, 4_096), (4_096, 1 << 30)])
def test_a_damaged_state_is_told_and_everything_can_be_read_again(tmp_path: Path, first: int, last: int) -> None:
    config = prepared(tmp_path, {"eqiad": records_of(GOOD)})
    with closing(opened(config)) as runner:
        runner.run(once=True)
    path = tmp_path / "out" / NAME
    whole, intact = path.read_bytes(), stored(tmp_path / "out")
    last = min(last, len(whole))
    path.write_bytes(whole[:first] + b"\xff" * (last - first) + whole[last:])
    with pytest.raises(PenstockError, match=r"is damaged: .* move its directory away"):
        opened(config).run(once=True)
    (tmp_path / "out").rename(tmp_path / "away")
    with closing(opened(config)) as runner:
        runner.run(once=True)

    assert stored(tmp_path / "out") == intact


@pytest.mark.parametrize("is_replaced", [False, True])
def test_nothing_is_committed_into_a_state_that_was_deleted(tmp_path: Path, is_replaced: bool) -> None:
    config = prepared(tmp_path, {"eqiad": records_of(GOOD)})
    path = tmp_path / "out" / NAME
    with closing(opened(config)) as runner:
        path.rename(tmp_path / "deleted.db")
        if is_replaced:
            with closing(sqlite3.connect(path)) as other:
                other.execute("CREATE TABLE event (id INTEGER PRIMARY KEY)")
        with pytest.raises(PenstockError, match="was deleted or replaced while it was in use"):
            runner.run(once=True)
