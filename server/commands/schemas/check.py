"""``penstock schemas check``: compare versions, and print what a change breaks.

Place: a task of ``penstock schemas``.
Rules: the exit code tells findings, unknown verdicts and a wrong use apart.
Not here: what is compared and how (schemas_tool.check), forms of output (schemas_tool.output).
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import sys
from pathlib import Path

from server.commands.schemas.options import add_directory, add_format, usable
from server.commands.support.output import until_nobody_reads
from server.schemas_tool.check import check
from server.schemas_tool.compare import PROFILES
from server.schemas_tool.output import FORMATS
from server.schemas_tool.states.against import released
from server.schemas_tool.versions import titles_below

ACCEPTED = "accepted-breaks.yaml"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the task takes."""
    add_directory(parser)
    parser.add_argument("--profile", choices=list(PROFILES), default="backward", help="default backward")
    parser.add_argument(
        "--against",
        metavar="STATE",
        help="the released state: a directory, a commit, branch or tag of git, an archive at a URL, or a service's URL",
    )
    parser.add_argument(
        "--accepted", type=Path, metavar="FILE", help=f"accepted breaks; default DIRECTORY/{ACCEPTED}, if it is there"
    )
    add_format(parser)
    parser.set_defaults(run=usable(_run))


def _run(options: argparse.Namespace) -> int:
    accepted = options.accepted
    if accepted is None and (options.directory / ACCEPTED).is_file():
        accepted = options.directory / ACCEPTED
    with contextlib.ExitStack() as stack:
        baseline = None
        if options.against is not None:
            baseline = stack.enter_context(
                released(options.against, options.directory, titles_below(options.directory))
            )
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
