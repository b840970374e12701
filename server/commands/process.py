"""``penstock process``: run a stream processor, or its oracle.

Place: __main__ → HERE → processors, which is imported when the command runs.
Rule: there is one processor, ``page-change``; the options that it does not share with others follow its name.
Not here: what a processor does (processors).
"""

from __future__ import annotations

import argparse
from pathlib import Path

from server.commands.options import whole
from server.errors import UsageError


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    processors = parser.add_subparsers(title="processors", required=True, metavar="PROCESSOR")
    one = processors.add_parser("page-change", help="consolidate the streams of MediaWiki into one of page changes")
    one.add_argument("-c", "--config", type=Path, metavar="FILE", help="settings of the processor")
    one.add_argument("--once", action="store_true", help="read the inputs to their ends, emit everything, and end")
    one.add_argument("--example", action="store_true", help="consolidate example data and print the output")
    one.add_argument("--oracle", action="store_true", help="consolidate made-up histories and check the output")
    one.add_argument("--seed", type=int, default=1, metavar="N", help="seed of the oracle; default 1")
    one.add_argument("--pages", type=whole, default=200, metavar="N", help="pages of the oracle; default 200")
    one.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from processors.page_change import command

    if sum((options.example, options.oracle, options.config is not None)) != 1:
        raise UsageError("name one of --config, --example and --oracle")
    if options.oracle:
        return command.oracle(options.seed, options.pages)
    if options.example:
        return command.example()
    return command.run(options.config, once=options.once)
