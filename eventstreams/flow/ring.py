"""The newest events of one partition, for all clients of a worker that are a little behind.

Place: hub appends what the live reader brings → HERE → client reads.
Rules: from ``start`` to ``end`` the ring has every event of the partition, in order; offsets between two of them have
none (compaction, transactions). ``start`` only grows, as old events are dropped.
Not here: events before ``start`` (sources), who reads (client).
"""

from __future__ import annotations

from bisect import bisect_left
from typing import Final

from eventstreams.record import Record

_TIDY_FROM: Final = 256


class Ring:
    """One partition. ``most_events`` and ``most_bytes`` limit it; the newest event is always there."""

    __slots__ = ("_bytes", "_first", "_offsets", "_records", "end", "most_bytes", "most_events", "start")

    def __init__(self, start: int, most_events: int, most_bytes: int) -> None:
        self.start = self.end = start
        self.most_events = most_events
        self.most_bytes = most_bytes
        self._offsets: list[int] = []
        self._records: list[Record] = []
        self._first = 0  # Records before this index are dropped, and deleted many at a time.
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._records) - self._first

    @property
    def bytes(self) -> int:
        """Return the bytes of the events."""
        return self._bytes

    def append(self, record: Record) -> bool:
        """Add the next event. Returns False for one that is there already."""
        if record.offset < self.end:
            return False
        self._offsets.append(record.offset)
        self._records.append(record)
        self.end = record.offset + 1
        self._bytes += record.weight_bytes
        while len(self) > 1 and (len(self) > self.most_events or self._bytes > self.most_bytes):
            self._drop()
        return True

    def after(self, offset: int, most: int) -> list[Record]:
        """Return up to ``most`` events from this offset on, which must not be before ``start``."""
        at = bisect_left(self._offsets, offset, self._first)
        return self._records[at : at + most]

    def newest(self, count: int) -> list[Record]:
        """Return the last events."""
        return self._records[max(self._first, len(self._records) - count) :]

    def all(self) -> list[Record]:
        """Return every event."""
        return self._records[self._first :]

    def reset(self, start: int) -> None:
        """Begin again at another offset: the log is another one."""
        self._offsets, self._records, self._first, self._bytes = [], [], 0, 0
        self.start = self.end = start

    def _drop(self) -> None:
        self._bytes -= self._records[self._first].weight_bytes
        self.start = self._offsets[self._first] + 1
        self._first += 1
        if self._first >= _TIDY_FROM and self._first * 2 >= len(self._records):
            del self._records[: self._first], self._offsets[: self._first]
            self._first = 0
