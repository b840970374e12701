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

import msgspec

from server.boot.generation import read
from server.commands.support.options import add_settings
from server.commands.support.output import until_nobody_reads
from server.console.checks.differences import differences
from server.errors import EXIT_DONE, EXIT_FOUND, UsageError
from server.intake.arrival import Arrival, Clock
from server.intake.pipeline import make_pipeline
from server.log import printable
from server.privacy.applied import make_privacy
from server.privacy.keys import HashKeys

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
    schemas = generation.schemas
    privacy = make_privacy(generation.config, schemas, HashKeys(*generation.hash_keys), keeps_hashes=True)
    find, streams = schemas.find, generation.snapshot.find
    pipeline = make_pipeline(generation.config, find, streams, privacy=privacy, latest=schemas.latest)
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
                print(f"event {number}: {printable(text)}")
        print(f"{count} {'event' if count == 1 else 'events'}, {changed} of them changed")
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
    has_any = False
    for number, line in enumerate(text.splitlines(), 1):
        try:
            found = json.loads(line) if line.strip() else None
        except (ValueError, RecursionError) as error:
            raise UsageError(f"{file}:{number}: this is no JSON: {error}") from None
        if found is None:
            continue
        if not isinstance(found, dict) or "event" not in found:
            raise UsageError(f"{file}:{number}: this is no line of `penstock record`, which has the member event")
        has_any = True
        yield found
    if not has_any:
        raise UsageError(f"{file}: holds no event")


class _PostData(msgspec.Struct, frozen=True):
    text: str = ""


class _Request(msgspec.Struct, rename="camel", frozen=True):
    url: str = ""
    post_data: _PostData = _PostData()


class _Entry(msgspec.Struct):
    request: _Request = _Request()


class _Log(msgspec.Struct):
    entries: list[_Entry]


class _Har(msgspec.Struct):
    """The part of an archive that is used: HAR 1.2."""

    log: _Log


def _har(text: str) -> list[dict[str, Any]] | None:
    try:
        har = msgspec.json.decode(text, type=_Har)
    except (ValueError, RecursionError):
        return None
    found: list[dict[str, Any]] = []
    for entry in har.log.entries:
        if not any(path in entry.request.url for path in PATHS):
            continue
        try:
            body = json.loads(entry.request.post_data.text)
        except (ValueError, RecursionError):
            continue
        found += [{"event": event} for event in (body if isinstance(body, list) else [body])]
    return found
