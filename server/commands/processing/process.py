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
    parser.add_argument("--seed", type=int, metavar="N", help="seed of the oracle; default 1")
    parser.add_argument("--pages", type=whole, metavar="N", help="pages of the oracle; default 200")
    parser.add_argument("--runner", choices=("embedded", "flink"), default="embedded", help="default embedded")
    parser.add_argument(
        "--kafka", metavar="SERVERS", help="let the example or the oracle go between topics of these brokers"
    )
    parser.add_argument("--jar", action="append", metavar="FILE", help="a jar of Flink's connector, for the same")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from processors.page_change import command

    if sum((options.example, options.oracle, options.config is not None)) != 1:
        raise UsageError("name one of --config, --example and --oracle")
    _refuse_unused(options)
    if options.forget_wiki is not None:
        return command.forget(options.config, options.forget_wiki)
    where = command.Where(options.runner, options.kafka, options.jar or [])
    if options.oracle:
        seed = 1 if options.seed is None else options.seed
        pages = 200 if options.pages is None else options.pages
        return command.oracle(seed, pages, where)
    if options.example:
        return command.example(where)
    return command.run(options.config, options.runner, once=options.once)


def _refuse_unused(options: argparse.Namespace) -> None:
    """Raise UsageError for an option that would have no effect."""
    is_made_up = options.config is None
    needs = (
        ("--forget-wiki", options.forget_wiki is not None, not is_made_up, "--config, which names the state"),
        ("--once", options.once, not is_made_up and options.forget_wiki is None, "a run with --config"),
        ("--seed", options.seed is not None, options.oracle, "--oracle"),
        ("--pages", options.pages is not None, options.oracle, "--oracle"),
        (
            "--kafka",
            options.kafka is not None,
            is_made_up,
            "--example or --oracle; of --config the intake names them",
        ),
        (
            "--jar",
            options.jar is not None,
            is_made_up and options.runner == "flink",
            "--runner flink with --example or --oracle; of --config they are flink.jars",
        ),
    )
    for name, is_given, is_used, need in needs:
        if is_given and not is_used:
            raise UsageError(f"{name} has no effect here: it needs {need}")
