"""What /v1/validate and ``penstock validate`` say of one event.

Place: intake.receive, commands.validate → HERE.
Rule: one shape for both, so that what a developer tries at home is what the server says.
Not here: the verdict (intake.pipeline).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from server.intake import verdict
from server.intake.event import Event

# Of an answer of /v1/validate, or twice the request where that is more. Beyond, events are told in short: 20 kB of
# wrong events could otherwise be answered with 2 MB, 3 MB of them with 200.
MAX_BYTES: Final = 1_048_576


def reports(events: Sequence[Event], body_bytes: int) -> bytes:
    """The answer to a request with a body of so many bytes."""
    left_bytes = max(MAX_BYTES, 2 * body_bytes)
    entries = []
    for event in events:
        entry = msgspec.json.encode(report(event) if left_bytes > 0 else _short(event))
        left_bytes -= len(entry)
        entries.append(msgspec.Raw(entry))
    return msgspec.json.encode({"events": entries})


def _short(event: Event) -> dict[str, Any]:
    found = event.verdict or event.observed
    entry: dict[str, Any] = {"index": event.index, "status": _status(event)}
    return entry if found is None else entry | {"context": verdict.context(verdict.in_short(found))}


def _status(event: Event) -> str:
    """The verdict in one word: of what is ``observed`` the sender would learn nothing otherwise, for it is accepted."""
    if event.verdict is None:
        return "valid" if event.observed is None else "observed"
    return "invalid" if event.verdict.is_invalid else "error"


def report(event: Event) -> dict[str, Any]:
    """``{"index","status","schema_uri","stream","topics","key","event"}``, and ``context`` unless the event is valid.

    ``status`` is valid, observed (accepted whatever is wrong with it, by ``validation: observe``), invalid or error;
    ``event`` is the event with everything filled in; ``key`` the partition key or null; stream and topics are null as
    long as the event has no valid route.
    """
    found = event.verdict or event.observed
    route = event.route
    entry: dict[str, Any] = {
        "index": event.index,
        "status": _status(event),
        "schema_uri": route.schema_uri if route else None,
        "stream": route.stream.name if route else None,
        "topics": [route.stream.topic] if route else None,
        "key": None if event.key is None else msgspec.Raw(event.key),
        "event": msgspec.Raw(event.value),
    }
    if found is not None:
        entry["context"] = verdict.context(found)
    return entry
