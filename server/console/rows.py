"""A row of the console: one event, or one request that held none, with all that is known of it.

Place: console.arrivals makes rows of a copy → HERE → console.ring, console.routes.
Rules: a summary is small and goes to every viewer; the values themselves are sent when a row is opened. Rows of one
request share its copy.
Not here: why an event is invalid (console.explain).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from server.console.copying.copies import CLOSED, OTHER, REFUSED, EventCopy, Outcome, RequestCopy

MAX_TEXT_CHARS: Final = 300
ROW_BYTES: Final = 1_500  # Of a row's objects, on average.
EVENT_PATHS: Final = ("/v1/events", "/v1/beacon", "/v1/pixel.gif", "/v1/_test/events")


class Row:
    """One row. ``seq`` is its place in the order of arrival; ``summary`` holds its facts; ``event`` None: the row is
    about a request. ``warnings`` are those of a strict session (console.checks.strict)."""

    __slots__ = ("_encoded", "copy", "event", "seq", "size_bytes", "summary", "warnings")

    def __init__(self, seq: int, copy: RequestCopy, event: EventCopy | None) -> None:
        self.seq = seq
        self.copy = copy
        self.event = event
        self.size_bytes = ROW_BYTES + len(self.raw()) + len(copy.body) // max(1, len(copy.events))
        self.summary = _summary(seq, copy, event, self.decoded())
        self.warnings: list[str] = []
        self._encoded: msgspec.Raw | None = None

    def encoded(self) -> msgspec.Raw:
        """Return the summary as JSON, for all viewers alike."""
        if self._encoded is None:
            self._encoded = msgspec.Raw(msgspec.json.encode(self.summary))
        return self._encoded

    def raw(self) -> bytes:
        """Return the event as it is stored or, if it was refused, as it came; of a request its body."""
        return self.event.value if self.event is not None else self.copy.body

    def warn(self, warnings: list[str]) -> None:
        """Add warnings to the row, before it is shown."""
        self.warnings = warnings
        self.summary["warnings"] = len(warnings)

    def note(self, outcome: Outcome) -> None:
        """Note what became of the event after the row was shown."""
        self._encoded = None
        if self.event is not None:
            self.event.partition, self.event.offset = outcome.partition, outcome.offset
            self.event.ack_ms = outcome.ack_ms
            self.event.verdict = self.summary["verdict"] = outcome.verdict

    def decoded(self) -> Any:
        """Return the event as a dictionary; None if it is no JSON."""
        try:
            return msgspec.json.decode(self.raw())
        except (ValueError, RecursionError):
            return None


def rows_of(copy: RequestCopy, first: int) -> Iterator[Row]:
    """Yield the rows of a copy, numbered from ``first``."""
    if copy.events:
        for at, event in enumerate(copy.events):
            yield Row(first + at, copy, event)
    elif copy.status or copy.note == CLOSED:
        yield Row(first, copy, None)


def received_of(row: Row) -> bytes:
    """Return the bytes of a row's event as they came: its part of the body, as far as it can be found."""
    copy, event = row.copy, row.event
    if event is None or (copy.body[:1] == b"{" and len(copy.events) + copy.left_out == 1):
        return copy.body
    try:
        return bytes(msgspec.json.decode(copy.body, type=list[msgspec.Raw])[event.index])
    except (ValueError, IndexError):
        lines = [line for line in copy.body.split(b"\n") if line.strip()]
        return lines[event.index] if event.index < len(lines) and len(lines) > 1 else copy.body


def _summary(seq: int, copy: RequestCopy, event: EventCopy | None, decoded: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"seq": seq, "at": time_text(copy.at_ms), "worker": copy.slot}
    if copy.request_id:
        found["request"] = copy.request_id
    if copy.status or copy.note == CLOSED:
        found |= {
            "status": copy.status or "",
            "method": copy.method,
            "path": copy.path,
            "hasty": copy.is_hasty,
        }
        if copy.took_ms:
            found["ms"] = round(copy.took_ms, 2)
    if copy.test:
        found["test"] = copy.test
    if copy.is_dry:
        found["dry"] = True
    if event is None:
        is_refused = copy.status >= 400 or copy.note in ("not shared", CLOSED)
        found["verdict"] = REFUSED if is_refused else OTHER
        found["bytes"] = copy.body_bytes
        found["text"] = _reason(copy)
        return _without_gaps(found)
    found["verdict"] = event.verdict
    found["bytes"] = len(event.value)
    meta = decoded.get("meta") if isinstance(decoded, dict) else None
    meta = meta if isinstance(meta, dict) else {}
    found["stream"] = event.stream or _name(meta.get("stream"))
    found["schema"] = event.schema_uri or _name(decoded.get("$schema") if isinstance(decoded, dict) else None)
    found["id"] = _name(meta.get("id"))
    if meta.get("domain") == "canary":
        found["canary"] = True
    if event.topic:
        found["topic"] = event.topic
    if event.error_type:
        found["error"] = event.error_type
        found["text"] = event.text[:MAX_TEXT_CHARS]
    elif copy.note == CLOSED:
        found["text"] = f"The event is taken. {_CLOSED_TEXT}"
    if len(copy.events) + copy.left_out > 1:
        found |= {"index": event.index, "count": len(copy.events) + copy.left_out}
    return _without_gaps(found)


def _without_gaps(facts: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in facts.items() if value != ""}


_CLOSED_TEXT: Final = "Its connection was closed without an answer, as the test session ordered."


def _reason(copy: RequestCopy) -> str:
    if copy.note == CLOSED:
        return f"No event is taken. {_CLOSED_TEXT}"
    if copy.note == "not shared":
        return "The page that asked may not read answers of this service: see http.cors."
    if copy.status < 400:
        return copy.phrase
    try:
        problem = msgspec.json.decode(copy.answer)
    except ValueError:  # Not JSON, or not UTF-8.
        return copy.phrase
    detail = problem.get("detail") if isinstance(problem, dict) else None
    return str(detail or copy.phrase)[:MAX_TEXT_CHARS]


def _name(value: Any) -> str:
    return value[:MAX_TEXT_CHARS] if isinstance(value, str) else ""


def time_text(at_ms: int) -> str:
    """Return a time in RFC 3339 with milliseconds."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
