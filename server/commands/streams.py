"""``penstock streams``: list, filter and explain the declared streams; ``penstock check --diff``: compare two files.

Place: a command of its own.
Rules: the output shows the streams as a server with these settings would use and serve them; names and constraints are
those of the API. ``explain`` prints the file and line of every setting.
Not here: mistakes in declarations (boot.examine), the meaning of changes (catalog.changes).
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from server.catalog import constraints
from server.catalog.changes import changes
from server.catalog.check_streams import check
from server.catalog.query import Query, listed
from server.catalog.snapshot import build
from server.catalog.sources import Source, read_files, sections, where
from server.catalog.views import Views
from server.commands.support.options import add_settings
from server.commands.support.output import say, until_nobody_reads
from server.config.framework.document import KeyPath, dotted
from server.config.framework.finding import errors_of, text_of
from server.config.load import Loaded, load
from server.errors import EXIT_DONE, EXIT_FOUND, SettingsError, UsageError


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    add_settings(parser)
    parser.add_argument(
        "words",
        nargs="*",
        metavar="[explain] NAME",
        help="only these streams; or `explain` and the streams to explain line by line",
    )
    parser.add_argument("--constraints", default="", metavar="A=B|C[D]=E", help="only streams with these settings")
    parser.add_argument("--json", action="store_true", help="print JSON, as the API of stream settings does")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    return run(options.config, options.set, options.words, options.constraints, is_json=options.json)


def run(config_path: Path | None, overrides: list[str], words: list[str], wanted: str, *, is_json: bool) -> int:
    """List the streams, or explain those after the word ``explain``. Returns 1 if a name is not declared."""
    loaded = load(config_path, overrides, os.environ)
    sources = read_files(loaded.path(text) for text in loaded.config.streams.sources)
    is_explained = words[:1] == ["explain"]
    names = tuple(words[1:] if is_explained else words)
    if is_explained and not names:
        raise UsageError("streams explain needs the name of a stream")
    try:
        query = Query(names=names or None, constraints=constraints.parse(listed(wanted)))
    except constraints.ConstraintError as error:
        raise UsageError(f"--constraints: {error}") from None
    view = Views(sections(sources), loaded.config.streams.wiki).of(loaded.config.streams.wiki)
    found = dict(entry for entry in view.select(query) if entry is not None)
    missing = [name for name in names if name not in found and not query.constraints]
    with until_nobody_reads():
        if is_json:
            print(json.dumps({"streams": found}, indent=1, ensure_ascii=False))
        else:
            for name, settings in found.items():
                print("\n".join(_explained(loaded, sources, name, settings)) if is_explained else _line(name, settings))
        for name in missing:
            say(f"penstock: no stream {name!r} is declared, and no regular expression matches it")
    return EXIT_FOUND if missing else EXIT_DONE


def diff(config_path: Path | None, overrides: list[str], old: Path, new: Path) -> int:
    """Print the effect of replacing one file of streams by another. Returns 1 if there is one, 3 for a bad file."""
    loaded = load(config_path, overrides, os.environ)
    options: dict[str, Any] = {"topic_prefix": loaded.config.sink.topic_prefix, "wiki": loaded.config.streams.wiki}
    snapshots = []
    for path in (old, new):
        sources = read_files([path])
        if errors := errors_of(check(sources, **options)):
            raise SettingsError(text_of(errors))
        snapshots.append(build(sources, **options))
    found = list(changes(*snapshots))
    breaking = sum(change.is_breaking for change in found)
    with until_nobody_reads():
        for change in found:
            print(f"{'breaks' if change.is_breaking else 'change'}: stream {change.stream}: {change.text}")
        print(f"{old} → {new}: {len(found)} change(s), of which senders or readers would notice {breaking}.")
    return EXIT_FOUND if breaking else EXIT_DONE


def _line(name: str, settings: dict[str, Any]) -> str:
    service = settings.get("destination_event_service") or "-"
    return f"{name}\t{settings.get('schema_title') or '-'}\t{','.join(settings['topics'])}\t{service}"


def _explained(loaded: Loaded, sources: Sequence[Source], name: str, settings: dict[str, Any]) -> Iterator[str]:
    """Yield a line for the stream, then one for each of its settings."""
    declared, wiki = settings["stream"], loaded.config.streams.wiki
    file, line = where(sources, wiki, declared)
    yield f"{name}: declared as {declared} at {file}:{line}"
    for path, value in _leaves(settings, ()):
        shown = json.dumps(value, ensure_ascii=False)
        if path == ("topics",) and not any(("topics" in place) for place in _places(sources, wiki, declared)):
            yield f"  topics: {shown}  (made of topic_prefixes and the name)"
        elif path != ("stream",):
            file, line = where(sources, wiki, declared, path)
            yield f"  {dotted(path)}: {shown}  ({file}:{line})"


def _places(sources: Sequence[Source], wiki: str | None, declared: str) -> Iterator[dict[str, Any]]:
    """Yield every map that has settings of this stream."""
    for source in sources:
        overrides = (source.value.get("stream_overrides") or {}).get(wiki) or {}
        general = (source.value.get("default_settings_overrides") or {}).get(wiki)
        own = (source.value.get("streams") or {}).get(declared)
        yield from (
            each for each in (source.value.get("default_settings"), general, own, overrides.get(declared)) if each
        )


def _leaves(value: Any, path: KeyPath) -> Iterator[tuple[KeyPath, Any]]:
    if isinstance(value, dict) and value:
        for name, inner in value.items():
            yield from _leaves(inner, (*path, name))
    else:
        yield path, value
