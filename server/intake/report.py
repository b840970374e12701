"""The report on one event by /v1/validate and ``penstock validate``.

Place: intake.receive, commands.validate → HERE.
Rule: both use one form, so that a developer's machine and the server give the same report.
Not here: the verdict (intake.pipeline).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from server.intake import verdict
from server.intake.event import Event

# Bytes of an answer of /v1/validate, or twice the request if that is more. Beyond, events are reported in short form:
# otherwise 20 kB of invalid events could be answered with 2 MB, and 3 MB of them with 200. Compressed requests:
# intake.verdict.
MAX_BYTES: Final = 1_048_576


class ReportWriter:
    """Writes the report of each event of a request, as it is prepared. Reports in short form may take as much room as
    the others; ``left_out`` is the index of the first event for which there is none at all."""

    __slots__ = ("_bytes", "_left_bytes", "entries", "left_out")

    def __init__(self, request: Any) -> None:
        self._bytes = max(MAX_BYTES, 2 * len(request.body))
        if request.compressed_bytes:
            self._bytes = min(self._bytes, verdict.room_of(request))
        self.begin_again()

    def begin_again(self) -> None:
        """Discard all reports."""
        self._left_bytes = self._bytes
        self.entries: list[msgspec.Raw] = []
        self.left_out: int | None = None

    def write(self, event: Event) -> None:
        """Write the report of the next event."""
        if self._left_bytes <= -self._bytes:
            self.left_out = len(self.entries)
            if event.verdict is not None:
                event.verdict = event.verdict._replace(errors=())
            return
        entry = b""
        if len(event.value) < self._left_bytes:
            entry = msgspec.json.encode(report(event))
        if not entry or len(entry) > self._left_bytes:
            entry = msgspec.json.encode(_short(event))
        self._left_bytes -= len(entry)
        self.entries.append(msgspec.Raw(entry))
        if event.verdict is not None:
            event.verdict = event.verdict._replace(errors=())


def reports(events: Sequence[Event], request: Any, writer: ReportWriter | None = None) -> bytes:
    """Return the answer to a request. ``writer`` is given if it has written the reports already."""
    if writer is None:
        writer = ReportWriter(request)
        for event in events:
            writer.write(event)
    answer: dict[str, Any] = {"events": writer.entries}
    if writer.left_out is not None:
        answer["left_out"] = {"events": [[writer.left_out, len(events) - 1]]}
    return msgspec.json.encode(answer) + b"\n"


def _short(event: Event) -> dict[str, Any]:
    found = event.verdict or event.observed
    entry: dict[str, Any] = {"index": event.index, "status": _status(event)}
    return entry if found is None else entry | {"context": verdict.context(verdict.in_short(found))}


def _status(event: Event) -> str:
    """Return the verdict in one word. ``observed`` events get a word of their own: they are accepted, so their sender
    would not learn otherwise that they are invalid."""
    if event.verdict is None:
        return "valid" if event.observed is None else "observed"
    return "invalid" if event.verdict.is_invalid else "error"


def report(event: Event) -> dict[str, Any]:
    """Return ``{"index","status","schema_uri","stream","topics","key","event"}``, and ``context`` unless the event is
    valid.

    ``status`` is valid, observed (accepted although invalid, by ``validation: observe``), invalid or error; ``event``
    is the event with everything filled in; ``key`` the partition key or null; stream and topics are null as long as the
    event has no valid route.
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
