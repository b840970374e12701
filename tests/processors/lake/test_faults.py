"""A catalogue or a disk that fails ends the command in plain words, and the next run has each event once."""

from __future__ import annotations

import random
import resource
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from processors.lake.command import compact, expire, land, views
from server.errors import EXIT_SETTINGS, PenstockError, SettingsError
from tests.harness.running import ROOT
from tests.processors.lake.world import STREAM, World, event, in_plain_words, pa, tables

pytestmark = pytest.mark.slow(reason="commits to tables")


CATALOGS: dict[str, dict[str, str]] = {
    "nothing listens": {"type": "rest", "uri": "http://127.0.0.1:9"},
    "no directory": {"type": "sql", "uri": "sqlite:////nowhere/x.db", "warehouse": "file:///nowhere"},
    "unknown type": {"type": "ledger", "uri": "x"},
    "no type": {"uri": "x"},
    "no URI": {"type": "sql"},
    "no URI of a database": {"type": "sql", "uri": "nonsense"},
    "a driver that is missing": {"type": "sql", "uri": "postgresql://127.0.0.1:9/x"},
    "a library that is missing": {"type": "glue"},
}


@pytest.mark.parametrize("case", CATALOGS)
def test_a_catalogue_that_cannot_be_opened(case: str, tmp_path: Path) -> None:
    world = World(tmp_path, catalog=CATALOGS[case])
    commands: tuple[Callable[[], object], ...] = (
        lambda: land(world.config, once=True),
        lambda: compact(world.config),
        lambda: expire(world.config),
        lambda: views(world.config),
    )
    for command in commands:
        with pytest.raises(SettingsError, match=r"^the catalogue cannot be opened: [A-Za-z]+: .+"):
            command()


def test_a_directory_that_cannot_be_made(tmp_path: Path) -> None:
    world = World(tmp_path, path="file")
    (tmp_path / "file").write_text("here", "utf-8")

    with pytest.raises(SettingsError, match=r"the directory .*file cannot be used: File exists"):
        land(world.config, once=True)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"path": "/proc/x"}, "path: the directory /proc/x cannot be used: No such file or directory"),
        ({"intake": "nix.yaml"}, r"intake: .*nix.yaml: No such file or directory"),
        ({"streams": ["nix"]}, "streams: not declared: nix"),
        ({"metrics_listen": "nix"}, "metrics_listen: 'nix' cannot be listened on: "),
        ({"kafka": {"nix.nix": 3}}, 'kafka: no consumer can be made: No such configuration property: "nix.nix"'),
    ],
)
def test_a_setting_that_cannot_be_used_is_told_with_its_place(
    settings: dict[str, Any], said: str, tmp_path: Path
) -> None:
    config = World(tmp_path, **settings).config

    with pytest.raises(SettingsError, match=rf"^{config}:\d+: {said}"):
        land(config, once=True)


@pytest.mark.parametrize("warehouse", ["s3://127.0.0.1:9/x", "file:///proc/nowhere"])
def test_a_warehouse_that_cannot_be_written(warehouse: str, tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path}/catalog.db"
    more = {"s3.endpoint": "http://127.0.0.1:9", "s3.connect-timeout": "1", "s3.region": "x", "s3.request-timeout": "1"}
    world = World(tmp_path / "world", catalog={"type": "sql", "uri": uri, "warehouse": warehouse, **more})
    world.put(event(1))

    with pytest.raises(PenstockError, match=r"^the lake cannot go on: "):
        land(world.config, once=True)


def test_a_catalogue_without_a_warehouse(tmp_path: Path) -> None:
    world = World(tmp_path, catalog={"type": "sql", "uri": f"sqlite:///{tmp_path}/catalog.db"})
    world.put(event(1))

    with pytest.raises(PenstockError, match=r"^the lake cannot go on: ValueError: No default path is set"):
        land(world.config, once=True)


def test_a_fault_of_our_own_keeps_its_traceback() -> None:
    with pytest.raises(ValueError, match="ours"), in_plain_words():
        raised_by_ours()


def raised_by_ours() -> None:
    code = compile("raise ValueError('ours')", "landing.py", "exec")
    exec(code, {"__name__": "processors.lake.landing"})


def test_a_catalogue_that_is_locked_for_too_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(tmp_path)
    world.put(event(1))
    world.run()
    world.put(event(2))
    monkeypatch.setattr(tables, "BUSY_S", "0.1")
    with closing(sqlite3.connect(tmp_path / "var" / "lake" / "catalog.db")) as theirs:
        theirs.execute("BEGIN EXCLUSIVE")
        with pytest.raises(PenstockError, match=r"OperationalError: .*database is locked"):
            land(world.config, once=True)
        theirs.rollback()

    assert world.run().streams[STREAM].rows == 2


@pytest.mark.parametrize("what", ["catalog.db", "*.metadata.json", "*.avro"])
def test_files_that_are_damaged_or_gone(what: str, tmp_path: Path) -> None:
    world = World(tmp_path)
    for number in range(2):
        world.put(event(number))
        world.run()
    world.put(event(2))
    found = list((tmp_path / "var" / "lake").rglob(what))
    saved = {path: path.read_bytes() for path in found}
    for damage in (lambda path: path.write_bytes(b"garbage" * 500), Path.unlink):
        if what == "catalog.db" and damage is Path.unlink:
            continue  # An empty catalogue is one of a new lake.
        for path in found:
            damage(path)
        with pytest.raises(PenstockError, match=r"^the (lake cannot go on|catalogue cannot be opened): "):
            land(world.config, once=True)
        for path, content in saved.items():
            path.write_bytes(content)

    assert found
    assert world.run().streams[STREAM].rows == 3
    assert world.query("SELECT list(n ORDER BY n) FROM shop_order") == [([0, 1, 2],)]


def test_a_disk_that_takes_no_more(tmp_path: Path) -> None:
    """Files have a limit of 40 KiB: pages of the catalogue can be written, and the rows of a commit cannot."""
    world, chance = World(tmp_path, commit_events=1_000), random.Random(1)
    world.schema("shop/order", "1.0.0", {"x": {"type": "string"}})
    for number in range(0, 4_000, 1_000):
        world.put(*(event(one, x=chance.randbytes(200).hex()) for one in range(number, number + 1_000)))

    ended = lake(world, limit=40 << 10)

    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1].startswith("penstock: the lake cannot go on: ")
    assert "Traceback" not in ended.stderr
    assert lake(world).returncode == 0
    assert world.query("SELECT count(*), count(DISTINCT n) FROM shop_order") == [(4_000, 4_000)]


def lake(world: World, limit: int | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command, with a limit of the bytes of each file."""

    def set_limit() -> None:
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    command = [sys.executable, "-m", "server", "lake", "-c", str(world.config), "--once"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, preexec_fn=set_limit)


def test_a_table_of_another_program_is_left_alone(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.put(event(1))
    opened = world.lake()
    try:
        theirs = opened._catalog.create_table(("events", "shop_order"), pa.schema([("x", pa.int64())]))
    finally:
        opened.close()

    with pytest.raises(PenstockError, match="there is a table shop_order that penstock lake has not made"):
        land(world.config, once=True)
    assert [field.name for field in theirs.refresh().schema().fields] == ["x"]


def test_two_lakes_that_both_begin_with_no_table(tmp_path: Path) -> None:
    catalog = {"type": "sql", "uri": f"sqlite:///{tmp_path}/all.db", "warehouse": f"file://{tmp_path}/warehouse"}
    world = World(tmp_path / "world", catalog=catalog, path="one")
    first = world.runner()
    world.write("lake.yaml", {"intake": "intake.yaml", "catalog": catalog, "path": "two"})
    second = world.runner()
    world.put(event(1), event(2))
    try:
        first.run(once=True)
        with pytest.raises(
            PenstockError, match=r"another process has made the table shop_order of the stream shop\.order"
        ):
            second.run(once=True)
    finally:
        first.close()
        second.close()

    assert world.run().read == 0
    assert world.query("SELECT list(n ORDER BY n) FROM shop_order") == [([1, 2],)]


@pytest.mark.parametrize("name", ["with space", "per%20cent", "ünïcode", "q'uote"])
def test_a_lake_in_any_directory(name: str, tmp_path: Path) -> None:
    world = World(tmp_path / name)
    world.put(event(1))
    world.run()
    world.put(event(2))

    assert world.run().streams[STREAM].rows == 2
    assert world.query("SELECT list(n ORDER BY n) FROM shop_order") == [([1, 2],)]


@pytest.mark.parametrize("name", ["hash#tag", "question?mark"])
def test_a_directory_that_libraries_take_for_another_one_is_refused(name: str, tmp_path: Path) -> None:
    world = World(tmp_path / name)

    with pytest.raises(SettingsError, match=r"has a # or \?: set path"):
        world.run()
    assert sorted(path.name for path in tmp_path.iterdir()) == [name]


def test_the_exit_code_and_the_message(tmp_path: Path) -> None:
    world = World(tmp_path, catalog=CATALOGS["no URI of a database"])
    ended = lake(world)

    assert ended.returncode == EXIT_SETTINGS
    assert ended.stderr.startswith("penstock: the catalogue cannot be opened: ")
    assert len(ended.stderr.splitlines()) == 1
