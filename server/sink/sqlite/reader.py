"""Read the events that the embedded sink has stored, oldest first, one JSON object per line.

Place: sink.sqlite.kind → HERE, in a process of its own (`penstock events`) next to the server, on its files.
Rules: files are opened read-only and only for short times, so that a slow reader (`| less`) does not make the writer's
log grow; memory is limited for files of any size. Key and value are shown as they were stored, byte by byte, except for
line breaks between JSON tokens.
Not here: writing (sink.sqlite.sink), the command (commands.events).
"""

from __future__ import annotations

import heapq
import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import BinaryIO, Final
from urllib.parse import quote

import msgspec

from server.sink import leaves
from server.sink.line import line_of
from server.sink.salvage import first_readable, is_broken
from server.sink.sqlite.file import STEM, SUFFIX
from server.sink.sqlite.recovery import unrecovered

LOOK_EVERY_S: Final = 0.2
PAGE_ROWS: Final = 1000
PAGE_BYTES: Final = 1 << 20  # Besides one event: a page ends with the row that reaches this size.
BUSY_S: Final = 2.0  # A file that is being made or recovered is locked for milliseconds.

_PAGE: Final = """
SELECT id, stored_ns, topic, key, timestamp_ms, headers, value FROM event
WHERE id > ? AND id <= ? ORDER BY id
"""
_NO_TABLE: Final = "no such table"  # The file exists, but its worker has not made the table yet.

# Members that are not needed stay bytes: numbers of any size and precision are stored, and no decoder takes them all.
_members: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_MOST_ID: Final = (1 << 63) - 1
_MOST_SAID: Final = 20  # Ranges of ids that are missing from one file.
_text: Final = msgspec.json.Decoder(str).decode

_Row = tuple[int, int, bytes, bytes | None, int, bytes, bytes]
_KINDS: Final = (int, int, bytes, (bytes, type(None)), int, bytes, bytes)


def read(
    directory: Path,
    stream: str | None,
    follow: bool,
    out: BinaryIO,
    *,
    stream_fields: Sequence[str] = ("meta.stream",),
    on_unread: Callable[[str], None] = lambda text: None,
    on_none: Callable[[list[str]], None] = lambda topics: None,
) -> None:
    """Write every stored event to ``out``; with ``follow`` also new rows and files, without end. Rows that cannot be
    read because of damage are reported to ``on_unread``, once each, and the others are read. If the first look finds no
    event of ``stream``, ``on_none`` is called with the topics of the others."""
    paths = [tuple(field.split(".")) for field in stream_fields]
    name = os.fsencode(stream) if stream is not None else b""
    reader = _Reader(directory, on_unread)
    is_found, topics = stream is None, set[bytes]()
    while True:
        for _, topic, key, timestamp_ms, headers, value in reader.new_rows():
            if stream is None or topic == name or _stream_of(value, paths) == stream:
                is_found = True
                out.write(line_of(topic.decode("utf-8", "replace"), key, timestamp_ms, headers, value))
            elif not is_found and len(topics) < _MOST_SAID:
                topics.add(topic)
        out.flush()
        if not is_found:
            is_found = True  # It is said once.
            on_none(sorted(one.decode("utf-8", "replace") for one in topics))
        if not follow:
            return
        time.sleep(LOOK_EVERY_S)


_Shown = tuple[int, bytes, bytes | None, int, bytes, bytes]


class _Reader:
    """All files of a directory, and how far each has been shown."""

    def __init__(self, directory: Path, on_unread: Callable[[str], None]) -> None:
        self._directory = directory
        self._on_unread = on_unread
        self._unread: list[str] = []
        # The last id shown of each file, by inode, because another file may get its name.
        self._seen: dict[tuple[Path, int], int] = {}

    def new_rows(self) -> Iterator[_Shown]:
        """Yield the rows stored since the last look, of all files, merged by the time at which they were stored."""
        for aside in unrecovered(self._directory, f"{STEM}-*"):
            self._say(f"{aside} was set aside as damaged, and has not been recovered yet: a running service does it")
        files = sorted(path for path in self._directory.glob(f"{STEM}-*{SUFFIX}") if path.is_file())  # Not a pipe.
        return heapq.merge(*(self._rows_of(path) for path in files), key=lambda row: row[0])

    def _rows_of(self, path: Path) -> Iterator[_Shown]:
        """Yield a file's new rows. Those stored after this began wait for the next look, so that a busy writer cannot
        keep it here."""
        try:
            file = path, path.stat().st_ino
        except FileNotFoundError:
            return  # Set aside, or deleted, since the directory was listed.
        newest = self._newest_id(path)
        while (last := self._seen.get(file, 0)) < newest:
            page, damage = _page(path, last, newest)
            for row in page:
                if leaves.is_whole(row, _KINDS) and row[0] > last:
                    self._seen[file] = last = row[0]
                    yield row[1:]
            if damage is not None:
                upto = self._behind_damage(path, last, newest)
                ids = []
                for row in leaves.rows_between(path, last + 1, upto, _KINDS):
                    ids.append(row[0])
                    yield row[1:]
                self._say_damage(path, damage, list(leaves.missing(ids, last + 1, upto)))
                self._seen[file] = upto
            elif not page:
                return
            elif self._seen.get(file, 0) < page[-1][0]:  # Bytes that decode as rows without being rows.
                self._seen[file] = page[-1][0]

    def _newest_id(self, path: Path) -> int:
        try:
            with closing(_open(path)) as database:
                return int(database.execute("SELECT coalesce(max(id), 0) FROM event").fetchone()[0])
        except sqlite3.DatabaseError as failed:
            if _NO_TABLE in str(failed):
                return 0
            if is_broken(failed):
                return _MOST_ID  # The end cannot be read; earlier rows may be.
            raise

    def _behind_damage(self, path: Path, last: int, newest: int) -> int:
        """Return the id after which SQLite can read on. Rows before it may still be found on their pages
        (sink.leaves)."""

        def can_read(row_id: int) -> bool:
            return _page(path, row_id - 1, newest, most_rows=1)[1] is None

        found = first_readable(can_read, last + 1, newest)
        return newest if found is None else found - 1

    def _say_damage(self, path: Path, damage: sqlite3.Error, gaps: Sequence[tuple[int, int]]) -> None:
        """Report which ids are left out. Without an end: the number of rows is not known."""
        for first, last in gaps[:_MOST_SAID] or [(0, 0)]:
            what = f"the ids from {first} on are" if last >= _MOST_ID else f"the ids {first} to {last} are"
            self._say(f"{path} is damaged ({damage}): {what if last else 'nothing that is known is'} missing")

    def _say(self, text: str) -> None:
        if text not in self._unread:
            self._unread.append(text)
            self._on_unread(text)


def _page(
    path: Path, after: int, upto: int, most_rows: int | None = None
) -> tuple[list[_Row], sqlite3.DatabaseError | None]:
    """Return the next rows, and the damage that ended them early, if any. They are read in one short transaction: an
    open one would keep the writer's log from being emptied."""
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
            return page, None  # Set aside, or deleted, during the read.
        if not is_broken(failed):
            raise
        return page, failed
    return page, None


def _open(path: Path) -> sqlite3.Connection:
    uri = f"file:{quote(str(path))}?mode=ro"
    if not os.access(path.parent, os.W_OK) and not Path(f"{path}-wal").exists():
        uri += "&immutable=1"  # No log: no writer has the file open. SQLite would need to make one to find that out.
    database = sqlite3.connect(uri, uri=True, timeout=BUSY_S, isolation_level=None)
    database.text_factory = bytes
    return database


def _stream_of(value: bytes, paths: Sequence[tuple[str, ...]]) -> str | None:
    """Return the event's stream: the first of the configured fields that it has. None for a value that cannot be
    read."""
    for path in paths:
        found = msgspec.Raw(value)
        try:
            for name in path:
                found = _members(found)[name]
            return _text(found)
        except (KeyError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            continue  # Absent, not text, or not JSON at all: no stored value may end the printing.
    return None
