"""Make the copy of one event, masked and cut.

Place: console.copying.tap → HERE → console.copying.copies.
Rule: values are masked here, before they leave the worker.
Not here: when a copy is made (console.copying.tap), the copy of a request.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from server.console.copying import copies
from server.console.copying.copied import CopiedEvent
from server.console.copying.copies import EventCopy

if TYPE_CHECKING:
    from server.console.copying.masking import Masks
    from server.intake import verdict
    from server.intake.event import Event


def event_copy(event: Event, masks: Masks, max_bytes: int, verdict_of: str = "") -> EventCopy:
    """Return the copy of an event. ``verdict_of`` takes the place of the verdict that the event has."""
    route = event.route
    value = masks.text(event.value if event.shown is None else event.shown)
    copy = EventCopy(event.index, value[:max_bytes], verdict_of or _verdict(event))
    copy.is_cut = len(copy.value) < len(value)
    if route is not None:
        copy.stream, copy.schema_uri, copy.topic = route.stream.name, route.schema_uri, event.topic
    if event.key is not None:
        copy.key = masks.text(event.key)
    copy.timestamp_ms = event.timestamp_ms
    if isinstance(event, CopiedEvent):
        copy.partition, copy.offset, copy.ack_ms = event.partition, event.offset, event.ack_ms
    found = event.verdict or event.observed
    if found is not None:
        copy.error_type, copy.text = found.error_type, found.told or found.text
        copy.problems = [] if found.told else problems_of(found)
    return copy


def _verdict(event: Event) -> str:
    found = event.verdict
    if found is None:
        if event.observed is not None:
            return copies.OBSERVED
        return copies.SPOOLED if event.is_spooled else copies.ACCEPTED
    return copies.INVALID if found.is_invalid else copies.ERROR


def problems_of(found: verdict.Verdict) -> list[Any]:
    """Return AJV's errors, also those that were written into the answer already."""
    if found.entry and not found.errors:
        try:
            entry = msgspec.json.decode(found.entry)
        except ValueError:  # The entry of an event that the answer names by its index alone.
            return []
        errors = entry["context"].get("errors", [])
        return list(errors)
    return [msgspec.to_builtins(problem) for problem in found.errors]
