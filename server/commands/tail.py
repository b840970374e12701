"""``penstock tail``: the console in a terminal. Print every event and every refused request, as they come.

Place: a process of its own → console.client → the console of a running service.
Rules: the language of ``--filter`` is that of the page. Text from clients is escaped, so no event can move the cursor
of the terminal. Gaps are lines of their own. Colours are for terminals alone.
Not here: stored events (``penstock events``).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator
from typing import Any

from server.commands.support.console_options import add_console, client_of, positive
from server.commands.support.output import until_nobody_reads
from server.console.client import ConsoleClient
from server.console.facts import FACTS
from server.errors import EXIT_DONE, UsageError
from server.filter.fault import FilterError
from server.filter.language import compile_filter
from server.log import printable

COLOURS = {"accepted": "32", "observed": "33", "spooled": "33", "other": "2"}
BAD = "31"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    add_console(parser)
    parser.add_argument("--filter", default="", metavar="FILTER", help="only these, as docs/FILTERS.md describes")
    parser.add_argument("--json", action="store_true", help="one JSON object per line, with the event")
    parser.add_argument("--since-start", action="store_true", help="begin with what the console remembers")
    parser.add_argument("--count", type=positive, metavar="N", help="end after N of them")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    check_filter(options.filter)
    client = client_of(options)
    is_coloured = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    left = options.count
    try:
        with until_nobody_reads():
            for line in _lines(client, options.filter, is_json=options.json, is_whole=options.since_start):
                text, is_row = line
                print(text if is_coloured or options.json else _plain(text), flush=True)
                if left is not None and is_row:
                    left -= 1
                    if left <= 0:
                        return EXIT_DONE
    except KeyboardInterrupt:
        return EXIT_DONE
    return EXIT_DONE


def check_filter(text: str) -> None:
    """Check a filter before the console is asked. Raises UsageError, which points at the fault."""
    try:
        compile_filter(text, FACTS)
    except FilterError as fault:
        raise UsageError(f"this is no filter\n{fault.pointed()}") from None


def _lines(client: ConsoleClient, wanted: str, *, is_json: bool, is_whole: bool) -> Iterator[tuple[str, bool]]:
    """Yield lines, and whether each is a row and not a gap."""
    query = {"where": wanted}
    if not is_whole:
        info = client.ask("GET", "/info")
        query["after"] = f"{info['epoch']}-{info['cursor']}"
    for message in client.messages(query):
        missed = message["missed"]
        if missed:
            yield _gap(missed["lost"], missed["reason"], is_json=is_json), False
        for row in message["rows"]:
            if row.get("gap"):
                yield _gap(row["gap"], "more than the console may copy", is_json=is_json), False
            yield (_json_line(client, row) if is_json else _line(row)), True


def _gap(lost: int | None, reason: str, *, is_json: bool) -> str:
    if is_json:
        return json.dumps({"gap": lost, "reason": reason})
    return f"\x1b[33m--- {'some' if lost is None else lost} requests are not shown: {reason}\x1b[0m"


def _json_line(client: ConsoleClient, row: dict[str, Any]) -> str:
    detail = client.ask("GET", f"/events/{row['seq']}")
    text = detail.get("stored", detail["received"])
    try:
        event = json.loads(text)
    except ValueError:
        event = text
    return json.dumps({"facts": row, "event": event}, ensure_ascii=False)


def _line(row: dict[str, Any]) -> str:
    verdict = row["verdict"]
    subject = row.get("stream") or f"{row.get('method', '')} {row.get('path', '')}".strip()
    more = [row.get("text") or row.get("id", ""), f"test={row['test']}" if "test" in row else ""]
    parts = [row["at"][11:23], f"\x1b[{COLOURS.get(verdict, BAD)}m{verdict:<8}\x1b[0m", f"{row.get('status', ''):<3}"]
    return " ".join([*parts, printable(subject), *(printable(text) for text in more if text)])


def _plain(text: str) -> str:
    for code in ("32", "33", "31", "2", "0"):
        text = text.replace(f"\x1b[{code}m", "")
    return text
