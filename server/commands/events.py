"""`penstock events`: print the events that the sink of the settings has stored, one JSON object per line.

Place: a process of its own next to the server → the ``read`` of the sink's kind (sink.kind).
Rules: a sink that is better read by another tool, or that stores nothing, is an error that says what to do. A stream
that the settings do not declare, and of which nothing is stored, does not exist: the message names the nearest, and the
exit code is 1.
Not here: how a sink is read (sink.sqlite.reader).
"""

from __future__ import annotations

import argparse
import difflib
import os
import sys
from pathlib import Path

from server.catalog.query import Query
from server.catalog.sources import read_files, sections
from server.catalog.views import Views
from server.commands.support.options import add_settings
from server.commands.support.output import say, until_nobody_reads
from server.config.load import load
from server.config.settings import Config
from server.errors import EXIT_DONE, EXIT_FOUND, SettingsError
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
    faults: list[str] = []

    def tell(text: str) -> None:
        say(f"penstock: {text}")

    def on_fault(text: str) -> None:
        faults.append(text)
        tell(text)

    def on_none(topics: list[str]) -> None:
        stored = f"there are events of {', '.join(topics)}" if topics else "there are no events at all"
        declared = _others_declared(config, base_dir, stream or "")
        if declared is None:
            tell(f"no event of the stream {stream} is stored; {stored}")
        else:
            near = difflib.get_close_matches(stream or "", [*declared, *topics], n=1)
            hint = f"did you mean {near[0]}?" if near else f"declared are {', '.join(declared)}"
            on_fault(f"there is no stream {stream}, and no event of it is stored; {stored}: {hint}")

    field = config.intake.stream_field
    reading = Reading(
        stream=stream,
        stream_fields=[field] if isinstance(field, str) else field,
        follow=follow,
        out=sys.stdout.buffer,
        say=tell,
        on_unread=on_fault,
        on_none=on_none,
    )
    try:
        with until_nobody_reads():
            kind_of(config.sink).read(config.sink, base_dir, reading)
    except KeyboardInterrupt:
        return _exit_code(faults)
    return _exit_code(faults)


def _others_declared(config: Config, base_dir: Path, stream: str) -> list[str] | None:
    """Return the declared streams if this one is not among them. None: it is, or any name is accepted, or the sources
    cannot be read from here."""
    try:
        sources = read_files(base_dir / text for text in config.streams.sources)
    except SettingsError:  # A URL, or a file with a mistake, which `penstock check` explains.
        return None
    view = Views(sections(sources), config.streams.wiki).of(config.streams.wiki)
    if not sources or any(view.select(Query(names=(stream,)))):
        return None
    return [entry[0] for entry in view.select(Query()) if entry is not None and entry[0][:1] != "/"]


def _exit_code(faults: list[str]) -> int:
    return EXIT_FOUND if faults else EXIT_DONE
