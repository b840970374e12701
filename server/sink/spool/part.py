"""One database of the spool and its map, as the replay sees them: which events it holds, and up to which they are gone.

Place: sink.spool.backlog → HERE → sink.spool.reader, sink.spool.keys; on the replay's thread.
Rules: an event is gone when it is delivered or set aside. Gone events that could not be deleted yet are not read again.
Progress is measured in laps, because events leave in the order of their numbers and the map needs sequence numbers,
which have another order. A lap begins with a look at the database and ends when all events of the topic that were there
are gone. Then the topic is gone up to the last sequence number of that look.
Not here: several databases (sink.spool.backlog).
"""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from server.log import Limited
from server.sink.salvage import is_broken
from server.sink.spool.event import Spooled, name_of, spooled
from server.sink.spool.file import SpoolFile
from server.sink.spool.keys import NONE, SUFFIX, KeyMap, Mark, slot_of
from server.sink.spool.reader import DAMAGED, TOO_LARGE, SpoolReader
from server.sink.spool.store import Store

MORE: Final = 16  # Events that are read beyond a share.
BYTES_AT_ONCE: Final = 8 << 20
UNSEEN_S: Final = 5.0  # A worker opens its database within this time; one that hangs must not hold up the others.
MOST_UNDELETED: Final = 5_000  # While the disk takes no deletions, so many gone events are noted; then reading stops.

_logger = logging.getLogger("sink.spool")
_limited = Limited(_logger)


class _Lap(msgspec.Struct):
    """A topic's events up to the sequence number ``done`` are gone. When those with numbers up to ``highest`` are gone,
    so are all up to the sequence number ``last``, and the lap ends."""

    done: int
    last: int
    highest: int


class Part:
    """One database. It holds ``remaining`` events of ``size`` bytes, the oldest of which has the number ``front``.
    ``has_more``: the last call of ``oldest`` did not return all events of its topic. ``is_adopted``: no worker holds
    the database, and it was opened and counted here (sink.spool.backlog)."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._reader = SpoolReader(path)
        self._keys: KeyMap | None = None
        self._laps: dict[bytes, _Lap] = {}
        self._gone: dict[int, tuple[int, int]] = {}  # By id: number, bytes.
        self._too_large: set[int] = set()
        self._is_another_file = False  # Than that from which all of these were read.
        self._forget_counts()
        self.damaged = 0
        self.taken: dict[bytes, int] = {}  # How many of the events that it returned last were used, by topic.
        self.has_more = False
        self.is_adopted = False
        self.was_free = False
        self.is_held = True
        self.is_removed = False
        self._broken_inode = 0
        self._unseen_until = 0.0

    def _forget_counts(self) -> None:
        self._horizon = 0
        self._aside = 0
        self.remaining = self.size = self.front = 0
        self._is_miscounted = False
        self._laps = {}
        self.topics: frozenset[bytes] = frozenset()

    def attempt(self, function: Callable[[], object]) -> Exception | None:
        """Call a function of this database. An error of the disk or of SQLite is the result. A broken file is not
        touched again: the worker that holds it is told to replace it."""
        try:
            function()
        except (sqlite3.Error, OSError) as failed:
            if isinstance(failed, sqlite3.Error) and is_broken(failed):
                self._leave_broken()
            return failed
        return None

    @staticmethod
    def is_full(failed: Exception) -> bool:
        """Whether the disk has no room."""
        return getattr(failed, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL

    def _leave_broken(self) -> None:
        self._reader.close()
        self._forget_counts()
        self._broken_inode = self.path.stat().st_ino if self.path.exists() else 0
        self.is_adopted = False
        if self._keys is not None:
            self._keys[Mark.BROKEN] = (self._keys[Mark.BROKEN] + 1) & 0xFFFF

    def adopt(self) -> None:
        """Open and count a database that no worker holds, or delete it when it is empty. The caller has its lock."""
        if not self.is_adopted:
            self._reader.close()
            store = Store(self.path, -1)
            try:
                if self._broken_inode:
                    store.file.replace(sqlite3.DatabaseError("the replay cannot read it"))
                found = store.census()
            finally:
                store.file.close()
            store.load(found)
            self.damaged += store.file.damaged
            self._keys, self._broken_inode = None, 0
            self.is_adopted, self.is_held = True, False
            if found.count:
                _logger.warning("took over %s with %d events: no worker holds it any more", self.path, found.count)
        elif not self.remaining and not self._gone and self._reader.is_same() and self._reader.is_empty():
            self._reader.close()
            for suffix in (SUFFIX, ".keys"):  # The second is the map of an earlier version.
                self.path.with_suffix(suffix).unlink(missing_ok=True)
            SpoolFile(self.path).remove()
            self.is_removed = True

    # Events that are gone.

    def leave(self, event: Spooled) -> None:
        """Note that an event is delivered. It may be called on the loop, but only while the thread is idle."""
        self._gone[event.id] = event.number, event.size

    def leave_too_large(self, event: Spooled) -> None:
        """Note that an event is too large for its topic. The same holds for threads."""
        self._too_large.add(event.id)
        self.leave(event)

    def write_down(self) -> None:
        """Delete delivered events, and set aside those that are too large, of the events that a look has counted."""
        gone = {one: what for one, what in self._gone.items() if one <= self._horizon}
        if not gone or not self._reader.is_same():
            return
        known = self._reader.numbers(gone) if self._is_another_file else None
        ids = {one for one, (number, _) in gone.items() if known is None or known.get(one) == number}
        large = self._too_large & ids
        count = self._reader.set_aside(sorted(large), TOO_LARGE) + self._reader.delete(sorted(ids - large))
        self._gone = {one: what for one, what in self._gone.items() if one not in gone}
        self._too_large -= gone.keys()
        self._is_another_file = self._is_another_file and bool(self._gone)
        if count != len(gone):
            self._is_miscounted = True
            return
        self.remaining -= count
        self.size -= sum(size for _, size in gone.values())
        if self.remaining <= 0:
            self._reader.shrink()

    def take_back(self) -> None:
        """Put events that were set aside for their size back among the others, to be tried again."""
        if self._aside and self._reader.is_same():
            self._reader.take_back()
            self._forget_counts()  # The rows come back with ids below the horizon.

    # Events that wait.

    def look(self) -> None:
        """Count the events in the database, and end the laps that are complete."""
        if not self._reader.is_same():
            self._forget_counts()
            if self.path.exists() and self.path.stat().st_ino == self._broken_inode:
                return
            if not self._reader.open(is_held=self.is_held):
                if not self._unseen_until and self.path.exists():
                    self._unseen_until = time.monotonic() + UNSEEN_S
                return
            self._unseen_until = 0.0
            self._is_another_file = bool(self._gone)
        if self._is_miscounted:
            self._forget_counts()
        if self._keys is None or not self._keys.is_at(self.path):
            self._keys = KeyMap.see(self.path, is_written=True)
        before = self._horizon
        if self._keys is not None and not self.topics and 0 < before == self._keys[Mark.COMMITTED]:
            return
        view = self._reader.look(before)
        self.remaining += view.events
        self.size += view.size
        self._aside = view.aside
        self._horizon = view.last
        self.topics = frozenset(view.topics)
        self.front = min((extent.lowest for extent in view.topics.values()), default=0)
        self._laps = {topic: lap for topic, lap in self._laps.items() if topic in view.topics}
        for topic, extent in view.topics.items():
            lap = self._laps.setdefault(topic, _Lap(before, view.last, extent.highest))
            if extent.lowest > lap.highest:
                self._laps[topic] = _Lap(lap.last, view.last, extent.highest)

    def publish(self, catch_up_ms: int, *, sheds: bool = False) -> None:
        """Write into the map up to which sequence numbers the events are gone, the counts, and what the replay says."""
        keys = self._keys
        if keys is None or not self._reader.is_same():
            return
        slots: dict[int, int] = {}
        if len(self._gone) < self.remaining:  # Else the disk takes no deletion, but no key has to wait.
            for topic, lap in self._laps.items():
                slot = slot_of(name_of(topic))
                slots[slot] = min(lap.done, slots.get(slot, lap.done))
        keys.publish(slots, self._horizon)
        keys[Mark.REMAINING], keys[Mark.REMAINING_BYTES] = max(0, self.remaining), max(0, self.size)
        keys[Mark.FRONT] = self.front if len(self._gone) < self.remaining else 0
        keys[Mark.ASIDE] = self._aside
        keys[Mark.CATCH_UP_MS] = catch_up_ms
        keys[Mark.SHEDS] = sheds

    def oldest(self, topic: bytes, count: int, above: int, having: int = 1) -> list[Spooled]:
        """Read the oldest events of a topic with numbers above ``above`` that are not gone, up to BYTES_AT_ONCE.
        Damaged ones are set aside. If several databases are ``having`` such events, hardly more are read than were
        taken last time, or than this one's share: those of the others may be older."""
        self.has_more = True
        if len(self._gone) > MOST_UNDELETED:
            return []
        if having > 1:
            count = min(count, max(self.taken.get(topic, 0), count // having) * 5 // 4 + MORE)
        asked = count + len(self._gone)
        # In another file than that from which they were delivered, the same ids may be other events.
        passed = () if self._is_another_file else self._gone
        rows, damaged, is_cut = self._reader.oldest(topic, asked, above, BYTES_AT_ONCE, passed)
        if damaged:
            self._set_aside_damaged(damaged)
        self.has_more = is_cut or len(rows) + len(damaged) + len(passed) >= asked
        return [spooled(row) for row in rows if row[0] not in self._gone or self._gone[row[0]][0] != row[1]]

    def _set_aside_damaged(self, ids: list[int]) -> None:
        self.damaged += self._reader.set_aside(ids, DAMAGED)
        self._is_miscounted = True  # Their bytes are not known.
        _limited.warning(
            "damaged", '%d events in %s are damaged: they were moved to its table "aside"', len(ids), self.path
        )

    # Told by the worker that holds the database.

    def put(self) -> int:
        """Return how many events were ever put into it, or were seen in it if there is no map."""
        return self._horizon if self._keys is None else self._keys[Mark.LAST]

    def acked(self) -> int:
        """Return how many events of live requests its worker has delivered."""
        return 0 if self._keys is None else self._keys[Mark.ACKED]

    def is_doubtful(self) -> bool:
        """Whether there may be events that are older than those which were seen: the worker may still put them, or has
        yet to open the database, or to let go of it."""
        if self.is_unseen():
            return True
        return self._keys is not None and not self.is_adopted and self._keys.is_doubtful()

    def is_unseen(self) -> bool:
        """Whether the database cannot be read yet. It is not waited for longer than UNSEEN_S."""
        return time.monotonic() < self._unseen_until

    def lowest_on_the_way(self, stuck_us: int) -> int:
        """Return the lowest number of the events on their way to the disk. The result is NONE if there are none, and if
        that event is at least ``stuck_us`` older than the newest: then the disk takes nothing, and is not waited for.
        """
        if self._keys is None or self.is_adopted:
            return NONE
        lowest = self._keys[Mark.LOWEST]
        return lowest if lowest and self._keys[Mark.NEWEST] - lowest < stuck_us else NONE

    def close(self) -> None:
        self._reader.close()
