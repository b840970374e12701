"""``penstock expect``: wait until events have come, and say what came instead if they have not.

Place: a process of its own → console.client → the console of a running service, which waits.
Rule: the exit code is 0 if the events came as expected, else 1; the report goes to standard output, and with
``--junit`` into a file for a CI.
Not here: how events are matched (console.checks).
"""

from __future__ import annotations

import argparse
import json
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

from server.commands.support.console_options import add_console, client_of, count, duration, session
from server.commands.support.output import until_nobody_reads
from server.commands.tail import check_filter
from server.errors import EXIT_DONE, EXIT_FOUND, UsageError
from server.log import printable

SPARE_S = 30.0


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    add_console(parser)
    parser.add_argument("--where", default="", metavar="FILTER", help="which events, as docs/FILTERS.md describes")
    parser.add_argument("--schema", default="", metavar="URI", help="events of this schema or title")
    parser.add_argument("--example", metavar="JSON", help="events that have these values")
    parser.add_argument("--at-least", type=count, metavar="N", help="so many or more; without any number one")
    parser.add_argument("--exactly", type=count, metavar="N", help="so many, and none more until --settle is over")
    parser.add_argument("--at-most", type=count, metavar="N", help="so many or fewer")
    parser.add_argument("--within", type=duration, default=5.0, metavar="TIME", help="how long to wait: 5s")
    parser.add_argument("--settle", type=duration, default=0.2, metavar="TIME", help="quiet after the last: 200ms")
    parser.add_argument("--none-invalid", action="store_true", help="fail if an event was not accepted")
    parser.add_argument("--session", type=session, default="", metavar="ID", help="only events of this test session")
    parser.add_argument("--after", type=count, metavar="NUMBER", help="only events behind this one")
    parser.add_argument("--json", action="store_true", help="print the console's answer")
    parser.add_argument("--junit", type=Path, metavar="FILE", help="write a report in JUnit's form")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    check_filter(options.where)
    order = {
        "session": options.session,
        "where": options.where,
        "schema": options.schema,
        "example": _example(options.example),
        "at_least": options.at_least,
        "exactly": options.exactly,
        "at_most": options.at_most,
        "within_ms": round(options.within * 1000),
        "settle_ms": round(options.settle * 1000),
        "none_invalid": options.none_invalid,
        "after": options.after,
    }
    within_s = options.within + options.settle + SPARE_S
    answer = client_of(options).ask("POST", "/expect", order, within_s=within_s)
    lines = [json.dumps(answer, ensure_ascii=False)] if options.json else list(report(answer))
    if options.junit:
        _write_junit(options.junit, options.where or options.schema or "events", answer)
    with until_nobody_reads():
        print(*lines, sep="\n", file=sys.stdout)
    return EXIT_DONE if answer["matched"] else EXIT_FOUND


def _example(text: str | None) -> Any:
    if text is None:
        return None
    try:
        found = json.loads(text)
    except ValueError as error:
        raise UsageError(f"--example: this is no JSON: {error}") from None
    if not isinstance(found, dict):
        raise UsageError("--example: write an object, with the values that the event has")
    return found


def report(answer: dict[str, Any]) -> list[str]:
    """Return the lines that a person reads."""
    if answer["matched"]:
        return [f"matched: {answer['count']} events, after {answer['took_ms']:g} ms"]
    lines = [f"not matched: {answer['why']}"]
    closest = answer["closest"]
    if closest is not None:
        facts = closest["facts"]
        stream = facts.get("stream") or facts.get("path", "")
        lines.append(
            f"closest: {printable(stream)} {facts['verdict']}, {round(closest['likeness'] * 100)} % as expected"
        )
        lines += [f"  {_miss(miss)}" for miss in closest["misses"]]
        lines.append(f"  {printable(json.dumps(closest['event'], ensure_ascii=False))}")
    for one in answer["invalid"]:
        lines.append(
            f"not accepted: {printable(one['facts'].get('stream', ''))}: {printable(one['facts'].get('text', ''))}"
        )
    return lines


def _miss(miss: dict[str, Any]) -> str:
    if "term" in miss:
        return f"{printable(miss['term'])}: found {printable(json.dumps(miss['found'], ensure_ascii=False))}"
    found = "nothing" if miss.get("is_absent") else json.dumps(miss["found"], ensure_ascii=False)
    expected = json.dumps(miss["expected"], ensure_ascii=False)
    return f"{printable(miss['path'])}: expected {printable(expected)}, found {printable(found)}"


def _write_junit(file: Path, name: str, answer: dict[str, Any]) -> None:
    is_matched = answer["matched"]
    suite = ET.Element("testsuite", name="penstock expect", tests="1", failures=str(int(not is_matched)))
    case = ET.SubElement(suite, "testcase", name=printable(name), time=f"{answer['took_ms'] / 1000:.3f}")
    if not is_matched:
        lines = report(answer)
        ET.SubElement(case, "failure", message=lines[0]).text = "\n".join(lines)
    try:
        file.write_bytes(ET.tostring(suite, encoding="utf-8", xml_declaration=True))
    except OSError as error:
        raise UsageError(f"{file}: cannot be written: {error.strerror}") from None
