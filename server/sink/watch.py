"""The contracts for finding one event again where a sink has stored it, and for looking at the newest ones.

Place: the files ``watch`` and ``tail`` of sink.kafka and sink.sqlite keep these promises → the rooms canary and
plausibility, through sink.kind.
Rules: every method blocks and is used by one thread at a time; none blocks longer than ``within_s`` and the time of one
look. Nothing is committed or written.
Not here: which event is looked for (canary), what is read from samples (plausibility.sampling).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

from msgspec import Struct

TAIL_BYTES: Final = 32 << 20  # Events of up to 4 MB, a hundred of each of hundreds of topics, are no sample any more.


class WatchError(Exception):
    """The sink cannot be read now. ``str()`` says why, for operators."""


class Mark(Struct, frozen=True):
    """The end of a topic at one moment, by partition or by file. ``exists`` False: there is no such topic."""

    topic: str
    ends: dict[str, int]
    exists: bool = True


class Found(Struct, frozen=True):
    """The place of an event. ``timestamp_ms`` is its time as the sink has it, in milliseconds since 1970."""

    partition: str
    offset: int
    timestamp_ms: int


class Sought(Struct, frozen=True):
    """The result of a search. Without ``found``, ``is_at_end`` says whether everything stored so far was read, and
    ``exists`` whether the topic is there."""

    found: Found | None = None
    is_at_end: bool = False
    exists: bool = True


class Watch(Protocol):
    """Looks for events in one sink."""

    def mark(self, topic: str, within_s: float) -> Mark:
        """Return the present end of the topic. Raises WatchError."""

    def find(self, mark: Mark, needle: bytes, within_s: float) -> Sought:
        """Look behind the mark for an event whose value contains ``needle``, until it is there or the time is over.
        Raises WatchError."""

    def close(self) -> None: ...


class Stored(Struct, frozen=True):
    """One stored event. ``timestamp_ms`` is its time as the sink has it, in milliseconds since 1970."""

    value: bytes
    timestamp_ms: int


class Tail(Protocol):
    """Reads the newest events of topics in one sink."""

    def take(self, topics: Sequence[str], most: int, within_s: float) -> dict[str, list[Stored]]:
        """Return the newest events of each topic that no call before has returned, at most ``most`` of each, the oldest
        first. They follow one another in a partition or file without a gap. Topics without any are left out, and so is
        what was not read in time or is beyond TAIL_BYTES altogether. Raises WatchError."""

    def close(self) -> None: ...
