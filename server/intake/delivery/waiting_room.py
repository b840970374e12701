"""Hold live events in memory whose key has older ones in the spool, until those are gone.

Place: intake.delivery → HERE → the sink, or the spool when the wait takes too long.
Rules: the events of a key leave in the order in which they came, and none of them leaves while the spool holds the key.
Without this room a busy key would never be free: each of its events would find the one before still on disk, and be
spooled too. Number, bytes and time are limited.
Not here: whether it is worth waiting (intake.delivery).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from server.intake.event import Event

MAX_EVENTS: Final = 20_000
MAX_BYTES: Final = 32 << 20

Key = tuple[str, bytes]


class Guest:
    """One event that waits, at most until ``until`` (loop time). ``may_spool``: after that it may go to the spool."""

    __slots__ = ("event", "may_spool", "until")

    def __init__(self, event: Event, until: float, may_spool: bool) -> None:
        self.event = event
        self.until = until
        self.may_spool = may_spool


class WaitingRoom:
    """The waiting room of one worker. ``holds`` says whether older events of a key are in the spool. ``done`` returns,
    for a topic, a value that stays the same as long as no key of it can have become free."""

    def __init__(self, holds: Callable[[str, bytes], bool], done: Callable[[str], object]) -> None:
        self._holds = holds
        self._done = done
        self._guests: dict[Key, list[Guest]] = {}
        self._seen: dict[str, object] = {}
        self._bytes = 0
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def has(self, topic: str, key: bytes) -> bool:
        """Whether events of this key wait here."""
        return (topic, key) in self._guests

    def has_place(self, size: int) -> bool:
        """Whether there is room for one more event of this size."""
        return self._count < MAX_EVENTS and self._bytes + size <= MAX_BYTES

    def add(self, guest: Guest) -> None:
        """Let an event wait. It must have a key."""
        event = guest.event
        assert event.key is not None
        self._seen.pop(event.topic, None)  # The spool may not hold the key at all (intake.delivery.doubt).
        self._guests.setdefault((event.topic, event.key), []).append(guest)
        self._count += 1
        self._bytes += len(event.value)

    def take(self, key: Key) -> list[Guest]:
        """Take out all events of a key."""
        guests = self._guests.pop(key, [])
        self._count -= len(guests)
        self._bytes -= sum(len(guest.event.value) for guest in guests)
        return guests

    def take_all(self) -> Iterator[Guest]:
        """Take out all events."""
        for key in list(self._guests):
            yield from self.take(key)

    def free(self) -> list[Key]:
        """Return the keys of which the spool holds no events any more."""
        if not self._guests:
            return []
        done = {topic: self._done(topic) for topic in {topic for topic, _ in self._guests}}
        changed = {topic for topic in done if self._seen.get(topic) != done[topic]}
        self._seen = done
        return [key for key in self._guests if key[0] in changed and not self._holds(*key)]

    def overdue(self, now: float) -> list[Key]:
        """Return the keys whose oldest event has waited long enough."""
        return [key for key, guests in self._guests.items() if guests[0].until <= now]
