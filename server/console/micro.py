"""The routes of Snowplow Micro's shape, for test helpers that were written for it.

Place: console.routes → HERE. Only the behaviour of its public documentation is followed.
Rules: a helper that names a session in the query, ``?session=``, sees and resets its own events alone; without one it
sees the events since the last reset of all. A reset forgets nothing: it moves the beginning of what these routes show.
Not here: the console's own interface (console.routes).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Final

import msgspec

from server.console.copying.copies import ACCEPTED, ERROR, INVALID, OBSERVED, REFUSED, SPOOLED
from server.console.ring import Ring
from server.console.rows import Row

GOOD: Final = frozenset({ACCEPTED, OBSERVED, SPOOLED})
BAD: Final = frozenset({INVALID, ERROR, REFUSED})
MAX_EVENTS: Final = 1_000
MAX_SESSIONS: Final = 1_000


class Selection(msgspec.Struct):
    """Which events are asked for. Members that Penstock's events do not have are ignored."""

    schema: str | None = None
    stream: str | None = None
    limit: Annotated[int, msgspec.Meta(ge=0)] = MAX_EVENTS


class Micro:
    """The state of these routes: from which row on each session is shown."""

    def __init__(self, ring: Ring) -> None:
        self._ring = ring
        self._begins: dict[str, int] = {}

    def count(self, session: str) -> dict[str, int]:
        """``/micro/all``: numbers of events."""
        good = bad = 0
        for row in self._rows(session):
            good += row.summary["verdict"] in GOOD
            bad += row.summary["verdict"] in BAD
        return {"total": good + bad, "good": good, "bad": bad}

    def good(self, session: str, wanted: Selection) -> list[dict[str, Any]]:
        """``/micro/good``: accepted events, the newest first. ``wanted`` may name schema, stream and limit."""
        found = [
            {"event": row.decoded(), "schema": row.summary.get("schema"), "stream": row.summary.get("stream")}
            for row in self._rows(session)
            if row.summary["verdict"] in GOOD and _is_wanted(row, wanted)
        ]
        return found[::-1][: min(wanted.limit, MAX_EVENTS)]

    def bad(self, session: str, wanted: Selection) -> list[dict[str, Any]]:
        """``/micro/bad``: refused events and requests with their errors, the newest first."""
        found = [
            {"rawEvent": row.decoded(), "errors": [row.summary.get("text", "")], "error": row.summary.get("error")}
            for row in self._rows(session)
            if row.summary["verdict"] in BAD and _is_wanted(row, wanted)
        ]
        return found[::-1][: min(wanted.limit, MAX_EVENTS)]

    def reset(self, session: str) -> dict[str, int]:
        """``/micro/reset``: begin again, for this session."""
        if session not in self._begins and len(self._begins) >= MAX_SESSIONS:
            self._begins.pop(next(iter(self._begins)))
        self._begins[session] = self._ring.next_seq - 1
        return self.count(session)

    def _rows(self, session: str) -> Iterator[Row]:
        for row in self._ring.after(self._begins.get(session, 0)):
            if not session or row.summary.get("test") == session:
                yield row


def _is_wanted(row: Row, wanted: Selection) -> bool:
    facts = row.summary
    return wanted.schema in (None, facts.get("schema")) and wanted.stream in (None, facts.get("stream"))
