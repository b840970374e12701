"""Wait for events on the server, and answer with the closest miss if they do not come.

Place: console.routes → HERE → console.ring, console.checks.closest.
Rules: one request waits, and clients need not poll. Counts are of the rows behind a number, so they do not depend on
the other rows of the console. ``exactly`` and ``at_most`` hold only after ``settle_ms`` without a further row of the
session.
Not here: how near an event is (console.checks.closest).
"""

from __future__ import annotations

import asyncio
import time
from typing import Annotated, Any, Final

import msgspec

from server.console.checks.closest import Wanted, nearest_miss
from server.console.copying.copies import ERROR, INVALID
from server.console.facts import FACTS
from server.console.ring import Ring
from server.console.rows import Row
from server.console.turns import rows_after
from server.filter.language import compile_filter

MAX_WITHIN_MS: Final = 120_000
MAX_SHOWN: Final = 50
MAX_REMEMBERED: Final = 1_000  # Rows that did not match, among which the closest miss is looked for.
MAX_STEPS: Final = 100  # Of ``order``.


Number = Annotated[int, msgspec.Meta(ge=0)]


class Order(msgspec.Struct, forbid_unknown_fields=True):
    """An expectation as a test writes it. ``where``, ``schema`` and ``example`` select events, alone or together;
    ``order`` is a list of filters, each of which an event matches, in this order. ``after`` is the number of a row;
    without it all rows of the session count or, without a session, those that the console remembers."""

    session: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9._:-]{0,64}$")] = ""
    where: str = ""
    schema: str = ""
    example: dict[str, Any] | None = None
    at_least: Number | None = None
    exactly: Number | None = None
    at_most: Number | None = None
    within_ms: Annotated[int, msgspec.Meta(ge=0, le=MAX_WITHIN_MS)] = 5_000
    settle_ms: Annotated[int, msgspec.Meta(ge=0, le=MAX_WITHIN_MS)] = 200
    order: Annotated[list[str], msgspec.Meta(max_length=MAX_STEPS)] = []
    none_invalid: bool = False
    after: Number | None = None


def contradiction(order: Order) -> str:
    """Return why no number of events can be as an order says; "" if one can."""
    least = max(order.at_least or 0, order.exactly or 0)
    most = min((each for each in (order.exactly, order.at_most) if each is not None), default=least)
    return f"No number of events is at least {least} and at most {most}." if least > most else ""


class Expectation:
    """One order, and what has come so far. Raises FilterError for a text that is no filter."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._wanted = Wanted(compile_filter(order.where, FACTS), order.schema, order.example)
        self._steps = [compile_filter(text, FACTS) for text in order.order]
        self.matched: list[Row] = []
        self.count = 0
        self.others: list[Row] = []
        self.invalid: list[Row] = []
        self._step = 0
        self._found: set[int] = set()  # The numbers of those that matched.

    def look(self, row: Row) -> None:
        """Look at the next row."""
        order = self._order
        if order.session and row.summary.get("test") != order.session:
            return
        if row.summary["verdict"] in (INVALID, ERROR):
            self.invalid.append(row)
        decoded = row.decoded()
        if self._step < len(self._steps) and self._steps[self._step].matches(decoded, row.summary):
            self._step += 1
        if row.event is not None or order.where:
            if self._wanted.matches(row, decoded):
                self.count += 1
                self._found.add(row.seq)
                if len(self.matched) < MAX_SHOWN:
                    self.matched.append(row)
            elif len(self.others) < MAX_REMEMBERED:
                self.others.append(row)

    def look_again(self, row: Row) -> None:
        """Look at a row whose verdict has changed, unless it has matched before."""
        if row.seq not in self._found:
            self.others = [other for other in self.others if other is not row]
            self.look(row)

    @property
    def needs_quiet(self) -> bool:
        """Whether a further row could still break it."""
        order = self._order
        return order.exactly is not None or order.at_most is not None or order.none_invalid

    @property
    def is_broken(self) -> bool:
        """Whether no further row can mend it."""
        order = self._order
        most = min((n for n in (order.exactly, order.at_most) if n is not None), default=None)
        return (most is not None and self.count > most) or (order.none_invalid and bool(self.invalid))

    @property
    def is_met(self) -> bool:
        """Whether the rows so far are as expected."""
        order = self._order
        has_bounds = order.exactly is not None or order.at_most is not None or order.order
        least = order.at_least if order.at_least is not None else (0 if has_bounds else 1)
        if order.exactly is not None:
            least = max(least, order.exactly)
        return not self.is_broken and self.count >= least and self._step == len(self._steps)

    def document(self, *, is_matched: bool, took_ms: float, cursor: int) -> dict[str, Any]:
        """Return the answer."""
        found: dict[str, Any] = {
            "matched": is_matched,
            "count": self.count,
            "events": [shown(row) for row in self.matched],
            "cursor": cursor,
            "took_ms": round(took_ms, 1),
        }
        if not is_matched:
            found["why"] = self._why()
            found["closest"] = nearest_miss(self._wanted, self.others)
            found["invalid"] = [shown(row) for row in self.invalid[:MAX_SHOWN]]
            if self._steps:
                found["order"] = {"met": self._step, "next": self._order.order[self._step : self._step + 1]}
        return found

    def _why(self) -> str:
        order = self._order
        if order.none_invalid and self.invalid:
            return f"{len(self.invalid)} events of the session were not accepted"
        if self._step < len(self._steps):
            return f"{self._step} of {len(self._steps)} steps came, in this order"
        wanted = [
            f"{word} {number}"
            for word, number in (("exactly", order.exactly), ("at least", order.at_least), ("at most", order.at_most))
            if number is not None
        ]
        return f"{self.count} events matched; expected: {', '.join(wanted) or 'at least 1'}"


async def wait(order: Order, ring: Ring, after: int) -> dict[str, Any]:
    """Wait until the order is met or its time is over, and return the answer. Raises FilterError."""
    expectation = Expectation(order)
    began_s = time.monotonic()
    deadline_s = began_s + order.within_ms / 1000
    news = asyncio.Event()
    cursor = after
    changed: list[Row] = []

    def on_change(row: Row) -> None:
        if len(changed) < MAX_REMEMBERED:
            changed.append(row)
            news.set()

    def on_row(_: Row) -> None:
        news.set()

    ring.on_row.append(on_row)
    ring.on_change.append(on_change)
    try:
        while True:
            news.clear()
            cursor = await _catch_up(expectation, ring, cursor)
            while changed:
                row = changed.pop(0)
                if after < row.seq <= cursor:
                    expectation.look_again(row)
            quiet_s = order.settle_ms / 1000 if expectation.needs_quiet else 0.0
            is_met, is_over = expectation.is_met, time.monotonic() >= deadline_s
            if expectation.is_broken or (is_over and not is_met) or (is_met and not quiet_s):
                break
            # Quiet is waited for beyond the deadline: a count is only known once nothing follows.
            patience_s = quiet_s if is_met else deadline_s - time.monotonic()
            try:
                await asyncio.wait_for(news.wait(), max(0.0, patience_s))
            except TimeoutError:
                if is_met:
                    break
    finally:
        ring.on_row.remove(on_row)
        ring.on_change.remove(on_change)
    took_ms = (time.monotonic() - began_s) * 1000
    return expectation.document(is_matched=expectation.is_met, took_ms=took_ms, cursor=cursor)


async def _catch_up(expectation: Expectation, ring: Ring, cursor: int) -> int:
    """Look at all rows behind ``cursor``. Returns the number of the last one."""
    async for row in rows_after(ring, cursor):
        expectation.look(row)
        cursor = row.seq
    return max(cursor, ring.next_seq - 1) if cursor < ring.first_seq else cursor


def shown(row: Row) -> dict[str, Any]:
    """Return a row as the interface gives it: its facts, and its event."""
    found = {"facts": row.summary, "event": row.decoded()}
    if row.event is not None and row.event.error_type:
        found["errors"] = row.event.problems
    return found
