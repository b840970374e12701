"""The way of one event: read it, find its route, fill in absent fields, validate it, address it. Read this file first.

Place: intake.receive, intake.batch → HERE → sink (by intake.sending, once all events of the request are prepared).
Rule: nothing is sent from here; the outcome of every step is a value; the order of the steps is the contract's.
Not here: requests and replies (intake.receive), what a route is made of (intake.router).
"""

# hot path

from __future__ import annotations

import contextlib
import logging
import traceback
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import UNSET, Raw

from server.intake.arrival import Arrival
from server.intake.books.tally import Tallies
from server.intake.event import Event
from server.intake.private.withhold import Hider, settle, told
from server.intake.record import TOO_LARGE, address, headers_of, timestamp_ms, too_large, unfit
from server.intake.route import DT, KEYS, MISSING, SCHEMA_URI, STREAM, Draft, Route
from server.intake.router import Router
from server.intake.text import event_limits as bounds
from server.intake.text.decode import has_duplicate_names
from server.intake.text.event_limits import EventLimits
from server.intake.text.members import BLOCKED, Values
from server.intake.text.splice import insert_by_path
from server.intake.verdict import STREAM_TYPES, Verdict, error, in_short
from server.log import Limited
from server.privacy.applied import Privacy
from server.schemas.repository import TooDearError, TooLargeError, errors_text, is_too_dear

if TYPE_CHECKING:
    from server.config.limit_settings import Limits
    from server.config.settings import Config
    from server.intake.books.judged import Judged
    from server.intake.route import ChecksLookup, GuardLookup, LatestLookup, SchemaLookup, StreamLookup
    from server.intake.text.name_hints import NameHints
    from server.schemas.repository import Validator, Violation

NOT_AN_OBJECT = Verdict("not_an_object", "an event should be a JSON object")
TOO_DEAR = Verdict(
    "event_too_large", "the event would take too long to be judged by its schema: send fewer values at once"
)
TOO_DEEP = Verdict("event_too_large", bounds.TOO_DEEP.format(bounds.DECODERS_DEPTH))
HALF_PAIR = Verdict("schema_violation", "the event should have no lone surrogate in its strings")
MAY_NOT_WRITE = {
    "unauthorized": "stream {!r} takes events only with an API key or token, and the request has none that is valid",
    "forbidden": "this client may not write to stream {!r}",
}
TOO_LARGE_FILLED = "with the defaults of its schema the event has more than the {} bytes that are allowed"
LARGE_BYTES: Final = 65_536  # Looking twice at a smaller event costs less than keeping the result.
DUPLICATE_KEY = Verdict("duplicate_key", "a member name occurs twice in one object")

log = logging.getLogger("intake")


class Pipeline:
    """Turns the raw text of events into records for the sink, or into verdicts. ``judged`` counts, by schema, how they
    were validated."""

    def __init__(self, router: Router, limits: Limits, *, rejects_duplicates: bool, privacy: Privacy) -> None:
        self._max_event_bytes = limits.max_event_bytes
        most = EventLimits(limits)
        self._sure_bytes = most.sure_bytes
        self._over = most.over
        self._looked_at = b""  # A large event that ``at_once`` has found not to be too large.
        self._router = router
        self._fields = router.fields
        self._rejects_duplicates = rejects_duplicates
        self._members = router.first_members
        self._known = router.known
        self._last: Route | None = None  # One of those, of the last event that was taken at once.
        self._only_shortcut = router.only_shortcut
        self._privacy = privacy
        self.hide = Hider(privacy, router).hide
        self._trouble = Limited(log)
        self.judged = router.judged
        self.versions = router.versions

    def use(self, stream: StreamLookup) -> None:
        """Use these streams from the next event on."""
        self._router.use(stream)
        self._last = None
        self._only_shortcut = self._router.only_shortcut

    def prepare(self, index: int, raw: bytes, arrival: Arrival) -> Event:
        """Prepare one event, the ``index``-th of its request, up to but not including its submission to the sink."""
        return self.at_once(index, raw, arrival) or self.slowly(index, raw, arrival)

    def prepare_all(self, raws: Sequence[bytes], first: int, arrival: Arrival) -> list[Event]:
        """Prepare several events, the first of which is the ``first``-th of its request."""
        events: list[Event] = []
        for raw in raws:
            events.append(self.prepare(first, raw, arrival))
            first += 1
        return events

    def at_once(self, index: int, raw: bytes, arrival: Arrival) -> Event | None:
        """Prepare an event of the usual sort: its route is known, and one decode shows that it is valid.

        None: the event is not of this sort, or that is not certain. ``raw`` may be any bytes that begin with a brace
        and end with one.
        """
        shortcut = self._only_shortcut or self._router.guess(raw)
        if shortcut is None:
            return None
        route = None
        try:
            if len(raw) > self._sure_bytes and raw is not self._looked_at:
                if self._too_large(raw) is not None:
                    return None
                if len(raw) > LARGE_BYTES:
                    self._looked_at = raw
            values = shortcut(raw)
            if values is None or (self._rejects_duplicates and has_duplicate_names(raw)):
                return None
            schema_uri, name = values[SCHEMA_URI], values[STREAM]
            if not isinstance(schema_uri, str) or not isinstance(name, str):
                return None
            route = self._last
            # measured: a look into the dict hashes both names: 2 % of an event.
            if route is None or route.schema_uri != schema_uri or route.name != name:
                route = self._known.get((schema_uri, name))
                if route is None:
                    return None
                self._last = route
            if route.shortcut is not shortcut:  # The guess was wrong.
                values = route.shortcut(raw) if route.shortcut is not None else None
                if values is None:
                    return None
            return _take_valid(index, raw, route, values, arrival)
        except RecursionError:
            return None
        except Exception as bug:  # A bug must fail this event alone, not the others of its request.
            event = Event(index, raw, self._on_bug(bug, arrival), None, route)
            self.hide(event, arrival)
            return event

    def slowly(self, index: int, raw: bytes, arrival: Arrival) -> Event:
        """Prepare any other event step by step, to find what is wrong or to learn the route. ``raw`` is JSON."""
        event = Event(index, raw)
        try:
            # Not looked at twice: it takes 4 ms for 1 MB.
            is_sure, self._looked_at = raw is self._looked_at, b""
            event.verdict = (None if is_sure else self._too_large(raw)) or self._take_any(event, arrival)
        except msgspec.ValidationError:
            event.verdict = NOT_AN_OBJECT
        except msgspec.DecodeError:  # The body is JSON, so only faults remain that intake.text.cut lets through.
            event.verdict = HALF_PAIR
        except RecursionError:
            event.verdict = TOO_DEEP
        except Exception as bug:
            event.verdict = self._on_bug(bug, arrival)
        if event.verdict is not None:
            self.hide(event, arrival)
        self._only_shortcut = self._router.only_shortcut
        return event

    def _on_bug(self, bug: Exception, arrival: Arrival) -> Verdict:  # cold: an unexpected exception
        lines = traceback.format_exception(bug)
        if self._privacy.is_used:  # The message of an exception may quote a value.
            lines = [*traceback.format_tb(bug.__traceback__), type(bug).__name__]
        request_id = arrival.request_id()
        self._trouble.warning("event", "an event could not be processed\n%s", "".join(lines), request_id=request_id)
        return error("internal")

    def _too_large(self, raw: bytes) -> Verdict | None:
        """The limit of the service, for every stream: examining an event takes time."""
        if len(raw) <= self._sure_bytes:
            return None
        if len(raw) > self._max_event_bytes:
            return Verdict("event_too_large", TOO_LARGE.format(len(raw), self._max_event_bytes))
        over = self._over(raw)
        return Verdict("event_too_large", over) if over is not None else None

    def _take_any(self, event: Event, arrival: Arrival) -> Verdict | None:
        """Prepare an event by all steps."""
        if self._rejects_duplicates and has_duplicate_names(event.value):
            return DUPLICATE_KEY
        values, route = self._look(event, arrival)
        if isinstance(route, Verdict):
            if route.error_type in STREAM_TYPES:
                self._fill_refused(event, _first(values, self._members.schema_at), arrival)
            return route
        event.route = route
        if route.guard is not None and (error_type := route.guard.refuses(arrival)) is not None:
            return _may_not_write(error_type, route)
        if len(event.value) > route.max_event_bytes:
            return too_large(event, route)
        try:
            value = event.value = self._fill(event.value, values, route, arrival)
        except TooLargeError:
            return Verdict("event_too_large", TOO_LARGE_FILLED.format(route.max_event_bytes))
        except TooDearError:
            return TOO_DEAR
        if route.validator is not None:
            problems = _check(value, route.validator, route.judged)
            if problems is not None:
                violation = _violation(problems, arrival)
                if route.privacy is not None:
                    violation = violation._replace(told=told(problems))
                if route.stream.validation == "enforce":
                    return violation
                event.observed = violation
        refusal = address(event, route, _decoded(values[route.dt_at]), arrival)
        if refusal is None and route.privacy is not None:
            settle(event, route, arrival)
            refusal = event.verdict
        if refusal is None and route.stream.is_invented:
            self._router.take(route.stream)
        return refusal

    def _look(self, event: Event, arrival: Arrival) -> tuple[Values, Route | Verdict]:
        """Read the event's members, guessing that it is of the same kind as the previous one.

        Events of a request mostly share their schema, so the members that the last route needs are read, and those of
        another route only when the guess turns out to be wrong.
        """
        members = self._members
        values = members.read(event.value)
        schema_text, stream_text = _first(values, members.schema_at), _first(values, members.stream_at)
        if schema_text is None or stream_text is None:
            self._fill_names(event, schema_text, stream_text, arrival)
            values = members.read(event.value)
            schema_text, stream_text = _first(values, members.schema_at), _first(values, members.stream_at)
        route = self._router.find(schema_text, stream_text)
        event.unfetched = route.unfetched
        if isinstance(route, Verdict):
            return values, route
        if route.members is not members:
            self._members = route.members
            values = route.members.read(event.value)
        return values, route

    def _fill_names(self, event: Event, schema_text: bytes | None, stream_text: bytes | None, arrival: Arrival) -> None:
        """Take schema URI and stream from the query if the event does not name them."""
        if schema_text is None and arrival.schema_uri is not None:
            event.value = _insert(event.value, self._fields.schema_uri[0], arrival.schema_uri)
        if stream_text is None and arrival.stream is not None:
            event.value = _insert(event.value, self._fields.stream[0], arrival.stream)

    def _fill_refused(self, event: Event, schema_text: bytes | None, arrival: Arrival) -> None:
        """Fill the defaults of its schema into an event that no stream accepts, because they come before the stream."""
        draft = self._router.draft(schema_text)
        if draft is not None:
            # If its defaults are too much, it is shown as it came: it is refused for another reason already.
            with contextlib.suppress(TooLargeError, TooDearError):
                event.value = self._fill(event.value, draft.members.read(event.value), draft, arrival)

    @staticmethod
    def _fill(value: bytes, values: Values, route: Route | Draft, arrival: Arrival) -> bytes:
        missing = route.filling.missing(values)
        if missing:
            value = route.filling.fill(value, missing, arrival)
        if route.validator is not None:
            value = route.validator.fill_defaults(value, route.max_event_bytes)
        return value


def _take_valid(index: int, raw: bytes, route: Route, values: Values, arrival: Arrival) -> Event:
    """Finish an event that was validated and read in one decode. Almost every event takes this way."""
    route.judged.one_decode += 1
    missing, dt = values[MISSING], values[DT]
    if route.guard is not None and (error_type := route.guard.refuses(arrival)) is not None:
        event = Event(index, raw, _may_not_write(error_type, route), None, route)
        settle(event, route, arrival)
        return event
    value = raw
    if missing and len(raw) <= route.max_event_bytes:
        value = route.filling.fill(raw, missing, arrival)
    at_ms = timestamp_ms(dt, arrival.received_ms) if isinstance(dt, str) else arrival.received_ms
    headers = route.headers if arrival.trace is None else headers_of(route, arrival)  # A call less for almost all.
    # Positional arguments: keywords take twice as long.
    event = Event(index, value, None, None, route, None, route.topic, None, at_ms, headers)
    if route.key_members is not None or len(value) > route.max_event_bytes:
        event.verdict = unfit(event, route, values[KEYS:])
    if route.privacy is not None:
        settle(event, route, arrival)
    return event


def _may_not_write(error_type: str, route: Route) -> Verdict:
    return Verdict(error_type, MAY_NOT_WRITE[error_type].format(route.stream.name))


def _check(value: bytes, validator: Validator, judged: Judged) -> list[Violation] | None:
    before = validator.reference_checks
    problems = validator.check(value)
    if validator.reference_checks == before:
        judged.one_pass += 1
    else:
        judged.referred += 1
    return problems


def _violation(problems: list[Violation], arrival: Arrival) -> Verdict:
    """Return the verdict of an invalid event; in short form once its request has had enough error messages."""
    if is_too_dear(problems):
        return TOO_DEAR
    found = Verdict("schema_violation", errors_text(problems), problems)
    arrival.problems_left -= len(problems)
    return found if arrival.problems_left >= 0 else in_short(found)


def _first(values: Values, places: tuple[int, ...]) -> bytes | None:
    """Return the raw JSON text of the first of several fields that is present."""
    for at in places:
        value = values[at]
        if value is not UNSET and value is not BLOCKED:
            return bytes(value)
    return None


def make_pipeline(
    config: Config,
    schema: SchemaLookup,
    stream: StreamLookup,
    tallies: Tallies | None = None,
    guard: GuardLookup | None = None,
    hints: NameHints | None = None,
    checks: ChecksLookup | None = None,
    privacy: Privacy | None = None,
    latest: LatestLookup | None = None,
) -> Pipeline:  # cold: once per worker
    """Make the pipeline over these schemas and streams, for a worker or a command. Without tallies nothing is sent,
    without ``guard`` no credentials are checked, without ``hints`` no verdict names what may have been meant, and
    without ``checks`` no event is checked in the background. Without ``privacy`` there are no keys to hash with, and
    without ``latest`` no schema is found by its title alone."""
    privacy = privacy or Privacy()
    router = Router(config, schema, stream, tallies or Tallies(), guard, hints, checks, privacy, latest)
    return Pipeline(router, config.http.limits, rejects_duplicates=config.rejects_duplicates, privacy=privacy)


def _insert(raw: bytes, path: tuple[str, ...], text: bytes) -> bytes:
    return insert_by_path(raw, path[:-1], msgspec.json.encode(path[-1]) + b":" + text + b",")


def _decoded(text: object) -> Any:
    """Return the string that a member's JSON text encodes; None if it is absent or does not count."""
    try:
        return msgspec.json.decode(text) if isinstance(text, Raw) else None
    except msgspec.DecodeError:
        return None
