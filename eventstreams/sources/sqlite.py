"""The embedded sink as a source: each database of its directory is a partition, a row's id is its offset.

Place: hub and sources.pool → HERE, on files that the workers of the intake write (server.sink.sqlite.file).
Rules: files are opened read-only and for short times, so that no reader makes a writer's log grow. A file without a
new commit is not opened. Every topic has the same partitions, with holes where rows are another topic's. The identity
of a log is the one that its file got when it was made.
Not here: writing, and what can be read of a damaged file (server.sink.sqlite).
"""

from __future__ import annotations

import base64
import logging
import os
import re
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import quote

from eventstreams.record import Place, Record
from eventstreams.sources.base import Batch, Bounds, Described, Gap, SourceError
from eventstreams.sources.tail import TailThread
from server.log import Limited
from server.sink.sqlite.file import STEM, SUFFIX

LOOK_S: Final = 0.05
BUSY_S: Final = 1.0
WINDOW_ROWS: Final = 5_000  # Rows of other topics are passed over this many at a time.
TAIL_ROWS: Final = 1_000

_INDEX_HEAD_BYTES: Final = 96

_NAME: Final = re.compile(rf"{STEM}-(\d+){re.escape(SUFFIX)}")
_PAGE: Final = "SELECT id, topic, key, timestamp_ms, value FROM event WHERE id >= ? AND id < ? ORDER BY id"
_FIRST: Final = "SELECT topic, min(id) FROM event WHERE timestamp_ms >= ? GROUP BY topic"
_limited = Limited(logging.getLogger("eventstreams.sqlite"))


def _files(directory: Path) -> dict[int, Path]:
    found = {}
    for path in directory.glob(f"{STEM}-*{SUFFIX}"):
        name = _NAME.fullmatch(path.name)
        if name is not None and path.is_file():
            found[int(name[1])] = path
    return found


@contextmanager
def _open(path: Path) -> Iterator[sqlite3.Connection]:
    uri = f"file:{quote(str(path))}?mode=ro"
    if not os.access(path.parent, os.W_OK) and not Path(f"{path}-wal").exists():
        uri += "&immutable=1"  # No log: no writer has the file open. SQLite would need to make one to find that out.
    try:
        with closing(sqlite3.connect(uri, uri=True, timeout=BUSY_S, isolation_level=None)) as database:
            database.text_factory = bytes
            yield database
    except sqlite3.Error as failed:
        raise SourceError(f"{path}: {failed}") from None


def _bounds(path: Path) -> tuple[Bounds, str]:
    """Return the bounds of a database, and its identity; "": it has none."""
    try:
        with _open(path) as database:
            (identity,) = database.execute("PRAGMA application_id").fetchone()
            low, high = database.execute("SELECT min(id), max(id) FROM event").fetchone()
    except SourceError as failed:
        if "no such table" in str(failed):  # The file exists, but its worker has not made the table yet.
            return Bounds(1, 1), ""
        raise
    return Bounds(low, high + 1) if high is not None else Bounds(1, 1), _log_of(identity)


def _log_of(identity: int) -> str:
    if not identity:
        return ""
    return base64.urlsafe_b64encode(identity.to_bytes(4, "big", signed=True)).decode().rstrip("=")


def _record(partition: int, row: tuple[int, bytes, bytes | None, int, bytes]) -> Record:
    row_id, topic, key, timestamp_ms, value = row
    return Record(topic.decode("utf-8", "replace"), partition, row_id, timestamp_ms, key, value)


class SqliteReader:
    """The contract is sources.base.Reader."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def describe(self, topics: Sequence[str]) -> Described:
        found = {number: _bounds(path) for number, path in sorted(_files(self._directory).items())}
        places = [(topic, number) for topic in topics for number in found]
        return Described(
            "sqlite",
            {place: found[place[1]][0] for place in places},
            {place: found[place[1]][1] for place in places},
        )

    def at_times(self, times_ms: Mapping[Place, int]) -> dict[Place, int | None]:
        files = _files(self._directory)
        found: dict[Place, int | None] = dict.fromkeys(times_ms)
        for number, time_ms in {(number, time_ms) for (_, number), time_ms in times_ms.items()}:
            if number in files:
                with _open(files[number]) as database:  # One scan for all topics: there is no index of times.
                    for topic, first in database.execute(_FIRST, (time_ms,)):
                        place = (topic.decode("utf-8", "replace"), number)
                        if times_ms.get(place) == time_ms:
                            found[place] = first
        return found

    def read(self, positions: Mapping[Place, int], most_bytes: int, most_events: int) -> Batch:
        batch = Batch([], {})
        files = _files(self._directory)
        left_bytes, left = most_bytes, most_events
        for (topic, number), position in positions.items():
            place, at = (topic, number), position
            if number not in files:
                batch.at_end.add(place)
                continue
            bounds, _ = _bounds(files[number])
            if not bounds.low <= at <= bounds.high:
                batch.gaps.append(Gap(topic, number, at, bounds.low, bounds.high))
                at = bounds.low
            while at < bounds.high and left > 0 and left_bytes > 0:
                until, is_cut = min(bounds.high, at + WINDOW_ROWS), False
                with _open(files[number]) as database:
                    for row in database.execute(_PAGE.replace("WHERE", "WHERE topic = ? AND"), (topic, at, until)):
                        record = _record(number, row)
                        batch.records.append(record)
                        left_bytes -= record.weight_bytes
                        left -= 1
                        if left <= 0 or left_bytes <= 0:
                            until, is_cut = record.offset + 1, True
                            break
                at = until
                if is_cut:
                    break
            batch.reached[place] = at
            if at >= bounds.high:
                batch.at_end.add(place)
            if left <= 0 or left_bytes <= 0:
                break
        return batch

    def close(self) -> None:
        """Nothing is held open."""


class SqliteTail(TailThread):
    """The contract is sources.base.Tail."""

    def __init__(self, directory: Path) -> None:
        super().__init__()
        self._directory = directory
        self._positions: dict[Place, int] = {}
        self._stamps: dict[int, bytes] = {}
        self._logs: dict[int, str] = {}

    def follow(self, positions: Mapping[Place, int]) -> None:
        with self._lock:
            self._positions.update(positions)
            self._stamps.clear()

    def leave(self, places: Sequence[Place]) -> None:
        with self._lock:
            for place in places:
                self._positions.pop(place, None)

    def _run(self) -> None:
        while not self._is_over.wait(LOOK_S):
            with self._lock:
                by_number: dict[int, dict[str, int]] = {}
                for (topic, number), position in self._positions.items():
                    by_number.setdefault(number, {})[topic] = position
            for number, positions in by_number.items():
                try:
                    self._look(number, self._directory / f"{STEM}-{number}{SUFFIX}", positions)
                except (SourceError, OSError) as failed:
                    self._stamps.pop(number, None)
                    _limited.warning("tail", "the embedded sink cannot be read for now: %s", failed)

    def _look(self, number: int, path: Path, positions: dict[str, int]) -> None:
        stamp = _stamp(path)
        if stamp is None or self._stamps.get(number) == stamp:
            return
        self._stamps[number] = stamp
        bounds, log = _bounds(path)
        before = self._logs.get(number, "")
        self._logs[number] = log
        is_other = bool(before) and log != before
        lost = [topic for topic, at in positions.items() if is_other or not bounds.low <= at <= bounds.high]
        for topic in lost:
            del positions[topic]
            self.leave([(topic, number)])
            self._on_lost((topic, number))
        at = min(positions.values(), default=bounds.high)
        while at < bounds.high and not self._is_over.is_set():
            until = min(bounds.high, at + TAIL_ROWS)
            with _open(path) as database:
                records = [_record(number, row) for row in database.execute(_PAGE, (at, until))]
            wanted = [one for one in records if positions.get(one.topic, bounds.high) <= one.offset]
            with self._lock:
                for topic in positions:
                    if (topic, number) in self._positions:
                        self._positions[topic, number] = max(until, self._positions[topic, number])
            if wanted:
                self._on_records(wanted)
            at = until


def _stamp(path: Path) -> bytes | None:
    """Return bytes that differ after each commit that a reader can see; None: there is no database.

    They are the head of the index of the log (https://www.sqlite.org/walformat.html, section 2.1), both copies. The
    times of the files would not do: a writer changes the log, waits for the disk, and only then makes the commit
    visible in the index, which is mapped into memory and has no time.
    """
    found = b""
    try:
        state = path.stat()
        found = b"%d %d %d" % (state.st_ino, state.st_size, state.st_mtime_ns)
        with Path(f"{path}-shm").open("rb") as index:
            return found + index.read(_INDEX_HEAD_BYTES)
    except FileNotFoundError:  # Of the index: no process has the database open.
        return found or None
