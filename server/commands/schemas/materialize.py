"""``penstock schemas materialize``: make versioned files and links out of ``current`` files.

Place: a task of ``penstock schemas``.
Rules: a file that is up to date is not touched. A check writes nothing.
Not here: what a versioned file holds (schemas_tool.making).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from server.commands.schemas.options import add_directory, usable
from server.commands.support.output import say
from server.errors import EXIT_DONE, EXIT_FOUND, UsageError
from server.schemas_tool.making import materialize
from server.schemas_tool.states.git import changed_below
from server.schemas_tool.versions import currents_below


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the task takes."""
    add_directory(parser)
    parser.add_argument("--title", action="append", default=[], metavar="TITLE", help="these titles alone")
    parser.add_argument("--modified", action="store_true", help="titles alone whose current file is not committed")
    parser.add_argument("--kind", action="append", choices=("yaml", "json"), help="files to write; default yaml")
    parser.add_argument("--check", action="store_true", help="write nothing; 1 if a file is not what would be written")
    parser.add_argument("--no-links", action="store_true", help="make no links such as latest")
    parser.set_defaults(run=usable(_run))


def _run(options: argparse.Namespace) -> int:
    kinds: Sequence[str] = options.kind or ["yaml"]
    resolver = materialize.Resolver([options.directory, *options.base])
    stale = failed = 0
    paths = currents_below(options.directory)
    if not paths:
        raise UsageError(f"{options.directory} holds no current.yaml")
    if options.modified:
        modified = changed_below(options.directory)
        paths = [path for path in paths if path in modified]
    for path in paths:
        if options.title and path.parent.relative_to(options.directory).as_posix() not in options.title:
            continue
        try:
            stale += _write_one(path, resolver, kinds, options)
        except materialize.MaterializeError as error:
            say(f"penstock: {error}")
            failed += 1
    return EXIT_FOUND if failed or (options.check and stale) else EXIT_DONE


def _write_one(path: Path, resolver: materialize.Resolver, kinds: Sequence[str], options: argparse.Namespace) -> int:
    """Write the files of one title that are not up to date; return how many there were."""
    stale = 0
    for file, text in materialize.files_of(path, resolver, kinds):
        if file.is_file() and file.read_bytes() == text.encode():
            continue
        stale += 1
        print(f"{file} is not up to date" if options.check else f"{file}")
        if not options.check:
            materialize.put(file, text)
    if not options.no_links:
        version = materialize.version_of(materialize.read(path), path)
        for link, target in materialize.links_of(path, version, kinds):
            if link.is_symlink() and str(link.readlink()) == target:
                continue
            stale += 1
            print(f"{link} is not up to date" if options.check else f"{link} → {target}")
            if not options.check:
                materialize.put_link(link, target)
    return stale
