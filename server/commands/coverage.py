"""``penstock coverage``: what the accepted events of a test run had of their schemas, and what they never had.

Place: a process of its own → console.client → the console of a running service.
Rule: the exit code is 0, or 1 if a share that ``--at-least`` asks for is not reached.
Not here: how coverage is counted (console.checks.coverage).
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from typing import Any

from server.commands.support.console_options import add_console, client_of, percent, session
from server.commands.support.output import until_nobody_reads
from server.errors import EXIT_DONE, EXIT_FOUND
from server.log import printable


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    add_console(parser)
    parser.add_argument(
        "--session", type=session, default="", metavar="ID", help="of this test session; without it of all together"
    )
    parser.add_argument("--json", action="store_true", help="print the console's answer")
    parser.add_argument(
        "--at-least", type=percent, default=0.0, metavar="PERCENT", help="fail if a schema has fewer of its fields seen"
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    query = {"session": options.session} if options.session else {}
    found = client_of(options).ask("GET", "/coverage", query=query)
    lines = [json.dumps(found, ensure_ascii=False)] if options.json else list(report(found))
    with until_nobody_reads():
        print(*lines, sep="\n", file=sys.stdout)
    is_reached = found["schemas"] or not options.at_least
    is_enough = all(share_of(one) >= options.at_least for one in found["schemas"])
    return EXIT_DONE if is_reached and is_enough else EXIT_FOUND


def share_of(schema: dict[str, Any]) -> float:
    """Return the percentage of a schema's fields that were seen."""
    return 100 * schema["seen"] / schema["fields"] if schema["fields"] else 100.0


def report(found: dict[str, Any]) -> Iterator[str]:
    """Yield the lines that a person reads."""
    if not found["schemas"]:
        yield "No event of a test session has been accepted."
    for schema in found["schemas"]:
        taken = schema["branches"] - len(schema["branches_never_taken"])
        yield (
            f"{printable(schema['schema'])}: {schema['seen']} of {schema['fields']} fields ({share_of(schema):.0f} %), "
            f"{taken} of {schema['branches']} branches"
        )
        yield from (f"  never seen: {printable(path)}" for path in schema["never_seen"])
        for path, values in schema["values_never_seen"].items():
            yield f"  values never seen: {printable(path)}: {printable(', '.join(values))}"
        yield from (f"  never taken: {printable(place)}" for place in schema["branches_never_taken"])
    yield from (f"stream without an event: {printable(name)}" for name in found["streams_never_seen"])
