"""``penstock schemas replay``: judge real events by new versions, and say what share of them would be refused.

Place: a task of ``penstock schemas``.
Rules: nothing is sent, and no event leaves the machine. The exit code blocks a release: 1 if more events than allowed
would be refused, 2 if no event of these titles was seen.
Not here: how events are judged and counted (schemas_tool.trying).
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import sys
from pathlib import Path
from typing import Any, BinaryIO, cast

from server.boot.generation import read
from server.commands.schemas.options import add_directory, usable
from server.commands.support.options import add_settings
from server.commands.support.output import say, until_nobody_reads
from server.config.load import load
from server.errors import EXIT_DONE, EXIT_FOUND, UsageError
from server.schemas.judges import Bundle, UnusableError, bundle_of
from server.schemas_tool.check import EXIT_UNKNOWN
from server.schemas_tool.making.materialize import MaterializeError
from server.schemas_tool.trying import source
from server.schemas_tool.trying.replay import Replay, TitleOutcome
from server.schemas_tool.versions import Version, titles_below
from server.sink.kind import Reading, kind_of


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the task takes."""
    add_directory(parser)
    parser.add_argument("events", nargs="*", metavar="FILE", help="JSON lines; - is standard input; default: the sink")
    add_settings(parser)
    parser.add_argument("--stream", metavar="NAME", help="of the sink, only this stream")
    parser.add_argument("--since", metavar="TIME", help="only events since then: 2h, 7d or 2026-11-01T00:00:00Z")
    parser.add_argument("--title", action="append", default=[], metavar="TITLE", help="events of these titles alone")
    parser.add_argument("--to", metavar="VERSION", help="the version to judge by; default the newest of each title")
    parser.add_argument(
        "--most", type=float, default=0.0, metavar="PERCENT", help="of a title may be refused; default 0"
    )
    parser.add_argument("--examples", type=int, default=1, metavar="N", help="events to show of each error; default 1")
    parser.add_argument("--format", choices=("text", "json"), default="text", help="default text")
    parser.set_defaults(run=usable(_run))


def _run(options: argparse.Namespace) -> int:
    replay = Replay(_versions(options), options.examples)
    earliest = None
    if options.since is not None:
        earliest = source.since(options.since, datetime.datetime.now(tz=datetime.UTC))
    lines = source.Lines(replay.take, earliest)
    since_ms = int(earliest.timestamp() * 1000) if earliest is not None else 0
    if options.events:
        for name in options.events:
            _read_file(name, lines)
    else:
        _read_sink(options, lines, since_ms)
    lines.finish()
    with until_nobody_reads():
        _print(replay, lines.unreadable, options)
    seen = [outcome for outcome in replay.titles.values() if outcome.accepted or outcome.refused]
    if any(outcome.percent > options.most for outcome in seen):
        return EXIT_FOUND
    return EXIT_DONE if seen else EXIT_UNKNOWN


def _versions(options: argparse.Namespace) -> dict[str, tuple[str, Bundle]]:
    titles = titles_below(options.directory)
    if options.to is not None and len(options.title) != 1:
        raise UsageError("--to needs --title, the one title that has the version")
    unknown = sorted(set(options.title) - titles.keys())
    if unknown or not titles:
        raise UsageError(f"{options.directory} has no title {unknown[0]!r}" if unknown else "there are no schemas")
    chosen = [_version(titles[title], options.to) for title in options.title or titles]
    bases = [options.directory, *options.base]
    try:
        return {each.title: (each.version, bundle_of(each.contents, each.uri, bases)) for each in chosen}
    except (UnusableError, MaterializeError) as error:
        raise UsageError(str(error)) from None


def _version(versions: list[Version], wanted: str | None) -> Version:
    for version in reversed(versions):
        if wanted in (None, version.version):
            return version
    raise UsageError(f"{versions[0].title} has no version {wanted!r}")


def _read_file(name: str, lines: source.Lines) -> None:
    if name == "-":
        lines.lines(sys.stdin.buffer)
        return
    try:
        with Path(name).open("rb") as file:
            lines.lines(file)
    except OSError as error:
        raise UsageError(f"{name}: cannot be read: {error.strerror}") from None


def _read_sink(options: argparse.Namespace, lines: source.Lines, since_ms: int) -> None:
    loaded = load(options.config, options.set, os.environ)
    named = loaded.config.intake.stream_field
    kind = kind_of(loaded.config.sink)
    reading = Reading(
        stream=options.stream,
        stream_fields=[named] if isinstance(named, str) else named,
        follow=False,
        out=cast("BinaryIO", lines),
        say=lambda text: say(f"penstock: {text}"),
        on_unread=lambda text: say(f"penstock: {text}"),
        on_none=lambda topics: say(f"penstock: no stored event is of stream {options.stream!r}"),
        topics=_topics(options) if kind.reads_topics else (),
        since_ms=since_ms,
    )
    kind.read(loaded.config.sink, loaded.base_dir, reading)


def _topics(options: argparse.Namespace) -> list[str]:
    """Return the topic of the stream. Raises UsageError if none is named, or it is not declared."""
    if options.stream is None:
        raise UsageError("--stream NAME says which topic is read: a sink of topics is not read as a whole")
    stream = read(options.config, options.set).snapshot.find(options.stream)
    if stream is None:
        raise UsageError(f"there is no stream {options.stream!r}; `penstock streams` lists them")
    return [stream.topic]


def _print(replay: Replay, unreadable: int, options: argparse.Namespace) -> None:
    told = {title: _told(outcome) for title, outcome in replay.titles.items() if outcome.accepted or outcome.refused}
    if options.format == "json":
        whole = {"titles": told, "of_other_titles": replay.passed_over, "unreadable": unreadable}
        print(json.dumps(whole, indent=2, ensure_ascii=False))
        return
    for title, each in told.items():
        print(
            f"{title} {each['version']}: {each['newly_invalid']} of {each['accepted']} accepted events would be "
            f"refused ({each['percent']:.2f} %); {each['newly_valid']} of {each['refused']} refused ones would pass"
        )
        for error in each["errors"]:
            print(f"  {error['count']} × {error['where'] or 'the event'} {error['message']}")
            _print_examples(error)
        for expectation in each["expectations"]:
            print(f"  {expectation['count']} × valid, and fails the expectation: {expectation['rule']}")
            _print_examples(expectation)
    print(f"{replay.passed_over} events of other titles, {unreadable} lines that are no JSON")


def _print_examples(kind: dict[str, Any]) -> None:
    for event in kind["examples"]:
        print(f"      {json.dumps(event, ensure_ascii=False)}")


def _told(outcome: TitleOutcome) -> dict[str, Any]:
    errors = sorted(outcome.errors.values(), key=lambda kind: -kind.count)
    return {
        "version": outcome.version,
        "accepted": outcome.accepted,
        "newly_invalid": outcome.newly_invalid,
        "percent": outcome.percent,
        "refused": outcome.refused,
        "newly_valid": outcome.newly_valid,
        "errors": [
            {name: getattr(kind, name) for name in ("keyword", "where", "message", "count", "examples")}
            for kind in errors
        ],
        "expectations": [
            {"rule": each.rule, "count": each.count, "examples": each.examples}
            for each in sorted(outcome.expectations.values(), key=lambda each: -each.count)
        ],
    }
