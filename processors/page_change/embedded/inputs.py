"""The form in which an input hands records to the runner: batches of one partition.

Place: embedded.sqlite_input, embedded.kafka_input → HERE → embedded.run, lake.run.
Rules: records of a partition come in order. A partition that was read to its end says so, with the wall clock before
the look: an event that comes later has a time that is at most ``disorder_ms`` before that. A log that was removed and
made again under its name is another partition: the identity of the log is part of the partition's name.
Not here: the watermark (watermarks).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from msgspec import Struct


class Read(Struct, frozen=True, gc=False):
    """One record: its value, and its time in milliseconds. ``offset`` is its place in its partition."""

    value: bytes
    at: int
    offset: int
    topic: str


class Batch(Struct, frozen=True):
    """Records of one partition. ``position`` is where reading goes on. ``ended_at``: the partition was read to its end
    at that wall clock, in milliseconds; None if it was not."""

    partition: str
    records: list[Read]
    position: int
    ended_at: int | None


def named(log: str, identity: str, number: str = "") -> str:
    """Return the name of a partition: of its log, the identity of that as far as it has one, and its number there."""
    return log + (f"#{identity}" if identity else "") + (f"/{number}" if number else "")


def shown(partition: str) -> str:
    """Return the name of a partition without the identity of its log, for people and metrics."""
    log, mark, rest = partition.partition("#")
    return f"{log}/{rest.partition('/')[2]}" if mark and "/" in rest else log


def is_successor(partition: str, positions: Mapping[str, int]) -> bool:
    """Whether a partition of an earlier log with its name was read, and none of this one."""
    if partition in positions:
        return False
    return any("#" in other and shown(other) == shown(partition) for other in positions)


def position_in(partition: str, positions: Mapping[str, int]) -> int:
    """Return where reading goes on in a partition. Positions of earlier versions are those of logs without identities:
    they count until there is one of a log with an identity."""
    if partition in positions or is_successor(partition, positions):
        return positions.get(partition, 0)
    return positions.get(shown(partition), 0)


class Input(Protocol):
    """All partitions of an input."""

    def partitions(self) -> list[str]:
        """Return the partitions that are known now: more when topics or files appear, fewer when they are gone."""

    def read(self, least_ahead: str | None) -> list[Batch]:
        """Return the next batches, waiting for a moment if there is nothing. ``least_ahead`` is the partition that
        holds the watermark up: an input that can choose reads it first."""

    def close(self) -> None:
        """Release everything."""
