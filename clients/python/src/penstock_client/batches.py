"""How events become request bodies: always a JSON array, whose members are the events' bytes as they were frozen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

One = TypeVar("One")


def body_bytes(events: int, sizes: int) -> int:
    """Return the length of the body of so many events of so many bytes together: commas and two brackets."""
    return sizes + max(events - 1, 0) + 2


def fits(size: int, max_bytes: int) -> bool:
    """Whether an event can be sent at all."""
    return body_bytes(1, size) <= max_bytes


def halve(events: Sequence[One]) -> tuple[Sequence[One], Sequence[One]]:
    """Cut a batch that was too large for the intake."""
    middle = len(events) // 2
    return events[:middle], events[middle:]


def join(bodies: Sequence[bytes]) -> bytes:
    """Return the body of a request."""
    return b"[" + b",".join(bodies) + b"]"
