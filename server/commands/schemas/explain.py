"""``penstock schemas explain``: say why a rule is there, and what a break of it needs.

Place: a task of ``penstock schemas``.
Rules: without a rule, all of them are listed.
Not here: the rules (schemas_tool.rules, schemas_tool.lint.rules).
"""

from __future__ import annotations

import argparse

from server.commands.schemas.options import usable
from server.commands.support.output import until_nobody_reads
from server.errors import EXIT_DONE, UsageError
from server.schemas_tool import rules
from server.schemas_tool.lint import rules as lint_rules


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the task takes."""
    parser.add_argument("rule", nargs="?", metavar="RULE", help="a rule that a finding names; default all")
    parser.set_defaults(run=usable(_run))


def _run(options: argparse.Namespace) -> int:
    told = {rule.name: f"{rule.why} A break needs a {rule.bump} version." for rule in rules.ALL}
    told |= {rule.name: f"{rule.why} ({'error' if rule.is_error else 'note'} of lint)" for rule in lint_rules.ALL}
    if options.rule is not None and options.rule not in told:
        raise UsageError(f"there is no rule {options.rule!r}")
    with until_nobody_reads():
        for name, text in told.items():
            if options.rule in (None, name):
                print(f"{name}: {text}")
    return EXIT_DONE
