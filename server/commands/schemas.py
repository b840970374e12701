"""``penstock schemas``: work on a repository of schemas: make versions, check changes, and tell people of them.

Place: a command of its own, with a subcommand for each task.
Rules: nothing is served or sent. The exit codes of ``check`` and ``lint`` are those of a check in CI: 0 for a
repository that is in order, 1 for findings, 2 if all that is left is unknown, 3 for a wrong use.
Not here: what is compared and how (schemas_tool).
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from server.commands.support.output import say, until_nobody_reads
from server.errors import EXIT_DONE, EXIT_FOUND, PenstockError, UsageError
from server.schemas_tool import against as states
from server.schemas_tool.check import EXIT_WRONG_USE, check
from server.schemas_tool.compare import PROFILES
from server.schemas_tool.making import materialize
from server.schemas_tool.output import FORMATS
from server.schemas_tool.versions import currents_below

ACCEPTED = "accepted-breaks.yaml"


class WrongUseError(PenstockError):
    """The command line names something that cannot be used; CI tells it from findings by the code."""

    exit_code = EXIT_WRONG_USE


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    tasks = parser.add_subparsers(title="tasks", required=True, metavar="TASK")
    _materialize_arguments(tasks.add_parser("materialize", help="make versioned files out of current ones"))
    _check_arguments(tasks.add_parser("check", help="compare consecutive versions: what does a change break?"))


def _directory(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("directory", type=Path, metavar="DIRECTORY", help="a repository of schemas")
    parser.add_argument(
        "--base", action="append", default=[], type=Path, metavar="DIR", help="look for references here too, in order"
    )


def _format(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--format", choices=list(FORMATS), default="text", help="default text")


def _materialize_arguments(parser: argparse.ArgumentParser) -> None:
    _directory(parser)
    parser.add_argument("--title", action="append", default=[], metavar="TITLE", help="these titles alone")
    parser.add_argument("--kind", action="append", choices=("yaml", "json"), help="files to write; default yaml")
    parser.add_argument("--check", action="store_true", help="write nothing; 1 if a file is not what would be written")
    parser.add_argument("--no-links", action="store_true", help="make no links such as latest")
    parser.set_defaults(run=_usable(_materialize))


def _check_arguments(parser: argparse.ArgumentParser) -> None:
    _directory(parser)
    parser.add_argument("--profile", choices=list(PROFILES), default="backward", help="default backward")
    parser.add_argument(
        "--against", metavar="STATE", help="the released state: a directory, or a commit, branch or tag of git"
    )
    parser.add_argument(
        "--accepted", type=Path, metavar="FILE", help=f"accepted breaks; default DIRECTORY/{ACCEPTED}, if it is there"
    )
    _format(parser)
    parser.set_defaults(run=_usable(_check))


def _usable(run: Callable[[argparse.Namespace], int]) -> Callable[[argparse.Namespace], int]:
    def run_task(options: argparse.Namespace) -> int:
        try:
            return run(options)
        except UsageError as error:
            raise WrongUseError(str(error)) from None

    return run_task


def _materialize(options: argparse.Namespace) -> int:
    kinds: Sequence[str] = options.kind or ["yaml"]
    resolver = materialize.Resolver([options.directory, *options.base])
    stale = failed = 0
    paths = currents_below(options.directory)
    if not paths:
        raise UsageError(f"{options.directory} holds no current.yaml")
    for path in paths:
        if options.title and path.parent.relative_to(options.directory).as_posix() not in options.title:
            continue
        try:
            stale += _materialize_one(path, resolver, kinds, options)
        except materialize.MaterializeError as error:
            say(f"penstock: {error}")
            failed += 1
    return EXIT_FOUND if failed or (options.check and stale) else EXIT_DONE


def _materialize_one(
    path: Path, resolver: materialize.Resolver, kinds: Sequence[str], options: argparse.Namespace
) -> int:
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


def _check(options: argparse.Namespace) -> int:
    accepted = options.accepted
    if accepted is None and (options.directory / ACCEPTED).is_file():
        accepted = options.directory / ACCEPTED
    with contextlib.ExitStack() as stack:
        state = options.against
        baseline = stack.enter_context(states.released(state, options.directory)) if state is not None else None
        today = datetime.datetime.now(tz=datetime.UTC).date()
        outcome = check(options.directory, options.profile, options.base, baseline, accepted, today)
        errors = [found for found in outcome.findings if found.status == "error"]
        summary = (
            f"{outcome.schemas} schemas, {outcome.pairs} changes compared ({outcome.profile}): "
            f"{sum(found.verdict != 'unknown' for found in errors)} findings, "
            f"{sum(found.verdict == 'unknown' for found in errors)} unknown, "
            f"{len(outcome.findings) - len(errors)} noted"
        )
        with until_nobody_reads():
            sys.stdout.write(FORMATS[options.format](outcome.findings, summary))
    return outcome.exit_code
