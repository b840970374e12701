"""``penstock validate``: print a verdict for every event of files, one per line: newline-delimited JSON, one event over
several lines, or an array of events.

Place: a command of its own; shares intake.pipeline with the server, so the verdicts are the same.
Rule: the exit code is 1 if any event is not valid, even one that would be accepted (``validation: observe``); nothing
is sent.
Not here: the shape of a verdict (intake.report).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec

from server.boot.generation import Generation, read
from server.commands.support.options import add_settings
from server.commands.support.output import until_nobody_reads
from server.errors import EXIT_DONE, EXIT_FOUND, UsageError
from server.fetch.once import fetch_schemas
from server.intake.arrival import Arrival, Clock
from server.intake.event import Event
from server.intake.forms.ndjson import LineReader
from server.intake.forms.piece import Piece
from server.intake.pipeline import Pipeline, make_pipeline
from server.intake.report import report
from server.intake.text.decode import BOM
from server.intake.text.name_hints import NameHints
from server.privacy.applied import make_privacy
from server.privacy.keys import HashKeys
from server.schemas.repository import Unfetched


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    add_settings(parser)
    parser.add_argument(
        "files",
        nargs="*",
        type=Path,
        metavar="FILE",
        help="newline-delimited JSON, one JSON event or an array of them; or standard input",
    )
    parser.set_defaults(run=lambda options: run(options.config, options.set, options.files))


def run(config_path: Path | None, overrides: list[str], files: list[Path]) -> int:
    """Judge every event of the files, or of standard input, and print one JSON object for each."""
    generation = read(config_path, overrides)
    schemas, snapshot = generation.schemas, generation.snapshot
    hints = NameHints(snapshot.streams(), schemas.versions)
    privacy = make_privacy(generation.config, schemas, HashKeys(*generation.hash_keys))
    find, streams = schemas.find, snapshot.find
    pipeline = make_pipeline(generation.config, find, streams, hints=hints, privacy=privacy, latest=schemas.latest)
    lines = LineReader(generation.config.http.limits.max_event_bytes)
    clock = Clock()
    invalid = 0
    with until_nobody_reads():
        for index, (place, raw) in enumerate(_inputs(files)):
            piece = lines.piece(raw)
            event = _judged(pipeline, index, piece, clock)
            if event.unfetched is not None:
                fetch(generation, event.unfetched)
                event = _judged(pipeline, index, piece, clock)
            invalid += event.verdict is not None or event.observed is not None
            entry = report(event) if place is None else {"at": place, **report(event)}
            sys.stdout.buffer.write(msgspec.json.encode(entry) + b"\n")
    return EXIT_FOUND if invalid else EXIT_DONE


def _judged(pipeline: Pipeline, index: int, piece: Piece, clock: Clock) -> Event:
    if piece.verdict is not None:
        return Event(index, piece.raw, piece.verdict)
    return pipeline.prepare(index, piece.raw, Arrival(*clock.now(), {}))


def fetch(generation: Generation, schema: Unfetched) -> None:
    """Fetch the schema of an event, or remember why it cannot be fetched."""
    remote = generation.schemas.remote
    assert remote is not None
    for uri, error_type in fetch_schemas(generation.config, generation.data_dir, [schema.uri]).items():
        kind = "schema_unavailable" if error_type == "refused" else error_type
        remote.note_failure(uri, kind, "it was asked for", generation.config.schemas.unknown_s)


def _inputs(files: list[Path]) -> Iterator[tuple[str | None, bytes]]:
    """Yield each event as bytes, with the file and the line where it begins; None on standard input."""
    if not files:
        for _, raw in _events(sys.stdin.buffer):
            yield None, raw
    for path in files:
        try:
            with path.open("rb") as file:
                for line, raw in _events(file):
                    yield f"{path}:{line}", raw
        except OSError as error:
            raise UsageError(f"cannot read {path}: {error.strerror}") from error


def _events(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Yield the lines that are not blank, without the byte order mark that a file may begin with, as in a body. If the
    first of them is no whole object, the file may be one event over several lines, or an array of events."""
    lines = enumerate(file, 1)
    for number, raw in lines:
        line = (raw.removeprefix(BOM) if number == 1 else raw).strip()
        if not line:
            continue
        if line[:1] in (b"{", b"[") and not _is_object(line):
            rest = [raw for _, raw in lines]
            whole = b"".join((line, b"\n", *rest))
            yield from _of_document(number, whole) or _of_lines(number, whole.split(b"\n"))
            return
        yield number, line
        yield from _of_lines(number + 1, (raw for _, raw in lines))


def _of_lines(first: int, lines: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    for number, raw in enumerate(lines, first):
        if line := raw.strip():
            yield number, line


def _of_document(first: int, text: bytes) -> list[tuple[int, bytes]]:
    """Return the events of one JSON text, each on one line; none if the text is neither an object nor an array."""
    try:
        found = msgspec.json.decode(text, type=list[msgspec.Raw] | dict[str, msgspec.Raw])
    except msgspec.DecodeError:
        return []
    if isinstance(found, dict):
        return [(first, msgspec.json.format(text.strip(), indent=-1))]
    events, at, line = [], 0, first
    for raw in map(bytes, found):
        begin = text.index(raw, at)
        line += text.count(b"\n", at, begin)
        events.append((line, msgspec.json.format(raw, indent=-1)))
        at = begin + len(raw)
        line += raw.count(b"\n")
    return events


def _is_object(line: bytes) -> bool:
    try:
        msgspec.json.decode(line, type=dict[str, msgspec.Raw])
    except msgspec.DecodeError:
        return False
    return True
