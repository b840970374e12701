"""The way of one event: read it, find its route, fill in what it lacks, judge it, address it. Read this file first.

Place: intake.receive → HERE → sink (by way of intake.receive, once all events of the request are prepared).
Rule: nothing is sent from here; the outcome of every step is a value; the order of the steps is the contract's.
Not here: requests and replies (intake.receive), what a route is made of (intake.route).
"""

# hot path

from __future__ import annotations

import logging
import traceback
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET, Raw

from server.intake.arrival import Arrival
from server.intake.decode import has_duplicate_names
from server.intake.enrich import fill_defaults
from server.intake.event import Event
from server.intake.members import BLOCKED, Values
from server.intake.route import Route, Router
from server.intake.splice import insert_by_path
from server.intake.tally import Tallies
from server.intake.verdict import Verdict, error, in_short
from server.log import Limited
from server.schemas import errors_text

if TYPE_CHECKING:
    from server.config.settings import Config
    from server.intake.route import SchemaLookup, StreamLookup
    from server.schemas import Problem, Validator

NOT_AN_OBJECT = Verdict("not_an_object", "an event should be a JSON object")
TOO_DEEP = Verdict("schema_violation", "the event should NOT be nested so deeply")
HALF_PAIR = Verdict("schema_violation", "the event should have no half of a surrogate pair in its strings")
TOO_LARGE = "the event has {} bytes, at most {} are taken"
DUPLICATE_KEY = Verdict("duplicate_key", "a member name occurs twice in one object")

# Kafka 4 refuses a record more than an hour ahead of its clock (message.timestamp.after.max.ms), and the whole batch
# of records with it: one client's clock would fail the events of others.
MAX_AHEAD_MS = 3_000_000


log = logging.getLogger("intake")


class Pipeline:
    """Turns the raw text of events into records for the sink, or into verdicts.

    ``one_decode`` counts the events that were judged and read in one decode; ``one_pass`` those that were filled in
    first and then judged by their schema's type; ``referred`` those that took the reference, valid or not.
    """

    def __init__(self, router: Router, *, rejects_duplicates: bool, max_event_bytes: int) -> None:
        self._max_event_bytes = max_event_bytes
        self._router = router
        self._fields = router.fields
        self._rejects_duplicates = rejects_duplicates
        self._members = router.first_members
        self._known = router.known
        self._only_read = router.only_read
        self._trouble = Limited(log)
        self.one_decode = 0
        self.one_pass = 0
        self.referred = 0

    def use(self, stream: StreamLookup) -> None:
        """Streams are other ones from the next event on."""
        self._router.use(stream)
        self._only_read = self._router.only_read

    def prepare(self, index: int, raw: bytes, arrival: Arrival) -> Event:
        """Take one event, the ``index``-th of its request, all the way to the sink's door."""
        event = Event(index, raw)
        try:
            event.verdict = self._prepare(event, arrival)
        except msgspec.ValidationError:
            event.verdict = NOT_AN_OBJECT
        except msgspec.DecodeError:  # The body is JSON: what is left is what decode._split_half_pairs let through.
            event.verdict = HALF_PAIR
        except RecursionError:
            event.verdict = TOO_DEEP
        except Exception:  # A bug must cost this event, not those that came with it.
            event.verdict = self._on_bug()
        return event

    def _on_bug(self) -> Verdict:  # cold: an exception of ours
        self._trouble.warning("event", "an event could not be processed\n%s", traceback.format_exc())
        return error("internal")

    def _prepare(self, event: Event, arrival: Arrival) -> Verdict | None:
        raw = event.value
        if self._rejects_duplicates:
            if len(raw) > self._max_event_bytes:  # No stream takes more; looking for names twice takes time.
                return Verdict("event_too_large", TOO_LARGE.format(len(raw), self._max_event_bytes))
            if has_duplicate_names(raw):
                return DUPLICATE_KEY
        read = self._only_read or self._router.guess(raw)
        if read is not None:
            values = read(raw)
            if values is not None:
                route = self._known.get((values[1], values[2]))
                if route is not None:
                    if route.read is not None and route.read is not read:  # Guessed wrong.
                        values = route.read(raw)
                    if values is not None:
                        return self._take_valid(event, route, values, arrival)
        verdict = self._take_any(event, arrival)
        self._only_read = self._router.only_read
        return verdict

    def _take_valid(self, event: Event, route: Route, values: Values, arrival: Arrival) -> Verdict | None:
        """The way of an event that was judged and read in one decode. Almost every event goes here."""
        value = event.value
        event.route = route
        self.one_decode += 1
        if len(value) > route.max_event_bytes:
            return _too_large(value, route)
        if values[0]:
            value = event.value = route.filling.fill(value, values[0], arrival)
            if len(value) > route.max_event_bytes:
                return _too_large(value, route)
        if route.key_members is not None:
            event.key = _key_of(values[4:], route) or _key(value, route)
            if event.key is None:
                return _missing_key_field(value, route)
        event.topic = route.topic
        event.headers = route.headers
        dt = values[3]
        event.timestamp_ms = arrival.received_ms if dt is UNSET else _timestamp_ms(dt, arrival.received_ms)
        return None

    def _take_any(self, event: Event, arrival: Arrival) -> Verdict | None:
        """The same step by step, for the first event of a route and for what the reader is not sure of."""
        values, route = self._read(event, arrival)
        if isinstance(route, Verdict):
            return route
        event.route = route
        if len(event.value) > route.max_event_bytes:  # Before the work, and again with what was filled in.
            return _too_large(event.value, route)
        value = event.value = self._fill(event.value, values, route, arrival)
        if route.validator is not None:
            problems = self._check(value, route.validator)
            if problems is not None:
                violation = _violation(problems, arrival)
                if route.stream.validation == "enforce":
                    return violation
                event.observed = violation
        if len(value) > route.max_event_bytes:
            return _too_large(value, route)
        if route.key_members is not None:
            event.key = _key(value, route)
            if event.key is None:
                return _missing_key_field(value, route)
        event.topic = route.topic
        event.headers = route.headers
        event.timestamp_ms = _timestamp_ms(_decoded(values[route.dt_at]), arrival.received_ms)
        return None

    def _check(self, value: bytes, validator: Validator) -> list[Problem] | None:
        before = validator.reference_checks
        problems = validator.check(value)
        if validator.reference_checks == before:
            self.one_pass += 1
        else:
            self.referred += 1
        return problems

    def _read(self, event: Event, arrival: Arrival) -> tuple[Values, Route | Verdict]:
        """Read what the event says of itself, guessing that it is of the same kind as the one before.

        Events of a request mostly share their schema, so the members that the last route needs are read at once, and
        read again only when the route turns out to be another.
        """
        members = self._members
        values = members.read(event.value)
        schema_text, stream_text = _first(values, members.schema_at), _first(values, members.stream_at)
        if schema_text is None or stream_text is None:
            self._fill_names(event, schema_text, stream_text, arrival)
            values = members.read(event.value)
            schema_text, stream_text = _first(values, members.schema_at), _first(values, members.stream_at)
        route = self._router.find(schema_text, stream_text)
        if isinstance(route, Verdict):
            return values, route
        if route.members is not members:
            self._members = route.members
            values = route.members.read(event.value)
        return values, route

    def _fill_names(self, event: Event, schema_text: bytes | None, stream_text: bytes | None, arrival: Arrival) -> None:
        """Take schema URI and stream from the query where the event does not name them."""
        if schema_text is None and arrival.schema_uri is not None:
            event.value = _insert(event.value, self._fields.schema_uri[0], arrival.schema_uri)
        if stream_text is None and arrival.stream is not None:
            event.value = _insert(event.value, self._fields.stream[0], arrival.stream)

    @staticmethod
    def _fill(value: bytes, values: Values, route: Route, arrival: Arrival) -> bytes:
        missing = route.filling.missing(values)
        if missing:
            value = route.filling.fill(value, missing, arrival)
        if route.validator is not None and route.validator.defaults:
            value = fill_defaults(value, route.validator.defaults)
        return value


def _violation(problems: list[Problem], arrival: Arrival) -> Verdict:
    """What is wrong with an event; in short when its request has been told of enough already."""
    found = Verdict("schema_violation", errors_text(problems), problems)
    arrival.problems_left -= len(problems)
    return found if arrival.problems_left >= 0 else in_short(found)


def _too_large(value: bytes, route: Route) -> Verdict:
    return Verdict("event_too_large", TOO_LARGE.format(len(value), route.max_event_bytes))


def _first(values: Values, places: tuple[int, ...]) -> bytes | None:
    """The raw JSON text of the first of several fields that is present."""
    for at in places:
        value = values[at]
        if value is not UNSET and value is not BLOCKED:
            return bytes(value)
    return None


def make_pipeline(
    config: Config, schema: SchemaLookup, stream: StreamLookup, tallies: Tallies | None = None
) -> Pipeline:  # cold: once a worker
    """The pipeline over these schemas and streams, for a worker or a command; without tallies nothing is sent."""
    return Pipeline(
        Router(config, schema, stream, tallies or Tallies()),
        rejects_duplicates=config.rejects_duplicates,
        max_event_bytes=config.http.limits.max_event_bytes,
    )


def _insert(raw: bytes, path: tuple[str, ...], text: bytes) -> bytes:
    return insert_by_path(raw, path[:-1], msgspec.json.encode(path[-1]) + b":" + text + b",")


def _key(value: bytes, route: Route) -> bytes | None:
    """The partition key: a JSON object of the stream's key fields in declared order. None when the event lacks one.

    Values are written anew, so that two spellings of one value (``1.0`` and ``1``, an escape and its letter) meet in
    one partition.
    """
    assert route.key_members is not None
    values = route.key_members.read(value)
    parts = []
    for prefix, path in route.key_fields:
        text = values[route.key_members.at(path)]
        if text is UNSET or text is BLOCKED:
            return None
        parts.append(prefix + _canonical(text))
    return b"{" + b",".join(parts) + b"}"


def _key_of(values: Values, route: Route) -> bytes | None:
    """The same from what a reader gave. None: it takes a closer look, ``_key``."""
    parts = []
    for (prefix, _), value in zip(route.key_fields, values, strict=True):
        if value.__class__ is not str and value.__class__ is not int:
            return None
        parts.append(prefix + msgspec.json.encode(value))
    return b"{" + b",".join(parts) + b"}"


def _canonical(text: Raw) -> bytes:
    try:
        value = msgspec.json.decode(text)
    except msgspec.DecodeError:  # A number beyond the doubles: only its text is exact.
        return bytes(text)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return msgspec.json.encode(value)


def _missing_key_field(value: bytes, route: Route) -> Verdict:
    assert route.key_members is not None
    values = route.key_members.read(value)
    for _, path in route.key_fields:
        if not isinstance(values[route.key_members.at(path)], Raw):
            text = f"'.{'.'.join(path)}' is a message key field of stream {route.stream.name!r} and should be present"
            return Verdict("missing_key_field", text)
    raise AssertionError("every key field is present")


def _decoded(text: object) -> Any:
    """What a member's JSON text stands for; None where there is none that counts."""
    try:
        return msgspec.json.decode(text) if isinstance(text, Raw) else None
    except msgspec.DecodeError:
        return None


def _timestamp_ms(dt: object, received_ms: int) -> int:
    """The event's time in milliseconds for Kafka; the receive time when it has none that a calendar knows."""
    if dt.__class__ is not str:
        return received_ms
    try:
        moment = datetime.fromisoformat(dt)
    except ValueError:
        return received_ms
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    timestamp_ms = int(moment.timestamp() * 1000)
    return timestamp_ms if 0 < timestamp_ms < received_ms + MAX_AHEAD_MS else received_ms
