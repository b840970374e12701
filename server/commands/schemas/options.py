"""Options that the tasks of ``penstock schemas`` share, and the exit code of a wrong use.

Place: commands.schemas.* → HERE.
Rules: a command line that cannot be used ends with 3, since 1 and 2 are verdicts here.
Not here: options of one task (its own file).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from server.errors import PenstockError, UsageError
from server.schemas_tool.check import EXIT_WRONG_USE
from server.schemas_tool.output import FORMATS


class WrongUseError(PenstockError):
    """The command line names something that cannot be used; CI tells it from findings by the code."""

    exit_code = EXIT_WRONG_USE


def add_directory(parser: argparse.ArgumentParser) -> None:
    """Declare the repository, and further directories for references."""
    parser.add_argument("directory", type=Path, metavar="DIRECTORY", help="a repository of schemas")
    parser.add_argument(
        "--base", action="append", default=[], type=Path, metavar="DIR", help="look for references here too, in order"
    )


def add_format(parser: argparse.ArgumentParser) -> None:
    """Declare the form in which findings are printed."""
    parser.add_argument("--format", choices=list(FORMATS), default="text", help="default text")


def usable(run: Callable[[argparse.Namespace], int]) -> Callable[[argparse.Namespace], int]:
    """Return a task that ends with 3 where it raises UsageError."""

    def run_task(options: argparse.Namespace) -> int:
        try:
            return run(options)
        except UsageError as error:
            raise WrongUseError(str(error)) from None

    return run_task
