"""``penstock lake``: write the events of the sink into tables of Iceberg.

Place: __main__ → HERE → processors.lake, which is imported when the command runs.
Rule: one of landing, merging, dropping and printing is done at a time.
Not here: what a table is (processors.lake).
"""

from __future__ import annotations

import argparse
from pathlib import Path


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument("-c", "--config", type=Path, metavar="FILE", help="settings of the lake; without: the defaults")
    ways = parser.add_mutually_exclusive_group()
    ways.add_argument("--once", action="store_true", help="write all events that there are, and end")
    ways.add_argument("--compact", action="store_true", help="merge the files of hours that are closed, and end")
    ways.add_argument("--expire", action="store_true", help="drop old hours, snapshots and files, and end")
    ways.add_argument("--views", action="store_true", help="print views for DuckDB over the newest snapshots, and end")
    ways.add_argument("--spark", action="store_true", help="print the tables for deploy/spark/lake.py, and end")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from processors.lake import command

    if options.compact:
        return command.compact(options.config)
    if options.expire:
        return command.expire(options.config)
    if options.views:
        return command.views(options.config)
    if options.spark:
        return command.spark(options.config)
    return command.land(options.config, once=options.once)
