"""Server-sent events: rows for one viewer, from its last number on.

Place: console.routes → HERE → console.ring.
Rules: nothing is buffered for a viewer. It has a place in the ring and is sent what lies behind it, so one that is too
slow meets a gap, and one that reads nothing for STALL_S is cut off. A message with rows carries the number of the last
row that was looked at, so a viewer that comes back misses nothing and gets nothing twice.
Not here: HTTP (console.routes), the filter language (server.filter).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import msgspec

from server.console.arrivals import Arrivals
from server.console.rates import Rates
from server.console.ring import Missed, Ring
from server.console.rows import Row
from server.console.turns import rows_after
from server.filter.language import Column, Filter

BATCH_S: Final = 0.03  # Rows that come within this time leave in one message, so that a page paints once.
FACTS_S: Final = 1.0
STALL_S: Final = 5.0
MAX_ROWS: Final = 500  # Of one message.
MAX_VALUES: Final = 5  # Of one column of one row.
MAX_VALUE_CHARS: Final = 200
MAX_BACKLOG: Final = 2_000  # Rows from before its first connection that a viewer gets.

Write = Callable[[bytes], Awaitable[None]]


class Viewer:
    """One stream of messages."""

    def __init__(
        self,
        ring: Ring,
        arrivals: Arrivals,
        rates: Rates,
        wanted: Filter,
        columns: Sequence[Column],
        state: Callable[[], dict[str, Any]],
    ) -> None:
        """``state`` returns what else the page shows: the number of workers and of viewers, and notices."""
        self._columns = columns
        self._ring = ring
        self._arrivals = arrivals
        self._rates = rates
        self._wanted = wanted
        self._state = state
        self._news = asyncio.Event()
        self._seen = self._matched = 0
        self._changed: dict[int, Row] = {}

    async def run(self, last_id: str, write: Write) -> None:
        """Send messages until the viewer is gone or stalls. ``last_id`` is that of the last message it got, or ""."""
        cursor, missed = self._ring.resume(last_id)
        if not last_id:
            cursor = max(cursor, self._ring.next_seq - 1 - MAX_BACKLOG)
        self._ring.on_row.append(self._on_row)
        self._ring.on_change.append(self._on_change)
        try:
            await self._send(write, self._facts())
            facts_due = time.monotonic() + FACTS_S
            while True:
                cursor, missed = await self._send_rows(write, cursor, missed)
                await self._send_changes(write, cursor)
                if time.monotonic() >= facts_due:
                    await self._send(write, self._facts())
                    facts_due = time.monotonic() + FACTS_S
                await self._wait(facts_due)
        finally:
            self._ring.on_row.remove(self._on_row)
            self._ring.on_change.remove(self._on_change)

    def _on_row(self, _: Row) -> None:
        self._news.set()

    def _on_change(self, row: Row) -> None:
        if len(self._changed) < MAX_ROWS:  # One more shows its new verdict when it is opened.
            self._changed[row.seq] = row
            self._news.set()

    async def _wait(self, until: float) -> None:
        """Wait for the next row, and a moment longer for those that come with it."""
        try:
            async with asyncio.timeout(max(0.0, until - time.monotonic())):
                await self._news.wait()
        except TimeoutError:
            return
        await asyncio.sleep(BATCH_S)

    async def _send_rows(self, write: Write, cursor: int, missed: Missed | None) -> tuple[int, Missed | None]:
        """Send all rows behind ``cursor``. Returns the new place."""
        self._news.clear()
        while missed is not None or cursor + 1 < self._ring.next_seq:
            lost = self._ring.first_seq - 1 - cursor
            if lost > 0 and missed is None:
                missed, cursor = Missed(lost, "forgotten: the viewer was too slow"), self._ring.first_seq - 1
            rows, before = [], cursor
            async for row in rows_after(self._ring, cursor):
                if row.seq > cursor + 1 or cursor - before >= MAX_ROWS:  # Rows between them were forgotten.
                    break
                if self._matches(row):
                    rows.append(self._with_gap(row))
                cursor = row.seq
            self._seen += cursor - before
            self._matched += len(rows)
            message = {"missed": missed._asdict() if missed else None, "rows": rows, **self._counts()}
            await self._send(write, message_of("rows", message, self._ring.id_of(cursor)))
            missed = None
        return cursor, None

    async def _send_changes(self, write: Write, cursor: int) -> None:
        """Send rows whose verdict has changed since they were sent: ``rows`` match the filter now, ``others`` do
        not."""
        changed, self._changed = [row for seq, row in self._changed.items() if seq <= cursor], {}
        if changed:
            rows: dict[bool, list[Any]] = {True: [], False: []}
            for row in changed:
                rows[self._matches(row)].append(self._with_gap(row))
            await self._send(write, message_of("changes", {"rows": rows[True], "others": rows[False]}))

    def _matches(self, row: Row) -> bool:
        return not self._wanted.text or self._wanted.matches(row.decoded(), row.summary)

    def _with_gap(self, row: Row) -> dict[str, Any] | msgspec.Raw:
        gap = self._arrivals.gap_before(row.seq)
        if not gap and not self._columns:
            return row.encoded()
        found = row.summary
        if gap:
            found = found | {"gap": gap}
        if self._columns:
            decoded = row.decoded()
            found = found | {"columns": [_values(each, decoded, found) for each in self._columns]}
        return found

    def _counts(self) -> dict[str, int]:
        return {"seen": self._seen, "matched": self._matched}

    def _facts(self) -> bytes:
        ring = self._ring
        facts = {
            **self._counts(),
            "streams": self._rates.document(int(time.time())),
            "skipped": dict(self._arrivals.skipped),
            "remembered": len(ring),
            "bytes": ring.bytes,
            **self._state(),
        }
        return message_of("facts", facts)

    @staticmethod
    async def _send(write: Write, message: bytes) -> None:
        async with asyncio.timeout(STALL_S):  # wait_for would make a task for each message of each viewer.
            await write(message)


def _values(column: Column, decoded: Any, summary: dict[str, Any]) -> list[Any]:
    """Return the first values of a column, and of objects and lists only their size: a cell is one line."""
    return [_short(value) for value in column.values(decoded, summary)[:MAX_VALUES]]


def _short(value: Any) -> Any:
    if isinstance(value, dict | list):
        return f"{{{len(value)}}}" if isinstance(value, dict) else f"[{len(value)}]"
    return value[:MAX_VALUE_CHARS] if isinstance(value, str) else value


def message_of(kind: str, content: Any, message_id: str = "") -> bytes:
    """Return one message of a stream of server-sent events."""
    head = f"event: {kind}\n" + (f"id: {message_id}\n" if message_id else "")
    return head.encode() + b"data: " + msgspec.json.encode(content) + b"\n\n"
