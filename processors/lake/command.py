"""The lake as a command: land events, merge files, drop old ones, print views for DuckDB.

Place: server.commands.processing.lake → HERE → run, compact, expire, views, spark.
Rules: settings are read and checked before anything is opened. Without the packages of ``penstock[lake]`` it says so.
A catalogue or a disk that fails ends the command with one line.
Not here: the options (server.commands.processing.lake).
"""

from __future__ import annotations

import importlib.util
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from processors.lake.catalog import Catalog
from processors.lake.settings import LakeSettings, load
from processors.page_change.embedded.stop import GivenUpError, Stop
from processors.wrong import located
from server import log
from server.errors import EXIT_DONE, UsageError


def land(config: Path | None, *, once: bool) -> int:
    """Land events until told to stop, or with ``once`` all that there are. Prints the totals as a JSON object."""
    _need_packages()
    with located(config):
        return _land(config, once=once)


def _land(config: Path | None, *, once: bool) -> int:
    from processors.lake.faults import in_plain_words
    from processors.lake.run import Runner

    settings, base_dir = load(config)
    catalog = Catalog(settings, base_dir)
    log.set_up(catalog.generation.config.log.level, catalog.generation.config.log.style)
    stop = Stop(settings.drain_s)
    stop.listen()
    with in_plain_words():
        try:
            running = Runner(settings, base_dir, catalog, stop)
        except GivenUpError:
            return EXIT_DONE  # Nothing was read yet.
        try:
            told = running.run(once=once)
        finally:
            running.close()
    print(msgspec.json.encode(told).decode())
    return EXIT_DONE


def compact(config: Path | None) -> int:
    """Merge the files of closed hours. Prints what was merged, a JSON object for each hour."""
    with _reading(config) as (_, found):
        from processors.lake.compact import compacted

        for table in found:
            for merged in compacted(table):
                print(msgspec.json.encode(merged).decode())
    return EXIT_DONE


def expire(config: Path | None) -> int:
    """Drop old hours, snapshots and files. Prints what was dropped, a JSON object for each table."""
    now_ms = time.time_ns() // 1_000_000
    with _reading(config) as (settings, found):
        from processors.lake.expire import expired

        for table in found:
            dropped = expired(table, settings.keep_days, settings.keep_snapshots_h, now_ms)
            print(msgspec.json.encode(dropped).decode())
    return EXIT_DONE


def views(config: Path | None) -> int:
    """Print statements for DuckDB, one for each table."""
    with _reading(config) as (_, found):
        from processors.lake.views import view_of

        for table in found:
            sys.stdout.write(view_of(table))
    return EXIT_DONE


@contextmanager
def _reading(config: Path | None) -> Iterator[tuple[LakeSettings, list[Any]]]:
    """Open the lake next to its writer. Yields the settings and the tables."""
    _need_packages()
    from processors.lake.faults import in_plain_words
    from processors.lake.tables import Lake

    settings, base_dir = load(config)
    with located(config), in_plain_words():
        lake = Lake(settings, base_dir, is_writer=False)
        try:
            yield settings, lake.tables()
        finally:
            lake.close()


def spark(config: Path | None) -> int:
    """Print the tables with their columns as types of Spark, as a JSON array. Needs no package of the extra."""
    from processors.lake.spark import plan

    settings, base_dir = load(config)
    with located(config):
        print(msgspec.json.format(msgspec.json.encode(list(plan(Catalog(settings, base_dir))))).decode())
    return EXIT_DONE


def _need_packages() -> None:
    missing = [name for name in ("pyarrow", "pyiceberg", "sqlalchemy") if importlib.util.find_spec(name) is None]
    if missing:
        raise UsageError(f"{', '.join(missing)} is not installed: install penstock[lake]")
