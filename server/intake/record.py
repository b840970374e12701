"""The destination of an event: its topic, its partition key, its time.

Place: intake.pipeline → HERE, the last step of both of its ways.
Rules: values of a key are encoded again, so that two spellings of one value (``1.0`` and ``1``, an escape and its
letter) meet in one partition. A time that no calendar has, or that a broker would refuse, is replaced by the time of
receipt.
Not here: which members these are (intake.router).
"""

# hot path

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import Raw

from server.intake.verdict import Verdict

if TYPE_CHECKING:
    from server.intake.arrival import Arrival
    from server.intake.event import Event
    from server.intake.route import Route
    from server.intake.text.members import Values

TOO_LARGE: Final = "the event has {} bytes; at most {} are allowed"

# Kafka 4 refuses a record more than an hour ahead of its clock (message.timestamp.after.max.ms), and the whole batch of
# records with it: one client's clock would fail the events of others.
MAX_AHEAD_MS: Final = 3_000_000


def address(event: Event, route: Route, dt: object, arrival: Arrival) -> Verdict | None:
    """Make a record of a filled-in and validated event, or return why that is not possible. ``dt``: its time, if that
    is text."""
    event.topic = route.topic
    event.headers = headers_of(route, arrival)
    event.timestamp_ms = timestamp_ms(dt, arrival.received_ms)
    return unfit(event, route, None)


def headers_of(route: Route, arrival: Arrival) -> list[tuple[str, bytes]]:
    """Return the headers of the event's records."""
    return route.headers if arrival.trace is None else [*route.headers, arrival.trace]


def unfit(event: Event, route: Route, keys: Values | None) -> Verdict | None:
    """Give the event its key if its stream has keys, or return why it cannot be a record. ``keys``: the values of its
    key fields, if a reader has found them."""
    if len(event.value) > route.max_event_bytes:
        return too_large(event, route)
    if route.key_members is not None:
        key = (None if keys is None else _key_of_plain(keys, route)) or _key(event.value, route)
        if isinstance(key, Verdict):
            return key
        event.key = key
    return None


def too_large(event: Event, route: Route) -> Verdict:
    """Return the verdict of an event that is larger than its stream allows."""
    return Verdict("event_too_large", TOO_LARGE.format(len(event.value), route.max_event_bytes))


def _key_of_plain(keys: Values, route: Route) -> bytes | None:
    """Return the key, a JSON object of the stream's key fields in declared order. None: ``_key`` has to look closer."""
    parts = []
    for (prefix, _), value in zip(route.key_fields, keys, strict=True):
        if value.__class__ is not str and value.__class__ is not int:
            return None
        parts.append(prefix + msgspec.json.encode(value))
    return b"{" + b",".join(parts) + b"}"


def _key(value: bytes, route: Route) -> bytes | Verdict:
    """Return the key from the event's members, or the name of the field that is missing."""
    assert route.key_members is not None
    values = route.key_members.read(value)
    parts = []
    for prefix, path in route.key_fields:
        text = values[route.key_members.at(path)]
        if not isinstance(text, Raw):
            wanted = f"'.{'.'.join(path)}' is a message key field of stream {route.stream.name!r} and should be present"
            return Verdict("missing_key_field", wanted)
        parts.append(prefix + _canonical(text))
    return b"{" + b",".join(parts) + b"}"


def key_of_stored(value: bytes, route: Route) -> bytes:
    """Return the key of an event some of whose values are withheld: null takes the place of a field that is not
    stored."""
    assert route.key_members is not None
    values = route.key_members.read(value)
    texts = [(prefix, values[route.key_members.at(path)]) for prefix, path in route.key_fields]
    return (
        b"{"
        + b",".join(prefix + (_canonical(text) if isinstance(text, Raw) else b"null") for prefix, text in texts)
        + b"}"
    )


def _canonical(text: Raw) -> bytes:
    try:
        value: Any = msgspec.json.decode(text)
    except msgspec.DecodeError:  # A number beyond the range of doubles: only its text is exact.
        return bytes(text)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return msgspec.json.encode(value)


def timestamp_ms(dt: object, received_ms: int) -> int:
    """Return the event's time in milliseconds for Kafka; the receive time if its own is absent or in no calendar."""
    if dt.__class__ is not str:
        return received_ms
    try:
        moment = datetime.fromisoformat(dt)
    except ValueError:
        return received_ms
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    moment_ms = int(moment.timestamp() * 1000)
    return moment_ms if 0 < moment_ms < received_ms + MAX_AHEAD_MS else received_ms
