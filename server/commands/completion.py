"""``penstock completion``: print a completion script for bash and zsh, or with ``--man`` the manual page.

Place: __main__ → HERE → commands.support.manual, with the parsers of all commands.
Rule: the output is made of the parsers, so that it is that of the installed version.
Not here: the texts (commands.support.manual).
"""

from __future__ import annotations

import argparse

from server.commands.support import manual
from server.commands.support.output import until_nobody_reads
from server.commands.support.parser import COMMANDS, make_parser
from server.errors import EXIT_DONE


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument(
        "--man", action="store_true", help="print the manual page instead: penstock completion --man | man -l -"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print it."""
    parser = make_parser(COMMANDS)
    with until_nobody_reads():
        print(manual.man(parser, COMMANDS) if options.man else manual.completion(parser), end="")
    return EXIT_DONE
