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
from server.commands.options import add_settings
from server.commands.output import until_nobody_reads
from server.errors import EXIT_DONE, EXIT_FOUND, UsageError
from server.fetch.once import fetch_schemas
from server.intake.arrival import Arrival, Clock
from server.intake.event import Event
from server.intake.forms.piece import Piece
from server.intake.pipeline import NOT_AN_OBJECT, Pipeline, make_pipeline
from server.intake.report import report
from server.intake.text.cut import split
from server.intake.verdict import Verdict


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    add_settings(parser)
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE", help="newline-delimited JSON; or standard input")
    parser.set_defaults(run=lambda options: run(options.config, options.set, options.files))


def run(config_path: Path | None, overrides: list[str], files: list[Path]) -> int:
    """Judge every line of the files, or of standard input, and print one JSON object for each."""
    generation = read(config_path, overrides)
    pipeline = make_pipeline(generation.config, generation.schemas.find, generation.snapshot.find)
    clock = Clock()
    invalid = 0
    with until_nobody_reads():
        for index, line in enumerate(_lines(files)):
            event = Event(index, b"null")
            raws = split(line, max_event_bytes=generation.config.http.limits.max_event_bytes)
            if isinstance(raws, str):
                event.verdict = Verdict("not_an_object", raws)
            elif not line.lstrip().startswith(b"{"):
                event.value, event.verdict = line, NOT_AN_OBJECT
            else:
                assert isinstance(raws, list)
                event = _judged(pipeline, index, raws[0], clock)
                if _fetched(generation):
                    event = _judged(pipeline, index, raws[0], clock)
            invalid += event.verdict is not None or event.observed is not None
            sys.stdout.buffer.write(msgspec.json.encode(report(event)) + b"\n")
    return EXIT_FOUND if invalid else EXIT_DONE


def _judged(pipeline: Pipeline, index: int, raw: bytes | Piece, clock: Clock) -> Event:
    if isinstance(raw, Piece):
        return Event(index, raw.raw, raw.verdict)
    return pipeline.prepare(index, raw, Arrival(*clock.now(), {}))


def _fetched(generation: Generation) -> bool:
    """Fetch the schemas at URLs that the event needs. Returns whether there were any."""
    remote = generation.schemas.remote
    if remote is None or not remote.awaited:
        return False
    uris = list(remote.awaited)
    remote.awaited.clear()
    for uri, error_type in fetch_schemas(generation.config, generation.data_dir, uris).items():
        kind = "schema_unavailable" if error_type == "refused" else error_type
        remote.note_failure(uri, kind, "it was asked for", generation.config.schemas.unknown_s)
    return True


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
    return (line for raw in lines if (line := raw.strip()))
