"""``penstock process``: run a stream processor, or its oracle.

Place: __main__ → HERE → processors, which is imported when the command runs.
Rule: there is one processor, ``page-change``, and the options are its own.
Not here: what a processor does (processors).
"""

from __future__ import annotations

import argparse
from pathlib import Path

from server.commands.support.options import whole
from server.errors import UsageError


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument(
        "processor",
        choices=("page-change",),
        help="page-change consolidates the streams of MediaWiki into one of page changes",
    )
    parser.add_argument("-c", "--config", type=Path, metavar="FILE", help="settings of the processor")
    parser.add_argument("--once", action="store_true", help="read the inputs to their ends, emit everything, and end")
    parser.add_argument(
        "--forget-wiki", metavar="WIKI", help="forget the pages of a wiki whose numbers have begun again, and end"
    )
    parser.add_argument("--example", action="store_true", help="consolidate example data and print the output")
    parser.add_argument("--oracle", action="store_true", help="consolidate made-up histories and check the output")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="seed of the oracle; default 1")
    parser.add_argument("--pages", type=whole, default=200, metavar="N", help="pages of the oracle; default 200")
    parser.add_argument("--runner", choices=("embedded", "flink"), default="embedded", help="default embedded")
    parser.add_argument(
        "--kafka", metavar="SERVERS", help="let the example or the oracle go between topics of these brokers"
    )
    parser.add_argument(
        "--jar", action="append", default=[], metavar="FILE", help="a jar of Flink's connector, for the same"
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from processors.page_change import command

    if sum((options.example, options.oracle, options.config is not None)) != 1:
        raise UsageError("name one of --config, --example and --oracle")
    if options.forget_wiki is not None:
        if options.config is None:
            raise UsageError("--forget-wiki needs --config, which names the state")
        return command.forget(options.config, options.forget_wiki)
    where = command.Where(options.runner, options.kafka, options.jar)
    if options.oracle:
        return command.oracle(options.seed, options.pages, where)
    if options.example:
        return command.example(where)
    return command.run(options.config, options.runner, once=options.once)
