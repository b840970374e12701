"""``penstock schemas diff``: tell in plain words what has changed, and which version bump it needs.

Place: a task of ``penstock schemas``.
Rules: without a released state, the two newest versions of each title are compared; with one, the newest version of a
title with the newest that is released. A title without a change is not told.
Not here: the words (schemas_tool.telling), verdicts (schemas_tool.compare).
"""

from __future__ import annotations

import argparse
import contextlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from server.commands.schemas.options import add_directory, usable
from server.commands.support.output import until_nobody_reads
from server.errors import EXIT_DONE, UsageError
from server.schemas.judges import UnusableError, bundle_of
from server.schemas_tool.compare import compare
from server.schemas_tool.making.materialize import MaterializeError
from server.schemas_tool.states.against import released
from server.schemas_tool.telling.changes import changes
from server.schemas_tool.versions import Version, titles_below


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the task takes."""
    add_directory(parser)
    parser.add_argument("--title", action="append", default=[], metavar="TITLE", help="these titles alone")
    parser.add_argument("--against", metavar="STATE", help="the released state, as for check")
    parser.add_argument("--format", choices=("text", "json", "markdown"), default="text", help="default text")
    parser.set_defaults(run=usable(_run))


def _run(options: argparse.Namespace) -> int:
    titles = titles_below(options.directory)
    unknown = sorted(set(options.title) - titles.keys())
    if unknown:
        raise UsageError(f"{options.directory} has no title {unknown[0]!r}")
    chosen = {title: titles[title] for title in options.title or titles}
    with contextlib.ExitStack() as stack:
        before = None
        if options.against is not None:
            before = titles_below(stack.enter_context(released(options.against, options.directory, chosen)))
        told = [_told(old, new, [options.directory, *options.base]) for old, new in _pairs(chosen, before)]
        with until_nobody_reads():
            _print(told, options.format)
    return EXIT_DONE


def _pairs(
    titles: dict[str, list[Version]], before: dict[str, list[Version]] | None
) -> Iterator[tuple[Version, Version]]:
    for title, versions in titles.items():
        if before is None:
            if len(versions) > 1:
                yield versions[-2], versions[-1]
        elif title in before and before[title][-1].version != versions[-1].version:
            yield before[title][-1], versions[-1]


def _told(old: Version, new: Version, bases: Sequence[Path]) -> dict[str, Any]:
    compared = compare(old, new, "backward", bases)
    try:
        sentences = changes(bundle_of(old.contents, old.uri, bases), bundle_of(new.contents, new.uri, bases))
    except (UnusableError, MaterializeError) as error:
        sentences = [f"Nothing can be told: {error}"]
    return {
        "title": new.title,
        "from": old.version,
        "to": new.version,
        "bump": compared.bump,
        "verdict": compared.verdict,
        "changes": sentences,
    }


def _print(told: list[dict[str, Any]], form: str) -> None:
    if form == "json":
        print(json.dumps({"titles": told}, indent=2, ensure_ascii=False))
        return
    for each in told:
        heading = f"{each['title']} {each['from']} → {each['to']} ({each['verdict']}: needs a {each['bump']} version)"
        print(f"## {heading}" if form == "markdown" else heading)
        for sentence in each["changes"] or ["Nothing has changed but the text."]:
            print(f"- {sentence}" if form == "markdown" else f"  {sentence}")
