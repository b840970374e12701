"""``penstock schemas docs``: write a page of HTML for each title, and one that lists them.

Place: a task of ``penstock schemas``.
Rules: a page that is up to date is not touched. A check writes nothing, and ends with 1 if a page would change. So does
either for a title that cannot be read, whose page says why.
Not here: the pages (schemas_tool.telling.pages).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

from server.commands.schemas.options import add_directory, usable
from server.commands.support.output import say
from server.errors import EXIT_DONE, EXIT_FOUND, PenstockError, UsageError
from server.schemas_tool.making.materialize import put
from server.schemas_tool.streams import titles_named_in
from server.schemas_tool.telling import pages
from server.schemas_tool.versions import Version, titles_below


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the task takes."""
    add_directory(parser)
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR", help="where to write the pages")
    parser.add_argument(
        "--streams", action="append", default=[], type=Path, metavar="FILE", help="declared streams, to name them"
    )
    parser.add_argument("--check", action="store_true", help="write nothing; 1 if a page is not what would be written")
    parser.set_defaults(run=usable(_run))


def _run(options: argparse.Namespace) -> int:
    stale = 0
    titles = titles_below(options.directory)
    bases = [options.directory, *options.base]
    for path, text in _pages(options, titles, bases):
        if path.is_file() and path.read_bytes() == text.encode("utf-8", "replace"):
            continue
        stale += 1
        print(f"{path} is not up to date" if options.check else path)
        if not options.check:
            _write(path, text)
    unread = [why for versions in titles.values() if (why := pages.trouble(versions, bases))]
    for why in unread:
        say(f"penstock: {why}")
    return EXIT_FOUND if unread or (options.check and stale) else EXIT_DONE


def _pages(
    options: argparse.Namespace, titles: dict[str, list[Version]], bases: Sequence[Path]
) -> Iterator[tuple[Path, str]]:
    if not titles:
        raise UsageError(f"{options.directory} holds no versioned schemas (<title>/<major.minor.patch>.yaml)")
    streams: dict[str, list[str]] = {}
    for file in options.streams:
        for named in titles_named_in(file):
            streams.setdefault(named.title, []).append(named.stream)
    yield options.output / "index.html", pages.index(titles, streams)
    yield options.output / "persons.html", pages.privacy(titles, streams, bases)
    for title, versions in titles.items():
        yield options.output / title / "index.html", pages.page(versions, streams.get(title, []), bases)


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        put(path, text)
    except OSError as error:
        raise PenstockError(f"cannot write {path}: {error.strerror}") from error
