"""`penstock events`: print the events that the sink of the settings has stored, one JSON object per line.

Place: a process of its own next to the server → the ``read`` of the sink's kind (sink.kind).
Rule: a sink that is better read by another tool, or that stores nothing, is an error that says what to do.
Not here: how a sink is read (sink.sqlite.reader).
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from server.commands.support.options import add_settings
from server.commands.support.output import say, until_nobody_reads
from server.config.load import load
from server.config.settings import Config
from server.errors import EXIT_DONE, EXIT_FOUND
from server.sink.kind import Reading, kind_of


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    add_settings(parser)
    parser.add_argument("--stream", metavar="NAME", help="only this stream")
    parser.add_argument("--follow", action="store_true", help="continue with new events until interrupted")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    loaded = load(options.config, options.set, os.environ)
    return run(loaded.config, loaded.base_dir, options.stream, options.follow)


def run(config: Config, base_dir: Path, stream: str | None, follow: bool) -> int:
    """Print to standard output until all is printed, or with ``follow`` until it is interrupted."""
    unread: list[str] = []

    def tell(text: str) -> None:
        say(f"penstock: {text}")

    def on_unread(text: str) -> None:
        unread.append(text)
        tell(text)

    field = config.intake.stream_field
    reading = Reading(
        stream=stream,
        stream_fields=[field] if isinstance(field, str) else field,
        follow=follow,
        out=sys.stdout.buffer,
        say=tell,
        on_unread=on_unread,
    )
    try:
        with until_nobody_reads():
            kind_of(config.sink).read(config.sink, base_dir, reading)
    except KeyboardInterrupt:
        return _exit_code(unread)
    return _exit_code(unread)


def _exit_code(unread: list[str]) -> int:
    return EXIT_FOUND if unread else EXIT_DONE
