"""The form in which an input hands records to the runner: batches of one partition.

Place: embedded.sqlite_input, embedded.kafka_input → HERE → embedded.run, lake.run.
Rules: records of a partition come in order. A partition that was read to its end says so, with the wall clock before
the look: an event that comes later has a time that is at most ``disorder_ms`` before that.
Not here: the watermark (watermarks).
"""

from __future__ import annotations

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


class Input(Protocol):
    """All partitions of an input."""

    def partitions(self) -> list[str]:
        """Return the partitions that are known now; it grows when topics or files appear."""

    def read(self, least_ahead: str | None) -> list[Batch]:
        """Return the next batches, waiting for a moment if there is nothing. ``least_ahead`` is the partition that
        holds the watermark up: an input that can choose reads it first."""

    def close(self) -> None:
        """Release everything."""
