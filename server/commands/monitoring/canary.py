"""``penstock canary``: send canaries once and judge them, or print what the service's own canaries have found.

Place: a process of its own next to the service → canary.run; ``status`` reads the state of the canary process.
Rules: the exit code is 0 if every canary came back, else 1, also if no stream has canaries: a gate must not pass
because nothing was checked. Neither action changes the state of the canary process.
Not here: one run (canary.run), the process that sends canaries again and again (canary.process).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shlex
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from server.boot.examine import examine, usable
from server.commands.support.options import add_settings
from server.commands.support.output import say, until_nobody_reads
from server.config.load import Loaded, load
from server.errors import EXIT_DONE, EXIT_FOUND, UsageError
from server.identity import new_id

if TYPE_CHECKING:
    from server.canary.event import Canary
    from server.canary.plan import Check
    from server.canary.run import Outcome
    from server.schemas.repository import SchemaRepository

READ_S: Final = 3.0  # Schemas beyond this are compiled when a canary needs them.
_COLUMNS: Final = ("stream", "target", "ok", "stage", "roundtrip_ms", "detail")


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    add_settings(parser)
    parser.add_argument("action", choices=("once", "status"), help="send canaries now, or print what is known of them")
    parser.add_argument("--stream", metavar="NAME", action="append", default=[], help="only this stream; repeatable")
    parser.add_argument("--json", action="store_true", help="print a JSON array instead of a table")
    parser.add_argument("--junit", type=Path, metavar="FILE", help="write a report in JUnit's form, too")
    parser.add_argument("--dry-run", action="store_true", help="once: print curl commands, and send nothing")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    loaded = load(options.config, options.set, os.environ)
    if options.action == "status":
        return _report(_known(loaded, options.stream), options)
    snapshot, schemas = usable(examine(loaded, READ_S))
    from server.canary.plan import checks

    expected = checks(snapshot, loaded.config, options.stream)
    if missing := set(options.stream) - {check.stream for check in expected}:
        raise UsageError(f"--stream: no canaries are sent to {', '.join(sorted(missing))}")
    if options.dry_run:
        return _print_requests(loaded, schemas, expected)
    outcomes = asyncio.run(_send(loaded, schemas, expected))
    return _report([_line(outcome) for outcome in outcomes], options)


class _Materials:
    """The parts of a generation that a run needs."""

    def __init__(self, loaded: Loaded, schemas: SchemaRepository) -> None:
        self.config = loaded.config
        self.data_dir = loaded.base_dir
        self.schemas = schemas


async def _send(loaded: Loaded, schemas: SchemaRepository, expected: Sequence[Check]) -> list[Outcome]:
    from server.canary.post import Poster
    from server.canary.process import make_run

    settings = loaded.config.canary
    async with Poster(settings.request_s, settings.concurrency, _key(loaded)) as poster:
        run = make_run(_Materials(loaded, schemas), new_id().decode(), poster)
        return await run.outcomes(expected)


def _key(loaded: Loaded) -> str | None:
    from server.auth.canary_pass import read_key

    key_file = loaded.config.canary.key_file
    return read_key(loaded.path(key_file) if key_file is not None else None)


def _line(outcome: Outcome) -> dict[str, Any]:
    roundtrip_s = outcome.roundtrip_s
    return {
        "stream": outcome.check.stream,
        "target": outcome.check.target,
        "ok": outcome.verdict.is_ok,
        "stage": outcome.verdict.stage,
        "roundtrip_ms": None if roundtrip_s is None else round(roundtrip_s * 1000, 1),
        "detail": outcome.verdict.detail,
    }


def _known(loaded: Loaded, only: Sequence[str]) -> list[dict[str, Any]]:
    """Return the rows of the state of the canary process."""
    from server.canary.state import read_state

    directory, now_s = loaded.path(loaded.config.canary.path), time.time()
    state = read_state(directory)
    if state is None:
        say(f"penstock: no run of canaries has ended yet: there is no state in {directory}")
        return []
    silent_s = now_s - state.ended_s
    if silent_s > 2 * state.period_s:
        say(f"penstock: the last run of canaries ended {silent_s:.0f} s ago, but one begins every {state.period_s:g} s")
    return [
        {
            "stream": row.stream,
            "target": row.target,
            "ok": row.ok and silent_s <= 2 * state.period_s,
            "stage": row.stage,
            "roundtrip_ms": row.roundtrip_ms,
            "detail": row.detail,
            "condition": row.condition(now_s, state.period_s),
            "age_s": round(row.age_s(now_s), 1),
        }
        for row in state.rows
        if not only or row.stream in only
    ]


def _report(lines: Sequence[dict[str, Any]], options: argparse.Namespace) -> int:
    if options.junit:
        _write_junit(options.junit, lines)
    with until_nobody_reads():
        print(json.dumps(lines, ensure_ascii=False) if options.json else "\n".join(_table(lines)))
    if not lines:
        say("penstock: there is no canary: no stream has them, or there is no target")
    return EXIT_DONE if lines and all(line["ok"] for line in lines) else EXIT_FOUND


def _table(lines: Sequence[dict[str, Any]]) -> Iterable[str]:
    cells = [_COLUMNS, *(tuple(_cell(line[name]) for name in _COLUMNS) for line in lines)]
    widths = [max(len(row[at]) for row in cells) for at in range(len(_COLUMNS))]
    return ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells)


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = "-" if value is None else str(value)
    return "".join(letter if letter.isprintable() else " " for letter in text)


def _print_requests(loaded: Loaded, schemas: SchemaRepository, expected: Sequence[Check]) -> int:
    """Print a curl command for each canary, without the key. Returns the exit code."""
    from server.canary.event import NoCanaryError, make
    from server.canary.post import Poster
    from server.paths import Paths

    settings, run_id, lines, is_whole = loaded.config.canary, new_id().decode(), [], bool(expected)
    poster = Poster(settings.request_s, settings.concurrency)
    for check in expected:
        try:
            canary: Canary = make(check.stream, check.title, schemas, loaded.config.intake, run_id, time.time())
        except NoCanaryError as why:
            is_whole = False
            lines.append(f"# {check.stream}: {_cell(str(why))}")
            continue
        headers = " ".join(f"-H {shlex.quote(f'{name}: {value}')}" for name, value in poster.headers(check).items())
        lines.append(f"curl -sS {headers} --data-raw {shlex.quote(canary.text.decode())} {check.url}{Paths.EVENTS}")
    with until_nobody_reads():
        print(*lines, sep="\n")
    return EXIT_DONE if is_whole else EXIT_FOUND


def _write_junit(file: Path, lines: Sequence[dict[str, Any]]) -> None:
    failures = sum(not line["ok"] for line in lines)
    suite = ET.Element("testsuite", name="penstock canary", tests=str(len(lines)), failures=str(failures))
    for line in lines:
        seconds = f"{(line['roundtrip_ms'] or 0) / 1000:.3f}"
        case = ET.SubElement(suite, "testcase", classname=line["stream"], name=line["target"], time=seconds)
        if not line["ok"]:
            ET.SubElement(case, "failure", message=line["stage"]).text = _cell(line["detail"])
    try:
        file.write_bytes(ET.tostring(suite, encoding="utf-8", xml_declaration=True))
    except OSError as error:
        raise UsageError(f"{file}: cannot be written: {error.strerror}") from None
