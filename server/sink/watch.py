"""The contract for finding one event again where a sink has stored it.

Place: sink.kafka.watch and sink.sqlite.watch keep these promises → the room canary, through sink.kind.
Rules: every method blocks and is used by one thread at a time; none blocks longer than ``within_s`` and the time of one
look. Nothing is committed or written.
Not here: which event is looked for (canary).
"""

from __future__ import annotations

from typing import Protocol

from msgspec import Struct


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
