"""``penstock record``: write the events that reached a service, as they came, one JSON object per line.

Place: a process of its own → console.client → standard output; ``penstock replay`` reads it.
Rule: a line holds the event as the client sent it, with its verdict, so that a replay can compare. Fields that the
console masks are masked here too.
Not here: sending (commands.replay).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from typing import Any

from server.commands.support.console_options import add_console, client_of, session
from server.commands.support.output import say, until_nobody_reads
from server.commands.tail import check_filter
from server.console.client import ConsoleClient
from server.errors import EXIT_DONE

PAGE = 500


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    add_console(parser)
    parser.add_argument("--filter", default="", metavar="FILTER", help="only these, as docs/FILTERS.md describes")
    parser.add_argument("--session", type=session, default="", metavar="ID", help="only events of this test session")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    check_filter(options.filter)
    client = client_of(options)
    count = 0
    with until_nobody_reads():
        for line in _recorded(client, options.filter, options.session):
            print(json.dumps(line, ensure_ascii=False))
            count += 1
    say(f"penstock: {count} events recorded")
    return EXIT_DONE


def _recorded(client: ConsoleClient, wanted: str, session: str) -> Iterator[dict[str, Any]]:
    """Yield everything that the console remembers now."""
    cursor, end = 0, client.ask("GET", "/info")["cursor"]
    while cursor < end:
        query = {"where": wanted, "session": session, "after": str(cursor), "limit": str(PAGE)}
        page = client.ask("GET", "/events", query=query)
        for one in page["events"]:
            facts = one["facts"]
            if "stream" not in facts and "schema" not in facts:
                continue  # A request without an event.
            detail = client.ask("GET", f"/events/{facts['seq']}")
            yield {
                "at": facts["at"],
                "verdict": facts["verdict"],
                "error": facts.get("error"),
                "event": _event(detail["received"]),
                "stored": one["event"],
            }
        if page["cursor"] <= cursor:
            return
        cursor = page["cursor"]


def _event(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
