"""The contract of a place where events are stored, as EventStreams reads it.

Place: sources.kafka and sources.sqlite keep these promises → sources.pool and hub use them.
Rules: a reader blocks and is used by one thread at a time; a tail has a thread of its own and calls back on it. A
position is the offset of the next event. Nothing is committed: a position belongs to its client.
Not here: who reads what (hub, client).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from msgspec import Struct, field

from eventstreams.record import Place, Record


class SourceError(Exception):
    """The source cannot be read now. ``str()`` says why, for the log."""


class Bounds(Struct, frozen=True):
    """The first offset that is kept, and the one that the next event will have."""

    low: int
    high: int


class Described(Struct, frozen=True):
    """The stored part of some topics. A topic that does not exist has no places. ``logs`` are the identities of logs,
    as far as they are known: one that was made again under its old name has another one."""

    cluster: str
    bounds: dict[Place, Bounds]
    logs: dict[Place, str] = field(default_factory=dict)


class Gap(Struct, frozen=True):
    """Events that a client should have got and that are gone: reading goes on at ``earliest``. ``asked`` beyond
    ``latest``, or ``made_again``, means that the log is another one, and nothing is known of what was lost."""

    topic: str
    partition: int
    asked: int
    earliest: int
    latest: int
    made_again: bool = False

    @property
    def lost(self) -> int | None:
        """How many offsets were lost; None where that is not known."""
        return self.earliest - self.asked if self.asked <= self.earliest and not self.made_again else None

    def told(self) -> dict[str, object]:
        """Return the members by which a client is told."""
        names = ("topic", "partition", "asked", "earliest", "latest", "lost", "made_again")
        return {name: getattr(self, name) for name in names}


class Batch(Struct):
    """The result of one reading. ``reached``: below this offset there is nothing that is not among the records, also
    where offsets have no record. ``at_end``: places whose end was reached."""

    records: list[Record]
    reached: dict[Place, int]
    at_end: set[Place] = field(default_factory=set)
    gaps: list[Gap] = field(default_factory=list)


class Reader(Protocol):
    """Reads from any position. All methods block and raise SourceError."""

    def describe(self, topics: Sequence[str]) -> Described: ...

    def at_times(self, times_ms: Mapping[Place, int]) -> dict[Place, int | None]:
        """Return the first offset whose event is as late as the time, or later; None where none is."""

    def read(self, positions: Mapping[Place, int], most_bytes: int, most_events: int) -> Batch:
        """Read on from these positions. Returns once there is something, or every place is at its end."""

    def close(self) -> None: ...


OnRecords = Callable[[list[Record]], None]
OnLost = Callable[[Place], None]


class Tail(Protocol):
    """Follows the newest events of any number of places. Methods may be called on any thread and do not block."""

    def start(self, on_records: OnRecords, on_lost: OnLost) -> None:
        """Begin the thread. ``on_lost``: the position of a place is gone, and it is no longer followed."""

    def follow(self, positions: Mapping[Place, int]) -> None: ...

    def leave(self, places: Sequence[Place]) -> None: ...

    def stop(self) -> None:
        """End the thread, and wait for it for a short time."""
