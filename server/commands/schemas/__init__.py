"""``penstock schemas``: work on a repository of schemas: make versions, check changes, and tell people of them.

Place: a command of its own, with a subcommand for each task, each in a file here.
Rules: nothing is served or sent. The exit codes of tasks that judge are those of a check in CI: 0 for a repository
that is in order, 1 for findings, 2 if all that is left is unknown, 3 for a wrong use.
Not here: what is compared and how (schemas_tool).
"""

from __future__ import annotations

import argparse
from typing import Final

from server.commands import types
from server.commands.schemas import check, diff, docs, explain, lint, materialize, replay

TASKS: Final = {
    "materialize": (materialize.arguments, "make versioned files out of current ones"),
    "check": (check.arguments, "compare consecutive versions: what does a change break?"),
    "diff": (diff.arguments, "tell in plain words what has changed"),
    "lint": (lint.arguments, "say what is wrong with the newest version of each schema"),
    "docs": (docs.arguments, "write a page of HTML for each schema"),
    "replay": (replay.arguments, "judge real events by new versions: what share would be refused?"),
    "types": (types.arguments, "write types of events: the same as penstock types"),
    "explain": (explain.arguments, "say why a rule is there"),
}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    tasks = parser.add_subparsers(title="tasks", required=True, metavar="TASK")
    for name, (declare, what) in TASKS.items():
        declare(tasks.add_parser(name, help=what))
