"""`penstock events`: print the events in the embedded sink, oldest first, one JSON object per line.

Place: a process of its own next to the server, on the files of sink.sqlite.
Rules: files are opened read-only and never for long, so that a slow reader (`| less`) does not make the writer's log
grow; memory is bounded whatever they hold. Key and value are printed as they were stored, byte by byte, except for line
breaks between JSON tokens.
Not here: writing (sink.sqlite); other sinks have readers of their own.
"""

from __future__ import annotations

import argparse
import heapq
import os
import sqlite3
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, BinaryIO, Final
from urllib.parse import quote

import msgspec
import orjson

from server.commands.options import add_settings
from server.commands.output import say, until_nobody_reads
from server.config.load import load
from server.config.settings import Config
from server.errors import EXIT_DONE, EXIT_FOUND, PenstockError, SettingsError
from server.sink.salvage import first_readable, is_broken
from server.sink.sqlite.file import STEM, SUFFIX
from server.sink.sqlite.recovery import unrecovered

LOOK_EVERY_S: Final = 0.2
PAGE_ROWS: Final = 1000
PAGE_BYTES: Final = 1 << 20  # A page ends with the row that reaches this size.
BUSY_S: Final = 2.0  # A file that is being made or recovered is locked for milliseconds.

_PAGE: Final = """
SELECT id, stored_ns, topic, key, timestamp_ms, headers, value FROM event
WHERE id > ? AND id <= ? ORDER BY id
"""
_NO_TABLE: Final = "no such table"  # The file exists and its worker has not made the table yet.

# Members that are not needed stay bytes: stored numbers have any size and precision, and no parser reads all of them.
_members: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_MOST_ID: Final = (1 << 63) - 1
_text: Final = msgspec.json.Decoder(str).decode

_Row = tuple[int, int, bytes, bytes | None, int, bytes, bytes]


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    add_settings(parser)
    parser.add_argument("--stream", metavar="NAME", help="only this stream")
    parser.add_argument("--follow", action="store_true", help="go on with new events until interrupted")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    loaded = load(options.config, options.set, os.environ)
    return run(loaded.config, loaded.base_dir, options.stream, options.follow)


def run(config: Config, base_dir: Path, stream: str | None, follow: bool) -> int:
    """Print to standard output until all is printed, or with ``follow`` until it is interrupted."""
    if config.sink.kind == "kafka":
        raise SettingsError(
            "sink.kind is kafka: read the topics with a Kafka consumer, such as kcat or kafka-console-consumer"
        )
    if config.sink.kind != "sqlite":
        raise SettingsError(f"sink.kind is {config.sink.kind}, which keeps nothing to read: set sink.kind: sqlite")
    field = config.intake.stream_field
    fields = [field] if isinstance(field, str) else field
    directory = base_dir / config.sink.sqlite.path
    if not directory.is_dir():
        say(f"penstock: nothing has been stored in {directory} yet")
    unread: list[str] = []
    try:
        with until_nobody_reads():
            read(directory, stream, follow, sys.stdout.buffer, stream_fields=fields, unread=unread)
    except KeyboardInterrupt:
        return _exit_code(unread)
    except sqlite3.Error as failed:
        raise PenstockError(f"cannot read the events in {directory}: {failed}") from failed
    return _exit_code(unread)


def _exit_code(unread: list[str]) -> int:
    return EXIT_FOUND if unread else EXIT_DONE


def read(
    directory: Path,
    stream: str | None,
    follow: bool,
    out: BinaryIO,
    *,
    stream_fields: Sequence[str] = ("meta.stream",),
    unread: list[str] | None = None,
) -> None:
    """Write every stored event to ``out``; with ``follow`` look for new rows and new files for ever. Rows that are
    unreadable by damage are reported on standard error and added to ``unread``, and the rest is read."""
    paths = [tuple(field.split(".")) for field in stream_fields]
    name = os.fsencode(stream) if stream is not None else b""
    reader = _Reader(directory, unread if unread is not None else [])
    while True:
        for _, topic, key, timestamp_ms, headers, value in reader.new_rows():
            if stream is None or topic == name or _stream_of(value, paths) == stream:
                out.write(_line(topic, key, timestamp_ms, headers, value))
        out.flush()
        if not follow:
            return
        time.sleep(LOOK_EVERY_S)


_Shown = tuple[int, bytes, bytes | None, int, bytes, bytes]


class _Reader:
    """All files of a directory, and how far each has been printed."""

    def __init__(self, directory: Path, unread: list[str]) -> None:
        self._directory = directory
        self._unread = unread
        self._seen: dict[tuple[Path, int], int] = {}  # The last printed id of each file; another file may get its name.

    def new_rows(self) -> Iterator[_Shown]:
        """Yield the new rows since the last look, of all files, merged by the time at which they were stored."""
        for aside in unrecovered(self._directory, f"{STEM}-*"):
            self._say(f"{aside} was set aside as damaged, and has not been recovered yet: a service that runs does it")
        files = sorted(self._directory.glob(f"{STEM}-*{SUFFIX}"))
        return heapq.merge(*(self._rows_of(path) for path in files), key=lambda row: row[0])

    def _rows_of(self, path: Path) -> Iterator[_Shown]:
        """Yield a file's new rows. Rows stored after the start wait for the next look: a busy writer must not keep this
        one from ending."""
        try:
            file = path, path.stat().st_ino
        except FileNotFoundError:
            return  # The file was set aside or deleted since it was seen.
        newest = self._newest_id(path)
        while (last := self._seen.get(file, 0)) < newest:
            page, damage = _page(path, last, newest)
            for row in page:
                if _is_whole(row, last):
                    self._seen[file] = last = row[0]
                    yield row[1:]
            if damage is not None:
                self._seen[file] = self._behind_damage(path, last, newest, damage)
            elif not page:
                return
            elif self._seen.get(file, 0) < page[-1][0]:  # The page ends with invalid rows.
                self._seen[file] = page[-1][0]

    def _newest_id(self, path: Path) -> int:
        try:
            with closing(_open(path)) as database:
                return int(database.execute("SELECT coalesce(max(id), 0) FROM event").fetchone()[0])
        except sqlite3.DatabaseError as failed:
            if _NO_TABLE in str(failed):
                return 0
            if is_broken(failed):
                return _MOST_ID  # The end cannot be read; earlier rows may be readable.
            raise

    def _behind_damage(self, path: Path, last: int, newest: int, damage: sqlite3.Error) -> int:
        """Return the id after which reading can continue, and report the rows that are skipped."""

        def can_read(row_id: int) -> bool:
            return _page(path, row_id - 1, newest, most_rows=1)[1] is None

        found = first_readable(can_read, last + 1, newest)
        upto = newest if found is None else found - 1
        rest = "the rest" if last else "what it holds"
        what = rest if found is None else f"what has ids from {last + 1} to {upto}"
        self._say(f"{path} is damaged ({damage}): {what} cannot be read")
        return upto

    def _say(self, text: str) -> None:
        if text not in self._unread:
            self._unread.append(text)
            say(f"penstock: {text}")


def _page(
    path: Path, after: int, upto: int, most_rows: int | None = None
) -> tuple[list[_Row], sqlite3.DatabaseError | None]:
    """Read the next rows in one short transaction: an open one would keep the writer's log from being emptied. Returns
    them with the damage that ended the read early, if any."""
    page: list[_Row] = []
    size, most_rows = 0, most_rows or PAGE_ROWS
    try:
        with closing(_open(path)) as database:
            for row in database.execute(_PAGE, (after, upto)):
                page.append(row)
                size += len(row[6]) if isinstance(row[6], bytes) else 0
                if len(page) >= most_rows or size >= PAGE_BYTES:
                    break
    except sqlite3.DatabaseError as failed:
        if not path.exists():
            return page, None  # The file was set aside or deleted while it was read.
        if not is_broken(failed):
            raise
        return page, failed
    return page, None


def _is_whole(row: _Row, last: int) -> bool:
    """Whether a row is valid: damage can leave a row that is readable and makes no sense."""
    kinds: tuple[Any, ...] = (int, int, bytes, (bytes, type(None)), int, bytes, bytes)
    return row[0] > last and all(isinstance(part, kind) for part, kind in zip(row, kinds, strict=True))


def _open(path: Path) -> sqlite3.Connection:
    uri = f"file:{quote(str(path))}?mode=ro"
    if not os.access(path.parent, os.W_OK) and not Path(f"{path}-wal").exists():
        uri += "&immutable=1"  # There is no log, so no writer has it open. Without this SQLite would try to make one.
    database = sqlite3.connect(uri, uri=True, timeout=BUSY_S, isolation_level=None)
    database.text_factory = bytes
    return database


def _line(topic: bytes, key: bytes | None, timestamp_ms: int, headers: bytes, value: bytes) -> bytes:
    line: dict[str, Any] = {
        "topic": topic.decode("utf-8", "replace"),
        "key": None if key is None else orjson.Fragment(_on_one_line(key)),
        "timestamp_ms": timestamp_ms,
        "headers": orjson.Fragment(headers),
        "value": orjson.Fragment(_on_one_line(value)),
    }
    return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)


def _on_one_line(text: bytes) -> bytes:
    """Replace line breaks by blanks. JSON strings hold no raw line break, so one can only be between tokens, where a
    blank means the same."""
    return text.replace(b"\n", b" ").replace(b"\r", b" ") if b"\n" in text or b"\r" in text else text


def _stream_of(value: bytes, paths: Sequence[tuple[str, ...]]) -> str | None:
    """Return the event's stream: the first of the configured fields that it has; None if it cannot be read."""
    for path in paths:
        found = msgspec.Raw(value)
        try:
            for name in path:
                found = _members(found)[name]
            return _text(found)
        except (KeyError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            continue  # It is missing, not a text, or not JSON at all: no stored value may end the output.
    return None
