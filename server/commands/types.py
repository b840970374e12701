"""``penstock types``: write types of the events of declared streams, for programs that send them.

Place: a command of its own.
Rules: the same settings, streams and schemas give the same bytes. With ``-o`` a lock is written next to the types; a
check writes nothing, and names the streams that have changed.
Not here: what a type says (event_types), reading settings and schemas (boot.generation).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from server.boot.generation import Generation, read
from server.commands.support.options import add_settings
from server.commands.support.output import say, until_nobody_reads
from server.errors import EXIT_DONE, EXIT_FOUND, PenstockError, UsageError
from server.event_types import python, typescript
from server.event_types.shapes import shape_of
from server.event_types.typed import TypedStream, differences, digest_of, lock_of

LANGUAGES: Final = {"py": python.render, "ts": typescript.render}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    add_settings(parser)
    parser.add_argument("--lang", choices=sorted(LANGUAGES), required=True, help="the language")
    parser.add_argument("--stream", action="append", default=[], metavar="NAME", help="these streams alone")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="where to; its lock is FILE.lock")
    parser.add_argument("--check", action="store_true", help="write nothing; 1 if FILE is not what would be written")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    if options.check and options.output is None:
        raise UsageError("--check needs -o FILE, the file to check")
    streams = list(_typed(read(options.config, options.set), options.stream))
    text, lock = LANGUAGES[options.lang](streams), lock_of(options.lang, streams)
    if options.output is None:
        with until_nobody_reads():
            sys.stdout.write(text)
        return EXIT_DONE
    if options.check:
        return _check(options.output, text, lock)
    try:
        options.output.write_text(text, encoding="utf-8")
        _lock_of(options.output).write_text(lock, encoding="utf-8")
    except OSError as error:
        raise PenstockError(f"cannot write {options.output}: {error.strerror}") from error
    return EXIT_DONE


def _check(path: Path, text: str, lock: str) -> int:
    try:
        is_same = path.read_text(encoding="utf-8") == text
        before = _lock_of(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        say(f"penstock: {path} or its lock cannot be read: {error}")
        return EXIT_FOUND
    changed = differences(before, lock)
    for line in changed:
        say(f"penstock: {line}")
    if not is_same and not changed:
        say(f"penstock: {path} is not what this version writes for the same schemas")
    return EXIT_DONE if is_same and before == lock else EXIT_FOUND


def _lock_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.lock")


def _typed(generation: Generation, names: Sequence[str]) -> Iterator[TypedStream]:
    """Yield the streams, in the order of their names."""
    snapshot = generation.snapshot
    missing = [name for name in names if snapshot.find(name) is None]
    if missing:
        raise UsageError(f"no stream {missing[0]!r} is declared, and no regular expression matches it")
    for name in sorted(set(names or snapshot.names())):
        stream = snapshot.declared(name) or snapshot.find(name)
        title = stream.settings.get("schema_title") if stream is not None else None
        found = _schema(generation, title) if isinstance(title, str) else "it has no schema_title: it takes any schema"
        if not isinstance(found, str):
            yield TypedStream(name, found[0], digest_of(found[1]), shape_of(found[1]))
        elif names:
            raise PenstockError(f"stream {name}: {found}")
        else:
            say(f"penstock: stream {name} gets no type: {found}")


def _schema(generation: Generation, title: str) -> tuple[str, dict[str, Any]] | str:
    """Return URI and content of the newest version; or why there is none."""
    versions = generation.schemas.versions(title)
    if not versions:
        return f"no directory of schemas.base_uris has a schema {title}"
    found = generation.schemas.find_here(versions[-1])
    return f"{versions[-1]}: {found[1]}" if isinstance(found, tuple) else (versions[-1], found.schema)
