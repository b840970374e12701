"""Withhold values that a schema says to: from what is stored of an event, and from what is told of a refused one.

Place: intake.pipeline, at the end of both of its ways → HERE → privacy.applied.
Rules: an event is judged as it came, with everything filled in; then its annotations are applied, and its key and time
are taken from what is stored. ``Event.shown`` and ``Verdict.told`` are all that others than its sender (error events,
log, console) are told of a refused event. If the annotations cannot be applied, nothing of the text is told.
Not here: which plans a route has (intake.router), the actions (server.privacy).
"""

# hot path

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import Raw

from server.intake.record import key_of_stored, timestamp_ms, too_large
from server.privacy.applied import NOT_SHOWN

if TYPE_CHECKING:
    from server.intake.arrival import Arrival
    from server.intake.event import Event
    from server.intake.route import Route
    from server.intake.router import Router
    from server.privacy.applied import Privacy, RoutePrivacy
    from server.schemas.repository import Violation

MAX_TOLD: Final = 100  # Violations that are told; an error event has room for about as many.


def settle(event: Event, route: Route, arrival: Arrival) -> None:
    """Apply the annotations of its route to an event that is prepared."""
    privacy = route.privacy
    if privacy is None:
        return
    if event.verdict is not None:
        event.shown = _applied(event.value, privacy, arrival)
        return
    is_valid = event.observed is None and route.validator is not None
    came = event.value
    event.value = value = privacy.applied(came, arrival.headers, is_valid=is_valid)
    if len(value) > route.max_event_bytes:
        event.verdict = too_large(event, route)
        event.value, event.shown = came, value
        return
    if route.key_members is not None:
        event.key = key_of_stored(value, route)
    if privacy.changes_time:
        dt = route.members.read(value)[route.dt_at]
        event.timestamp_ms = timestamp_ms(_decoded(dt), arrival.received_ms)


def told(problems: Sequence[Violation]) -> str:
    """Return violations by their places in the schema: messages and places in the event may hold parts of it."""
    return ", ".join(
        f"{each.schemaPath} {'is broken' if each.keyword == 'propertyNames' else each.message}"
        for each in problems[:MAX_TOLD]
    )


class Hider:
    """Sets what is told of refused events."""

    def __init__(self, privacy: Privacy, router: Router) -> None:
        self._privacy = privacy
        self._router = router

    def hide(self, event: Event, arrival: Arrival) -> None:
        """Set what is told of an event that is refused, or that a bug has stopped."""
        if not self._privacy.is_used or event.shown is not None:
            return
        if event.route is not None:
            settle(event, event.route, arrival)
            return
        is_known, privacy = self._found(event)
        if privacy is not None:
            event.shown = _applied(event.value, privacy, arrival)
        elif not is_known and not self._privacy.shows_unattributed:
            event.shown = NOT_SHOWN

    def _found(self, event: Event) -> tuple[bool, RoutePrivacy | None]:
        """Return whether anything is known of the event's schema, and what is to be withheld of the event."""
        found = event.verdict
        if found is not None and found.error_type in ("event_too_large", "not_an_object"):
            return False, None
        members = self._router.first_members
        try:
            values = members.read(event.value)
        except (msgspec.DecodeError, RecursionError):
            return False, None
        return self._router.privacy_of(_first(values, members.schema_at), _first(values, members.stream_at))


def _applied(value: bytes, privacy: RoutePrivacy, arrival: Arrival) -> bytes:
    try:
        return privacy.applied(value, arrival.headers, is_valid=False)
    except Exception:  # Whatever the reason is: an event that cannot be applied must not be told of.
        return NOT_SHOWN


def _first(values: tuple[Any, ...], places: tuple[int, ...]) -> bytes | None:
    return next((bytes(values[at]) for at in places if isinstance(values[at], Raw)), None)


def _decoded(text: object) -> object:
    try:
        return msgspec.json.decode(text) if isinstance(text, Raw) else None
    except msgspec.DecodeError:
        return None
