"""Rows and copies for tests of the console."""

from __future__ import annotations

import json
from typing import Any

from server.console.copying.copies import EventCopy, RequestCopy
from server.console.ring import Ring
from server.console.rows import Row, rows_of


def copy_of(events: list[EventCopy] | None = None, **more: Any) -> RequestCopy:
    given: dict[str, Any] = {
        "sender": 1, "number": 1, "skipped": 0, "slot": 0, "at_ms": 1_790_000_000_000, "took_ms": 1.0,
        "request_id": "r", "method": "POST", "path": "/v1/events", "query": "", "status": 201, "phrase": "OK",
        "headers": {}, "peer": "", "test": "", "is_hasty": False, "body": b"", "body_bytes": 0, "answer": b"",
        "events": events or [],
    }  # fmt: skip
    return RequestCopy(**(given | more))


def event_copy(value: Any = None, verdict: str = "accepted", **more: Any) -> EventCopy:
    raw = value if isinstance(value, bytes) else json.dumps(value or {"page": "/"}).encode()
    given: dict[str, Any] = {"index": 0, "value": raw, "verdict": verdict, "stream": "web.page_view"}
    return EventCopy(**(given | more))


def add(ring: Ring, value: Any = None, verdict: str = "accepted", **more: Any) -> Row:
    """Add a row about one event."""
    facts = {name: more.pop(name) for name in ("test", "status", "body") if name in more}
    (row,) = rows_of(copy_of([event_copy(value, verdict, **more)], **facts), ring.next_seq)
    ring.add(row)
    return row
