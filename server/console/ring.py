"""The rows that the console remembers, in order of arrival.

Place: console.arrivals adds → HERE → viewers, the interface, assertions.
Rules: bounded in rows and in bytes; the oldest are forgotten. Numbers begin at 1 and have no holes of their own, so a
reader that comes back with the last number it saw learns exactly what it missed. ``epoch`` is another one for each
process, so numbers of an earlier process are not taken for ours.
Not here: who reads (console.viewers).
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice
from typing import NamedTuple

from server.console.copying.copies import Outcome
from server.console.rows import Row


class Missed(NamedTuple):
    """Rows that a reader cannot be given any more, in front of the next one. ``lost`` None: an unknown number."""

    lost: int | None
    reason: str


class Ring:
    """The rows. ``on_row`` functions are called with each new one, ``on_change`` with one whose verdict has changed."""

    def __init__(self, max_rows: int, max_bytes: int) -> None:
        self._rows: deque[Row] = deque()
        self._max_rows = max_rows
        self._max_bytes = max_bytes
        self.bytes = 0
        self.epoch = os.urandom(4).hex()
        self.next_seq = 1
        self.on_row: list[Callable[[Row], None]] = []
        self.on_change: list[Callable[[Row], None]] = []

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def first_seq(self) -> int:
        """Return the number of the oldest row; that of the next one if there is none."""
        return self._rows[0].seq if self._rows else self.next_seq

    def add(self, row: Row) -> None:
        """Add the newest row, whose number is ``next_seq``."""
        assert row.seq == self.next_seq
        self.next_seq += 1
        self._rows.append(row)
        self.bytes += row.size_bytes
        while len(self._rows) > self._max_rows or (self.bytes > self._max_bytes and len(self._rows) > 1):
            self.bytes -= self._rows.popleft().size_bytes
        for tell in list(self.on_row):
            tell(row)

    def note(self, row: Row, outcome: Outcome) -> None:
        """Note what became of the event of a row after the row was shown."""
        before = row.summary["verdict"]
        row.note(outcome)
        if row.summary["verdict"] != before:
            for tell in list(self.on_change):
                tell(row)

    def find(self, seq: int) -> Row | None:
        """Return a row; None if it is forgotten or not there yet."""
        at = seq - self.first_seq
        return self._rows[at] if 0 <= at < len(self._rows) else None

    def after(self, seq: int, limit: int | None = None) -> Iterator[Row]:
        """Yield the rows after a number, oldest first."""
        begin = max(0, seq + 1 - self.first_seq)
        return islice(self._rows, begin, None if limit is None else begin + limit)

    def id_of(self, seq: int) -> str:
        """Return the text by which a reader names a row in ``Last-Event-ID``."""
        return f"{self.epoch}-{seq}"

    def resume(self, last_id: str) -> tuple[int, Missed | None]:
        """Return the number after which a reader goes on that saw ``last_id`` last, and what it missed for good."""
        epoch, _, number = last_id.partition("-")
        if not number.isascii() or not number.isdecimal() or len(number) > 18:
            return self.first_seq - 1, None
        if epoch != self.epoch:
            return self.first_seq - 1, Missed(None, "the console began again: its process or the settings changed")
        last = int(number)
        if last >= self.next_seq:
            return self.next_seq - 1, None
        lost = self.first_seq - 1 - last
        return max(last, self.first_seq - 1), Missed(lost, "forgotten: the console is full") if lost > 0 else None
