"""``penstock replay``: validate a recording again, and say which verdicts and which stored values have changed.

Place: a process of its own; shares intake.pipeline with the server, as ``penstock validate`` does.
Rules: nothing is sent. Values that differ in each run, such as identities and times, are not compared. HAR files of
browsers are recordings as well: the bodies of requests to an intake in them are validated.
Not here: making a recording (commands.record).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from server.boot.generation import read
from server.commands.support.options import add_settings
from server.commands.support.output import until_nobody_reads
from server.commands.tail import escaped
from server.console.checks.differences import differences
from server.errors import EXIT_DONE, EXIT_FOUND, UsageError
from server.intake.arrival import Arrival, Clock
from server.intake.pipeline import make_pipeline

VOLATILE = ("/meta/id", "/meta/dt", "/meta/request_id", "/dt", "/http")
PATHS = ("/v1/events", "/v1/beacon")


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    add_settings(parser)
    parser.add_argument("file", type=Path, metavar="FILE", help="a recording, or a HAR file of a browser")
    parser.add_argument("--ignore", action="append", default=[], metavar="/PATH", help="do not compare this field")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    generation = read(options.config, options.set)
    pipeline = make_pipeline(generation.config, generation.schemas.find, generation.snapshot.find)
    ignored = (*VOLATILE, *options.ignore)
    clock, count, changed = Clock(), 0, 0
    with until_nobody_reads():
        for number, line in enumerate(_recording(options.file), 1):
            raw = json.dumps(line["event"], ensure_ascii=False).encode()
            event = pipeline.prepare(0, raw, Arrival(*clock.now(), {}))
            now = "accepted" if event.verdict is None else "invalid" if event.verdict.is_invalid else "error"
            count += 1
            found = list(_changes(line, now, event.verdict.text if event.verdict else "", event.value, ignored))
            changed += bool(found)
            for text in found:
                print(f"event {number}: {escaped(text)}")
        print(f"{count} events, {changed} of them changed")
    return EXIT_FOUND if changed else EXIT_DONE


def _changes(line: dict[str, Any], now: str, text: str, value: bytes, ignored: tuple[str, ...]) -> Iterator[str]:
    before = line.get("verdict")
    if before is None:
        if now != "accepted":
            yield f"is {now}: {text}"
        return
    was = "accepted" if before in ("accepted", "observed", "spooled", "dropped") else before
    if was != now:
        yield f"was {before}, is {now}{f': {text}' if text else ''}"
    elif now == "accepted" and isinstance(line.get("stored"), dict):
        for one in differences(line["stored"], json.loads(value)):
            if not any(one["path"] == path or one["path"].startswith(f"{path}/") for path in ignored):
                yield f"{one['path']} {one['kind']}: {_value(one, 'before')} → {_value(one, 'after')}"


def _value(one: dict[str, Any], side: str) -> str:
    return json.dumps(one[side], ensure_ascii=False) if side in one else "nothing"


def _recording(file: Path) -> Iterator[dict[str, Any]]:
    """Yield the lines of a recording, or the events of a HAR file without a verdict."""
    try:
        text = file.read_text("utf-8")
    except (OSError, ValueError) as error:
        raise UsageError(f"{file}: cannot be read: {error}") from None
    har = _har(text)
    if har is not None:
        yield from har
        return
    for number, line in enumerate(text.splitlines(), 1):
        try:
            found = json.loads(line) if line.strip() else None
        except ValueError as error:
            raise UsageError(f"{file}:{number}: this is no JSON: {error}") from None
        if isinstance(found, dict) and "event" in found:
            yield found


def _har(text: str) -> list[dict[str, Any]] | None:
    try:
        entries = json.loads(text)["log"]["entries"]
    except (ValueError, KeyError, TypeError):
        return None
    found: list[dict[str, Any]] = []
    for entry in entries:
        request = entry.get("request", {})
        if not any(path in str(request.get("url", "")) for path in PATHS):
            continue
        try:
            body = json.loads(request.get("postData", {}).get("text", ""))
        except ValueError:
            continue
        found += [{"event": event} for event in (body if isinstance(body, list) else [body])]
    return found
