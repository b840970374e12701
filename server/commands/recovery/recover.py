"""``penstock recover``: judge refused events of a stream again, and store those that are good now.

Place: a process of its own next to the server → recovery → the sink of the settings.
Rules: what is stored already is found in the sink itself, so the command may be interrupted, killed and run again at
any time. One recovery runs at a time. Where damage hides a part of what is stored, nothing is stored, because an event
could be stored twice. The exit code is 0 if every refused event that was found is stored, else 1.
Not here: judging and storing (recovery.run), the report (recovery.report).
"""

from __future__ import annotations

import argparse
import asyncio
import datetime
import json
import os
import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from server.boot.generation import Generation, read
from server.commands.support.options import add_settings, positive
from server.commands.support.output import say, until_nobody_reads
from server.commands.validate import fetch
from server.errors import EXIT_DONE, EXIT_FOUND, PenstockError, UsageError
from server.intake.arrival import Arrival
from server.intake.event import Event
from server.intake.pipeline import make_pipeline
from server.intake.text.fields import Fields
from server.privacy.applied import make_privacy
from server.privacy.keys import HashKeys
from server.recovery.candidates import Candidates
from server.recovery.lines import WholeLines
from server.recovery.refused import Repairs
from server.recovery.repair import repairs_of
from server.recovery.report import Report
from server.recovery.run import Judge, Recovery
from server.recovery.stored import Stored
from server.schemas_tool.trying.source import since
from server.sink.kind import Reading, kind_of
from server.sink.make import make
from server.sink.spool import claim

SETTLE_S = 5.0  # A file that cannot be written for so long ends the run.


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    add_settings(parser)
    parser.add_argument("--stream", required=True, metavar="NAME", help="the stream that the refused events named")
    parser.add_argument("--since", metavar="TIME", help="only events refused since then: 2h, 7d, 2026-11-01T00:00:00Z")
    parser.add_argument("--schema", metavar="VERSION", help="judge by this version, which the stored events then name")
    parser.add_argument(
        "--map", action="append", default=[], metavar="REPAIR", help="repair each event: 'integer .page_id'; see docs"
    )
    parser.add_argument("--rate", type=positive, default=500.0, metavar="N", help="events per second; default 500")
    parser.add_argument("--dry-run", action="store_true", help="judge and report; store nothing")
    parser.add_argument("--examples", type=int, default=1, metavar="N", help="events to show of each error; default 1")
    parser.add_argument("--format", choices=("text", "json"), default="text", help="default text")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    repairs = repairs_of(options.map)  # Before the settings are read: a mistake in the command comes first.
    earliest = since(options.since, datetime.datetime.now(tz=datetime.UTC)) if options.since is not None else None
    generation = read(options.config, options.set)
    error_stream = generation.config.error_stream
    if error_stream is None:
        raise UsageError("intake.error_stream is empty: there are no error events to recover from")
    fields = Fields.of(generation.config)
    how = Repairs(fields.id, fields.schema_uri, options.schema, repairs)
    report = Report(options.stream, is_dry=options.dry_run, most_examples=options.examples)
    with _alone(generation), tempfile.TemporaryFile() as file:  # It has no name, and goes with the process.
        candidates = Candidates(cast("BinaryIO", file), options.stream, earliest, how)
        topic = _topic(generation, error_stream)
        since_ms = int(earliest.timestamp() * 1000) if earliest is not None else 0
        _read(generation, candidates, error_stream, [topic], since_ms)
        report.found, report.unusable = candidates.count, candidates.unusable
        stored = Stored(candidates.keys, fields.id)
        recovery = Recovery(_judge(generation), stored.keys, report, options.rate)
        topics = sorted(recovery.topics(candidates.events()) | {_topic(generation, options.stream)})
        if options.dry_run:
            _read_stored(generation, stored, topics)
            recovery.try_all(candidates.events())
        else:
            try:
                asyncio.run(_store(generation, recovery, candidates, lambda: _read_stored(generation, stored, topics)))
            finally:
                signal.signal(signal.SIGINT, signal.default_int_handler)
    with until_nobody_reads():
        for line in [json.dumps(report.as_json(), ensure_ascii=False)] if options.format == "json" else report.lines():
            print(line)
    return EXIT_DONE if report.is_whole else EXIT_FOUND


async def _store(
    generation: Generation, recovery: Recovery, candidates: Candidates, read_stored: Callable[[], None]
) -> None:
    """Open the sink, find out what is stored, store the rest. In this order: opening it ends a recovery that was
    killed, or runs elsewhere, with all that it has under way."""
    settings = generation.config.sink
    make_alone = kind_of(settings).make_alone
    if make_alone is not None:
        sink = make_alone(settings, recovery.report.stream, SETTLE_S)
    else:
        sink = make(settings, generation.data_dir, SETTLE_S)
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Nothing is under way yet, so that it may end the process.
    await sink.open()
    try:
        read_stored()  # On the loop: nothing else has to run meanwhile.
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, recovery.stop, "it was interrupted")
        await recovery.store_all(candidates.events(), sink)
    finally:
        await sink.close()


def _judge(generation: Generation) -> Judge:
    schemas = generation.schemas
    privacy = make_privacy(generation.config, schemas, HashKeys(*generation.hash_keys), keeps_hashes=True)
    find, streams = schemas.find, generation.snapshot.find
    pipeline = make_pipeline(generation.config, find, streams, privacy=privacy, latest=schemas.latest)

    def judge(raw: bytes, arrival: Arrival) -> Event:
        event = pipeline.prepare(0, raw, arrival)
        if event.unfetched is not None:
            fetch(generation, event.unfetched)
            event = pipeline.prepare(0, raw, arrival)
        return event

    return judge


def _topic(generation: Generation, name: str) -> str:
    """Return the topic of a stream, or the name, if there is no such stream."""
    stream = generation.snapshot.find(name)
    return name if stream is None else stream.topic


def _read_stored(generation: Generation, stored: Stored, topics: list[str]) -> None:
    if trouble := _read(generation, stored, None, topics):
        raise PenstockError(
            f"nothing is stored, because an event could be stored twice: {trouble[0]}. A running service recovers "
            "a damaged database; run the command again afterwards"
        )


def _read(
    generation: Generation, out: WholeLines, stream: str | None, topics: list[str], since_ms: int = 0
) -> list[str]:
    """Read records of a stream, or all; of a sink of topics those of ``topics``. Returns what could not be read."""
    named = generation.config.intake.stream_field
    unread: list[str] = []
    reading = Reading(
        stream=stream,
        stream_fields=[named] if isinstance(named, str) else named,
        follow=False,
        out=cast("BinaryIO", out),
        say=lambda text: say(f"penstock: {text}"),
        on_unread=unread.append,
        on_none=lambda topics: say(f"penstock: there are no error events in {stream}"),
        topics=topics,
        since_ms=since_ms,
    )
    sink = generation.config.sink
    kind_of(sink).read(sink, generation.data_dir, reading)
    return unread


@contextmanager
def _alone(generation: Generation) -> Iterator[None]:
    """Hold a lock in the directory of the sink, or of the spool, while a recovery runs. Raises UsageError."""
    sink = generation.config.sink
    paths = [path for _, path in kind_of(sink).directories(sink)] or [generation.config.spool.path]
    directory = generation.data_dir / paths[0]
    try:
        directory.mkdir(parents=True, exist_ok=True)
        lock = claim.take(directory / Path("recover"))
    except OSError as error:
        raise UsageError(f"{directory}: cannot be written: {error.strerror}") from None
    if lock is None:
        raise UsageError("another recovery is running")
    try:
        yield
    finally:
        os.close(lock)
