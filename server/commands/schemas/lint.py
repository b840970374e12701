"""``penstock schemas lint``: print what is wrong with the newest version of each schema, and advice.

Place: a task of ``penstock schemas``.
Rules: errors end with 1; notes do not, unless ``--strict``.
Not here: rules (schemas_tool.lint), forms of output (schemas_tool.output).
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from server.commands.schemas.options import add_directory, add_format, usable
from server.commands.support.output import until_nobody_reads
from server.errors import EXIT_DONE, EXIT_FOUND
from server.schemas_tool.lint.lint import lint
from server.schemas_tool.output import FORMATS


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the task takes."""
    add_directory(parser)
    parser.add_argument(
        "--streams", action="append", default=[], type=Path, metavar="FILE", help="declared streams, to compare titles"
    )
    parser.add_argument("--skip", action="append", default=[], metavar="RULE", help="do not apply a rule")
    parser.add_argument("--errors", action="store_true", help="print errors alone, and no notes")
    parser.add_argument("--strict", action="store_true", help="end with 1 for notes too")
    add_format(parser)
    parser.set_defaults(run=usable(_run))


def _run(options: argparse.Namespace) -> int:
    found = lint(options.directory, options.base, options.streams, options.skip)
    errors = [each for each in found if each.status == "error"]
    shown = errors if options.errors else found
    summary = f"{len(errors)} errors, {len(found) - len(errors)} notes"
    with until_nobody_reads():
        sys.stdout.write(FORMATS[options.format](shown, summary))
    return EXIT_FOUND if errors or (options.strict and found) else EXIT_DONE
