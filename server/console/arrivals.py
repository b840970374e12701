"""Turn the copies of all workers into rows, and count what is not shown.

Place: console.copying.channel → HERE → console.ring, console.rates.
Rules: a copy that is missing shows in the numbers of its sender. Requests skipped for lack of budget are counted by the
worker. Both become a gap in front of the next row.
Not here: how copies are made (console.copying.tap).
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from typing import Final

from server.console.copying import copies
from server.console.copying.copies import ACCEPTED, Outcome, RequestCopy
from server.console.ring import Ring
from server.console.rows import Row, rows_of
from server.log import Limited

MAX_SENDERS: Final = 1_000
MAX_OPEN: Final = 20_000  # Copies whose events have no outcome yet.
_limited: Final = Limited(logging.getLogger("console"))


def _admit(_: Row) -> bool:
    return True


class Arrivals:
    """Takes copies. ``skipped`` counts requests that are not shown, by reason; ``addresses`` are those on which the
    service listens. ``admit`` looks at each row first and returns whether it is shown (console.checks.sessions)."""

    def __init__(self, ring: Ring, admit: Callable[[Row], bool] = _admit) -> None:
        self._ring = ring
        self._admit = admit
        self._numbers: dict[int, int] = {}
        self._open: dict[tuple[int, int], list[Row]] = {}  # Rows that wait for an outcome, by sender and copy.
        self.skipped: Counter[str] = Counter()
        self.gaps: dict[int, int] = {}  # Requests that are not shown, by the number of the row behind them.
        self.addresses: list[tuple[str, int]] = []

    def take(self, text: bytes) -> None:
        """Take one copy."""
        try:
            copy = copies.decode(text)
        except ValueError:  # Not JSON, or not UTF-8.
            _limited.warning("copy", "a copy for the console cannot be read: this is a bug")
            return
        self._note_gap(copy)
        if copy.note.startswith("listens "):
            self._note_addresses(copy.note.split()[1:])
        self._add_rows(copy)
        for outcome in copy.outcomes:
            self._note_outcome(copy.sender, outcome)
        if copy.left_out:
            self._note(copy.left_out, "events of large requests")

    def _add_rows(self, copy: RequestCopy) -> None:
        shown, refused = [], 0
        for row in rows_of(copy, self._ring.next_seq):
            if self._admit(row):
                row.seq = row.summary["seq"] = self._ring.next_seq
                self._ring.add(row)
                shown.append(row)
            else:
                refused += 1
        self._note(refused, "above the bytes of the test session")
        is_open = copy.is_hasty and not copy.is_dry
        if is_open and any(row.event is not None and row.event.verdict == ACCEPTED for row in shown):
            self._open[copy.sender, copy.number] = shown
            if len(self._open) > MAX_OPEN:
                self._open.pop(next(iter(self._open)))

    def _note_outcome(self, sender: int, outcome: Outcome) -> None:
        rows = self._open.get((sender, outcome.number), [])
        for row in rows:
            if row.event is not None and row.event.index == outcome.index:
                self._ring.note(row, outcome)
        if all(row.event is None or row.event.ack_ms for row in rows):
            self._open.pop((sender, outcome.number), None)

    def gap_before(self, seq: int) -> int:
        """Return the number of requests that are not shown in front of a row."""
        return self.gaps.get(seq, 0)

    def _note_gap(self, copy: RequestCopy) -> None:
        if len(self._numbers) > MAX_SENDERS:
            self._numbers.clear()
        last = self._numbers.get(copy.sender)
        self._numbers[copy.sender] = copy.number
        self._note(copy.skipped, "above console.max_per_s")
        if last is not None and copy.number > last + 1:
            self._note(copy.number - last - 1, "lost on the way to the console")

    def _note(self, count: int, reason: str) -> None:
        if count <= 0:
            return
        self.skipped[reason] += count
        self.gaps[self._ring.next_seq] = self.gaps.get(self._ring.next_seq, 0) + count
        if len(self.gaps) > MAX_SENDERS:
            self.gaps.pop(next(iter(self.gaps)))

    def _note_addresses(self, texts: list[str]) -> None:
        for text in texts:
            host, _, port = text.partition("|")
            if port.isdecimal() and (host, int(port)) not in self.addresses:
                self.addresses.append((host, int(port)))
