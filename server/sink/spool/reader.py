"""One database of the spool, as the replay uses it: it reads the oldest events of a topic and deletes delivered ones.

Place: sink.spool.backlog → HERE, on the replay's thread; every call may wait for the disk.
Rules: the file is never made or repaired here: the worker that holds it does that (sink.spool.file). Damaged rows, and
those that are too large for their topic, are set aside: they are moved to the table ``aside`` with the reason.
Not here: which events are sent when (sink.spool.lane).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Container, Iterable, Sequence
from operator import itemgetter
from pathlib import Path
from typing import Any, Final, NamedTuple

from server.sink.salvage import transaction
from server.sink.spool import bulk
from server.sink.spool.event import COLUMNS, Row, is_whole
from server.sink.spool.file import VERSION, connect, inodes_of, last_id
from server.sink.spool.keys import NONE

DAMAGED: Final = "damaged"
TOO_LARGE: Final = "event_too_large"

_VACUUM_PAGES: Final = 1024  # An empty file of more than 4 MiB gives its room back to the disk.


def _is_number(found: object) -> bool:
    return isinstance(found, int) and 0 <= found < NONE


class Extent(NamedTuple):
    """The lowest and the highest number of the events of a topic."""

    lowest: int
    highest: int


class FileView(NamedTuple):
    """The contents of a database at one moment. ``last`` is the highest id that any row has had. ``events`` and
    ``size`` (bytes) count the rows above the id that was asked for, ``aside`` those that are set aside for their size.
    """

    last: int
    topics: dict[bytes, Extent]
    events: int
    size: int
    aside: int


class Oldest(NamedTuple):
    """Events in their order, and the ids of those that are damaged. ``is_cut``: there are more, which would exceed the
    limit of bytes."""

    rows: list[Row]
    damaged: list[int]
    is_cut: bool


class SpoolReader:
    """One database of the spool. Every call raises sqlite3.Error when it fails."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._database: sqlite3.Connection | None = None
        self._inodes = 0, 0

    def is_same(self) -> bool:
        """Whether the file, and its log, are still those that are open."""
        return self._database is not None and inodes_of(self.path) == self._inodes

    def open(self, *, is_held: bool = False) -> bool:
        """Open the file. Returns False if the worker that holds it (``is_held``) has not made it yet, or has yet to
        notice that its log was deleted: another one must not be begun before the events of that one are saved."""
        self.close()
        database_inode, log_inode = inodes_of(self.path)
        if not database_inode or (is_held and not log_inode):
            return False
        database = connect(self.path)
        try:
            (version,) = database.execute("PRAGMA user_version").fetchone()
        except BaseException:
            database.close()
            raise
        if version != VERSION:
            database.close()
            return False
        self._database, self._inodes = database, inodes_of(self.path)
        return True

    def close(self) -> None:
        if self._database is not None:
            database, self._database = self._database, None
            database.close()

    def look(self, above: int) -> FileView:
        """Read the counts and topics of the database, in one transaction."""
        database = self._ready()
        database.execute("BEGIN")
        try:
            last = last_id(database)
            count, size = database.execute(
                f"SELECT count(*), ifnull(sum({bulk.SIZE}), 0) FROM event NOT INDEXED WHERE id > ?", (above,)
            ).fetchone()
            (aside,) = database.execute("SELECT count(*) FROM aside WHERE reason = ?", (TOO_LARGE,)).fetchone()
            return FileView(last, self._topics(database), count, size, aside)
        finally:
            database.execute("COMMIT")

    @staticmethod
    def _topics(database: sqlite3.Connection) -> dict[bytes, Extent]:
        """Step from topic to topic by the index: ``DISTINCT`` would read all of it."""
        found: dict[bytes, Extent] = {}
        step = database.execute("SELECT min(topic) FROM event").fetchone()
        while step[0] is not None:
            topic = step[0]
            (lowest,) = database.execute("SELECT min(number) FROM event WHERE topic = ?", (topic,)).fetchone()
            (highest,) = database.execute("SELECT max(number) FROM event WHERE topic = ?", (topic,)).fetchone()
            if not (_is_number(lowest) and _is_number(highest)):
                raise sqlite3.DatabaseError("its index has a number that is none")
            found[topic] = Extent(lowest, highest)
            step = database.execute("SELECT min(topic) FROM event WHERE topic > ?", (topic,)).fetchone()
        if not found and database.execute("SELECT EXISTS (SELECT 1 FROM event NOT INDEXED)").fetchone() != (0,):
            raise sqlite3.DatabaseError("its index lacks events that its table has")
        return found

    def oldest(self, topic: bytes, count: int, above: int, most_bytes: int, passed: Container[int]) -> Oldest:
        """Return the oldest ``count`` events of a topic with numbers above ``above``, without those in ``passed``, and
        no more than the first that reach ``most_bytes``."""
        ids, is_cut = bulk.oldest_ids(self._ready(), topic, count, above, most_bytes, passed)
        found = bulk.read(self._ready(), ids)
        whole = [row for row in found if is_whole(row)]
        damaged = sorted({row[0] for row in found} - {row[0] for row in whole})
        return Oldest(sorted(whole, key=itemgetter(1, 0)), damaged, is_cut)

    def numbers(self, ids: Iterable[int]) -> dict[int, object]:
        """Return the number of each of these events that is there."""
        database = self._ready()
        found = (database.execute("SELECT id, number FROM event NOT INDEXED WHERE id = ?", (one,)) for one in ids)
        return {one: number for rows in found for one, number in rows}

    def delete(self, ids: Sequence[int]) -> int:
        """Delete events that were delivered. Returns how many there were."""
        if not ids:
            return 0
        with transaction(self._ready()) as database:
            return bulk.delete(database, ids)

    def set_aside(self, ids: Sequence[int], reason: str) -> int:
        """Move events to the table ``aside``. Returns how many there were."""
        count = 0
        if not ids:
            return count
        with transaction(self._ready()) as database:
            for one in ids:
                count += database.execute(
                    f"INSERT OR REPLACE INTO aside SELECT {COLUMNS}, ? FROM event NOT INDEXED WHERE id = ?",
                    (reason, one),
                ).rowcount
                database.execute("DELETE FROM event WHERE id = ?", (one,))
        return count

    def take_back(self) -> int:
        """Move the events that were set aside for their size back, to be tried again. Returns how many there were."""
        with transaction(self._ready()) as database:
            moved = database.execute(
                f"INSERT OR REPLACE INTO event ({COLUMNS}) SELECT {COLUMNS} FROM aside WHERE reason = ?", (TOO_LARGE,)
            ).rowcount
            database.execute("DELETE FROM aside WHERE reason = ?", (TOO_LARGE,))
        return moved

    def shrink(self) -> None:
        """Return the room of an empty file to the disk, if it has more than _VACUUM_PAGES pages."""
        database = self._ready()
        (pages,) = database.execute("PRAGMA page_count").fetchone()
        if pages > _VACUUM_PAGES:
            database.execute("VACUUM")
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def is_empty(self) -> bool:
        """Whether no event is in it, neither waiting nor set aside."""
        found = "SELECT EXISTS (SELECT 1 FROM event NOT INDEXED) OR EXISTS (SELECT 1 FROM aside)"
        return bool(self._ready().execute(found).fetchone() == (0,))

    def _ready(self) -> Any:
        assert self._database is not None
        return self._database
