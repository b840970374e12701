"""``penstock validate``: print a verdict for every line of newline-delimited JSON, one per line.

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
from server.schemas.repository import Unfetched


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    add_settings(parser)
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE", help="newline-delimited JSON; or standard input")
    parser.set_defaults(run=lambda options: run(options.config, options.set, options.files))


def run(config_path: Path | None, overrides: list[str], files: list[Path]) -> int:
    """Judge every line of the files, or of standard input, and print one JSON object for each."""
    generation = read(config_path, overrides)
    pipeline = make_pipeline(generation.config, generation.schemas.find, generation.snapshot.find)
    lines = LineReader(generation.config.http.limits.max_event_bytes)
    clock = Clock()
    invalid = 0
    with until_nobody_reads():
        for index, line in enumerate(_lines(files)):
            piece = lines.piece(line)
            event = _judged(pipeline, index, piece, clock)
            if event.unfetched is not None:
                _fetch(generation, event.unfetched)
                event = _judged(pipeline, index, piece, clock)
            invalid += event.verdict is not None or event.observed is not None
            sys.stdout.buffer.write(msgspec.json.encode(report(event)) + b"\n")
    return EXIT_FOUND if invalid else EXIT_DONE


def _judged(pipeline: Pipeline, index: int, piece: Piece, clock: Clock) -> Event:
    if piece.verdict is not None:
        return Event(index, piece.raw, piece.verdict)
    return pipeline.prepare(index, piece.raw, Arrival(*clock.now(), {}))


def _fetch(generation: Generation, schema: Unfetched) -> None:
    """Fetch the schema of an event, or remember why it cannot be fetched."""
    remote = generation.schemas.remote
    assert remote is not None
    for uri, error_type in fetch_schemas(generation.config, generation.data_dir, [schema.uri]).items():
        kind = "schema_unavailable" if error_type == "refused" else error_type
        remote.note_failure(uri, kind, "it was asked for", generation.config.schemas.unknown_s)


def _lines(files: list[Path]) -> Iterator[bytes]:
    if not files:
        yield from _stripped(sys.stdin.buffer)
    for path in files:
        try:
            with path.open("rb") as file:
                yield from _stripped(file)
        except OSError as error:
            raise UsageError(f"cannot read {path}: {error.strerror}") from error


def _stripped(lines: Iterable[bytes]) -> Iterator[bytes]:
    """The lines that are not blank, without the byte order mark that a file may begin with, as in a body."""
    for number, raw in enumerate(lines):
        if line := (raw if number else raw.removeprefix(BOM)).strip():
            yield line
