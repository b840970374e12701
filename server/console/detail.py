"""Everything about one row, for the page that opens it and for tests that ask.

Place: console.routes → HERE → console.explain, console.checks.differences.
Rules: values larger than LARGE_BYTES are sent as text and are not compared. Nothing that was masked can be seen here.
Not here: the summary (console.rows).
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from server.console.checks.differences import differences
from server.console.explain import Explainer
from server.console.rows import Row, received_of

LARGE_BYTES: Final = 262_144


def detail(row: Row, explainer: Explainer) -> dict[str, Any]:
    """Return the document of a row."""
    copy, event = row.copy, row.event
    received = received_of(row)
    found: dict[str, Any] = {
        "summary": row.summary,
        "request": {
            "headers": copy.headers,
            "query": copy.query,
            "peer": copy.peer,
            "phrase": copy.phrase,
            "body_bytes": copy.body_bytes,
            "events": len(copy.events) + copy.left_out,
        },
        "received": _text(received),
        "answer": _text(copy.answer),
    }
    if event is None:
        return found
    decoded, sent = _decoded(event.value), _decoded(received)
    found["stored"] = _text(event.value)
    found["is_cut"] = event.is_cut
    found["key"] = _text(event.key) or None
    found["topic"] = event.topic or None
    found["timestamp_ms"] = event.timestamp_ms or None
    found["outcome"] = _outcome(row)
    found["warnings"] = row.warnings
    if isinstance(sent, dict) and isinstance(decoded, dict):
        found["differences"] = differences(sent, decoded)
    if event.error_type:
        reference = decoded if isinstance(decoded, dict) else sent
        found["error"] = {
            "type": event.error_type,
            "text": event.text,
            **explainer.explain(event.error_type, event.problems, reference, event.value),
        }
    return found


def _outcome(row: Row) -> dict[str, Any]:
    """Return where the broker has an event, as far as that is known: sinks other than Kafka have no offsets."""
    event = row.event
    if event is None or not event.ack_ms:
        return {}
    found: dict[str, Any] = {"ack_ms": round(event.ack_ms, 2)}
    return found | ({"partition": event.partition, "offset": event.offset} if event.offset >= 0 else {})


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


def _decoded(raw: bytes) -> Any:
    if len(raw) > LARGE_BYTES:
        return None
    try:
        return msgspec.json.decode(raw)
    except (ValueError, RecursionError):
        return None
