"""All databases of a host's spool, as the replay sees them: the events that wait, and how far the replay has come.

Place: sink.spool.replay → HERE, on the replay's thread → sink.spool.reader, sink.spool.part.
Rules: the events of a topic are returned in the order of their numbers, whichever worker put them. A database that
cannot be read or written does not hold up the others. One that no worker holds is adopted: it is opened as its worker
would open it, so that a file of an earlier version is converted and a damaged one is recovered, and it is deleted when
it is empty.
Not here: what is sent when (sink.spool.replay), one database (sink.spool.part).
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from server.log import Limited
from server.sink.spool import claim
from server.sink.spool.event import Spooled
from server.sink.spool.file import SUFFIX
from server.sink.spool.part import Part
from server.sink.spool.spool import STEM

ADOPT_EVERY_S: Final = 2.0
ASK_EVERY_S: Final = 0.25  # Time between looks whether a database that cannot be read is held; a look takes its lock.
TAKE_BACK_EVERY_S: Final = 60.0  # Events that were too large for their topic are tried again: its limit may be raised.
# An event waits longer for the disk only if the disk takes nothing and its worker has no contact with a broker. Before,
# younger ones wait for it: events that timed out in the sink are as old as its time-out when they are put.
STUCK_US: Final = 60_000_000
_RESERVE: Final = "reserve"
_RESERVE_BYTES: Final = 4 << 20  # Room for deleting on a full disk.

_logger = logging.getLogger("sink.spool")
_limited = Limited(_logger)


class Want(NamedTuple):
    """Up to ``most`` events of a topic with numbers above ``above`` are wanted."""

    topic: bytes
    most: int
    above: int


class Taken(NamedTuple):
    """An event that was read, and the database that it is in."""

    part: Part
    event: Spooled


class BacklogView(NamedTuple):
    """The spool after one turn. ``topics`` are those that have events. ``put`` is the number of events that were ever
    put, ``acked`` the number of events of live requests that brokers have acked to the workers. ``is_doubtful``: a
    worker may still put events that are older than those. ``taken`` are the wanted events, by topic; ``has_more``: a
    topic has more than were wanted."""

    topics: frozenset[bytes]
    events: int
    put: int
    acked: int
    is_doubtful: bool
    taken: dict[bytes, list[Taken]]
    has_more: bool


class Backlog:
    """Reads and deletes events in all databases of a directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._parts: dict[Path, Part] = {}
        # Workers that start at the same time claim their databases first.
        self._adopt_at = time.monotonic() + ADOPT_EVERY_S
        self._take_back_at = self._ask_at = 0.0
        self._damaged_before = 0  # In databases that are gone.
        self._reserve = directory / _RESERVE

    @property
    def damaged(self) -> int:
        """The number of events that were found damaged, and were set aside or lost."""
        return self._damaged_before + sum(part.damaged for part in self._parts.values())

    def work(self, wants: Iterable[Want], catch_up_s: float, *, sheds: bool = False) -> BacklogView:
        """Do one turn: delete delivered events, count the others, publish how far the replay is, and read the wanted
        events. Errors of a database are logged."""
        now = time.monotonic()
        self._find()
        if now >= self._adopt_at:
            self._adopt_at = now + ADOPT_EVERY_S
            self._adopt()
            self._keep_reserve()
        is_time = now >= self._take_back_at
        if is_time:
            self._take_back_at = now + TAKE_BACK_EVERY_S
        is_time_to_ask = now >= self._ask_at
        if is_time_to_ask:
            self._ask_at = now + ASK_EVERY_S
        for part in self._parts.values():
            self._try(part, part.write_down)
            if is_time:
                self._try(part, part.take_back)
            self._try(part, part.look)
            if is_time_to_ask and part.is_unseen():
                part.is_held = _is_held(part.path)  # Its worker may have closed it, and let go of it since.
            part.publish(int(catch_up_s * 1000), sheds=sheds)
        parts = [part for part in self._parts.values() if part.topics]
        newest_allowed = min((part.lowest_on_the_way(STUCK_US) for part in self._parts.values()), default=0)
        found = {want.topic: self._oldest(parts, want, newest_allowed) for want in wants}
        return BacklogView(
            frozenset(topic for part in parts for topic in part.topics),
            sum(part.remaining for part in parts),
            sum(part.put() for part in self._parts.values()),
            sum(part.acked() for part in self._parts.values()),
            any(part.is_doubtful() for part in self._parts.values()),
            {topic: taken for topic, (taken, _) in found.items()},
            any(has_more for _, has_more in found.values()),
        )

    def close(self) -> None:
        """Delete delivered events, and close the files."""
        for part in self._parts.values():
            for step in (part.look, part.write_down, part.look):
                self._try(part, step)
            part.publish(0)
            self._damaged_before += part.damaged
            part.close()
        self._parts = {}

    def _find(self) -> None:
        """Open databases that are new, and close those that were deleted."""
        paths = set(self._directory.glob(f"{STEM}-*{SUFFIX}"))
        for path in paths - self._parts.keys():
            self._parts[path] = Part(path)
            self._parts[path].is_held = _is_held(path)
        for path in self._parts.keys() - paths:
            self._forget(path)

    def _adopt(self) -> None:
        """Adopt the databases that no worker holds, and delete those of them that are empty."""
        for path, part in list(self._parts.items()):
            try:
                lock_fd = claim.take(path)
            except OSError as failed:  # There is no descriptor left, or no permission: the next look tries again.
                _limited.warning("adopt", "the spool %s, which no worker holds, cannot be read: %s", path, failed)
                continue
            if lock_fd is None:
                part.is_adopted = part.was_free = False
                part.is_held = True
                continue
            try:
                part.is_held = False
                if part.was_free:  # Not at once: a worker whose lock was deleted is about to take it again.
                    self._try(part, part.adopt)
                part.was_free = True
            finally:
                os.close(lock_fd)
            if part.is_removed:
                self._forget(path)

    def _forget(self, path: Path) -> None:
        part = self._parts.pop(path)
        self._damaged_before += part.damaged
        part.close()

    def _oldest(self, parts: list[Part], want: Want, newest_allowed: int) -> tuple[list[Taken], bool]:
        """Read the oldest events of a topic from all databases, and say whether there are more than are wanted. If a
        database has more of them than it returned, no event is taken that is younger than those, because the rest may
        come before it."""
        has_more = False
        found: list[Taken] = []
        upto = newest_allowed - 1
        having = sum(want.topic in part.topics for part in parts)
        for part in parts:
            if want.topic in part.topics:
                events: list[Spooled] = []
                self._try(part, lambda part=part, events=events: events.extend(part.oldest(*want, having)))  # type: ignore[misc]
                found += [Taken(part, event) for event in events]
                if part.has_more:
                    has_more = True
                    upto = min(upto, events[-1].number if events else want.above)
        found.sort(key=lambda taken: taken.event.number)
        taken = [one for one in found[: want.most] if one.event.number <= upto]
        for part in parts:
            part.taken[want.topic] = 0
        for one in taken:
            one.part.taken[want.topic] += 1
        return taken, has_more or len(found) > want.most

    def _try(self, part: Part, function: Callable[[], object]) -> None:
        """Call a function of one database. If the disk is too full to delete rows, the reserved file is removed, and
        the call is repeated once."""
        failed = part.attempt(function)
        if failed is not None and part.is_full(failed) and self._reserve.exists():
            self._reserve.unlink(missing_ok=True)
            failed = part.attempt(function)
        if failed is not None:
            _limited.warning("replay", "the spool %s cannot be replayed: %s", part.path, failed)

    def _keep_reserve(self) -> None:
        if self._reserve.exists():
            return
        try:
            with self._reserve.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, _RESERVE_BYTES)
        except OSError:  # The next look tries again.
            with suppress(OSError):
                self._reserve.unlink(missing_ok=True)


def _is_held(path: Path) -> bool:
    """Whether a worker holds a database. It is asked once for each, because it takes the lock for a moment."""
    try:
        lock_fd = claim.take(path)
    except OSError:
        return True
    if lock_fd is not None:
        os.close(lock_fd)
    return lock_fd is None
