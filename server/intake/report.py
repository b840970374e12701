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
# wrong events could otherwise be answered with 2 MB, 3 MB of them with 200. Compressed requests: intake.verdict.
MAX_BYTES: Final = 1_048_576


class ReportWriter:
    """Writes down the report of each event of a request, as it is prepared. What is told in short may take as much room
    as the rest; ``left_out`` is the index of the first event for which there is none at all."""

    __slots__ = ("_bytes", "_left_bytes", "entries", "left_out")

    def __init__(self, request: Any) -> None:
        self._bytes = max(MAX_BYTES, 2 * len(request.body))
        if request.compressed_bytes:
            self._bytes = min(self._bytes, verdict.room_of(request))
        self.begin_anew()

    def begin_anew(self) -> None:
        """Nothing is written yet."""
        self._left_bytes = self._bytes
        self.entries: list[msgspec.Raw] = []
        self.left_out: int | None = None

    def write(self, event: Event) -> None:
        """The next one."""
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
    """The answer to a request. ``writer``: it has written the events down already."""
    if writer is None:
        writer = ReportWriter(request)
        for event in events:
            writer.write(event)
    answer: dict[str, Any] = {"events": writer.entries}
    if writer.left_out is not None:
        answer["left_out"] = {"events": [[writer.left_out, len(events) - 1]]}
    return msgspec.json.encode(answer)


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
