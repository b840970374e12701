"""Routes: everything known of events of one schema in one stream, worked out once.

Place: intake.pipeline → HERE → schemas, catalog.
Rule: a Route is immutable; for an event whose route is known this costs one dict lookup, no regex, no merge.
Not here: reading an event (intake.text.members), validating it (the validator).
"""

from __future__ import annotations

import fnmatch
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import msgspec
from msgspec import Struct

from server.intake.books.judged import AllJudged, Judged
from server.intake.books.tally import Tallies, Tally
from server.intake.invented import Invented
from server.intake.text import enrichment as enrich
from server.intake.text.enricher import Enricher, gaps_of
from server.intake.text.fields import EventMembers, Fields, dotted
from server.intake.text.members import MemberReader, Path
from server.intake.verdict import Verdict
from server.schemas.repository import Fill, Unfetched
from server.shared.lines import OTHERS

if TYPE_CHECKING:
    from server.auth.guard import Guard
    from server.catalog.stream import Stream
    from server.config.settings import Config
    from server.schemas.repository import EventReader, Validator

# Reader.read: validate an event and read its members in one decode.
Shortcut = Callable[[bytes], tuple[Any, ...] | None]

# Number of routes that are cached, one per accepted pair of schema and stream; the oldest is removed first. About 1 kB
# each.
MAX_ROUTES = 10_000

CLIENT_IP_FIELD: Path = ("http", "client_ip")


class Route(Struct, frozen=True, eq=False):
    """The result for one schema and stream.

    ``key_fields`` are (member prefix of the key, path in the event) pairs; ``dt_at`` is where ``members`` puts the
    event's time; ``validator`` None: the stream's events are not validated; ``guard`` None: every client may write.
    ``unfetched`` is the schema if it has to be fetched first; such a route serves one event. ``shortcut`` returns
    schema URI, stream, time and key fields of an event that is valid once it is filled in; None: the route has none.
    """

    schema_uri: str
    stream: Stream
    topic: str
    validator: Validator | None
    shortcut: Shortcut | None
    members: EventMembers
    filling: Enricher
    guard: Guard | None
    key_fields: tuple[tuple[bytes, Path], ...]
    key_members: MemberReader | None
    dt_at: int
    max_event_bytes: int
    tally: Tally
    judged: Judged
    headers: list[tuple[str, bytes]]
    unfetched: Unfetched | None = None


class Draft(NamedTuple):
    """The enrichment by the schema alone, for events that no stream accepts: the enrichment that a stream adds is not
    known."""

    validator: Validator
    members: EventMembers
    filling: Enricher
    max_event_bytes: int


class SchemaLookup(Protocol):
    """The signature of server.schemas.repository: it returns a Validator, or (error_type, reason), or a schema that has
    to be fetched."""

    def __call__(self, uri: str) -> Validator | Unfetched | tuple[str, str]: ...


class StreamLookup(Protocol):
    """The signature of catalog.snapshot.Snapshot.find."""

    def __call__(self, name: str) -> Stream | None: ...


class GuardLookup(Protocol):
    """The signature of auth.access.Access.guard."""

    def __call__(self, stream: Stream) -> Guard | None: ...


class Router:
    """Finds the route of a schema URI and a stream name, or the reason why there is none."""

    def __init__(
        self,
        config: Config,
        schema: SchemaLookup,
        stream: StreamLookup,
        tallies: Tallies,
        guard: GuardLookup | None = None,
    ) -> None:
        """``guard`` None: every client may write to every stream."""
        self._tallies = tallies
        self.judged = AllJudged()
        self.fields = Fields.of(config)
        self._config = config
        self._schema = schema
        self._stream = stream
        self._guard = guard
        self._invented = Invented(config.streams.max_regex_names)
        self._members: dict[tuple[Path, ...], EventMembers] = {}
        self._fillings: dict[tuple[tuple[Path, enrich.EnrichmentSource], ...], Enricher] = {}
        self._routes: dict[tuple[bytes | None, bytes | None], Route] = {}
        self.known: dict[tuple[str, str], Route] = {}  # Routes with a shortcut, by schema URI and stream.
        self._shortcuts: dict[bytes, Shortcut] = {}  # By schema URI, as it is written.
        self._sharing: Counter[bytes] = Counter()  # The number of routes of each schema URI.
        self._readers: dict[Any, EventReader | None] = {}
        self._drafts: dict[Validator, Draft] = {}
        self._mark = msgspec.json.encode(self.fields.schema_uri[0][-1])
        self.first_members = self._members_of(())

    def find(self, schema_text: bytes | None, stream_text: bytes | None) -> Route | Verdict:
        """Return the route of these raw JSON texts, or the reason why there is none; None when the event has no such
        field."""
        return self._routes.get((schema_text, stream_text)) or self._find_new(schema_text, stream_text)

    def draft(self, schema_text: bytes | None) -> Draft | None:
        """Return the enrichment by a schema alone; None if there is none."""
        schema_uri = _text(schema_text)
        validator = self._validator(schema_uri) if schema_uri else None
        if validator is None or isinstance(validator, Verdict):
            return None
        draft = self._drafts.get(validator)
        if draft is None:
            sources = self._sources((), validator)
            members = self._members_of((*sources, self.fields.dt))
            if len(self._drafts) >= MAX_ROUTES:
                self._drafts.clear()
            filling = self._filling(sources, members, gaps_of(sources))
            draft = Draft(validator, members, filling, self._config.http.limits.max_event_bytes)
            self._drafts[validator] = draft
        return draft

    def use(self, stream: StreamLookup) -> None:
        """Use these streams from now on: the cache of routes is cleared."""
        self._stream = stream
        self._members.clear()
        self._fillings.clear()
        self._drafts.clear()
        self._forget_all()  # Readers stay: they depend on schemas alone, and are costly to make.

    def _forget_all(self) -> None:
        self._routes.clear()
        self.known.clear()
        self._shortcuts.clear()
        self._sharing.clear()

    def guess(self, raw: bytes) -> Shortcut | None:
        """Return the route of the schema that this event seems to name."""
        at = raw.find(self._mark)
        start = raw.find(b'"', at + len(self._mark))
        return self._shortcuts.get(raw[start : raw.find(b'"', start + 1) + 1])

    @property
    def only_shortcut(self) -> Shortcut | None:
        """Return the only route that events have had so far, if there is just one."""
        return next(iter(self._shortcuts.values())) if len(self._shortcuts) == 1 else None

    def _find_new(self, schema_text: bytes | None, stream_text: bytes | None) -> Route | Verdict:
        schema_uri = _text(schema_text)
        if schema_text is None or not schema_uri:
            return Verdict("missing_schema_uri", _MISSING.format(dotted(self.fields.schema_uri), "its schema"))
        validator: Validator | None = None
        unfetched: Unfetched | None = None
        found = self._validator(schema_uri)
        stream = self._stream_of(stream_text)
        if not isinstance(found, Verdict):
            validator = found
        elif isinstance(stream, Verdict) or stream.validation != "off" or found.error_type == "bad_schema_uri":
            return found
        else:
            unfetched = found.unfetched
        if isinstance(stream, Verdict):
            return stream
        assert stream_text is not None
        wrong = self._mismatch(stream, validator)
        if wrong is None and not self._invented.has_room(stream):
            wrong = _not_taken(stream.name)
        if wrong is not None:  # The event is shown with the defaults of its schema nevertheless.
            return wrong if unfetched is None else wrong._replace(unfetched=unfetched)
        route = self._make(schema_uri, stream, validator, unfetched)
        if validator is None or b"\\" in schema_text + stream_text or self._invented.is_new(stream):
            # The schema may still come; other spellings and invented names must not push routes out of the cache.
            return route
        if len(self._routes) >= MAX_ROUTES:
            self._forget(next(iter(self._routes)))
        self._routes[(schema_text, stream_text)] = route
        if route.shortcut is not None:
            self.known[(schema_uri, stream.name)] = route
            self._shortcuts[schema_text] = route.shortcut
            self._sharing[schema_text] += 1
        return route

    def take(self, stream: Stream) -> None:
        """Accept the name of a stream that a regex has matched, on an event that may be sent. It stays accepted."""
        self._invented.names.add(stream.name)

    def _forget(self, key: tuple[bytes | None, bytes | None]) -> None:
        route = self._routes.pop(key)
        schema_text, _ = key
        if self.known.pop((route.schema_uri, route.stream.name), None) is None or schema_text is None:
            return
        self._sharing[schema_text] -= 1
        if not self._sharing[schema_text]:
            del self._sharing[schema_text], self._shortcuts[schema_text]

    def _validator(self, schema_uri: str) -> Validator | Verdict:
        found = self._schema(schema_uri)
        if isinstance(found, Unfetched):
            return _no_schema("schema_unavailable", schema_uri)._replace(unfetched=found)
        if isinstance(found, tuple):
            return _no_schema(found[0], schema_uri)
        return found

    def _stream_of(self, stream_text: bytes | None) -> Stream | Verdict:
        name = _text(stream_text)
        if not name:
            return Verdict("missing_stream", _MISSING.format(dotted(self.fields.stream), "its stream"))
        stream = self._stream(name)
        if stream is None or not stream.enabled:
            return _not_taken(name)
        return stream

    def _mismatch(self, stream: Stream, validator: Validator | None) -> Verdict | None:
        title = validator.title if validator is not None else None
        if stream.schema_title is not None and stream.validation != "off" and title != stream.schema_title:
            return Verdict(
                "schema_title_mismatch", f"stream {stream.name!r} takes events of schema title {stream.schema_title!r}"
            )
        service = self._config.service_name
        if service is not None and stream.service is not None and stream.service != service:
            return Verdict("wrong_service", f"stream {stream.name!r} is taken by another service: {stream.service!r}")
        return None

    def _make(self, schema_uri: str, stream: Stream, validator: Validator | None, unfetched: Unfetched | None) -> Route:
        sources = self._sources(stream.header_fields, validator)
        members = self._members_of((*sources, self.fields.dt))
        paths = tuple(path for _, path in stream.key_fields)
        if stream.validation == "off":
            validator = None
        gaps = gaps_of(sources)
        reader = None if validator is None else self._reader(validator, sources, paths, gaps)
        own_limit = stream.max_event_bytes
        limit = self._config.http.limits.max_event_bytes
        return Route(
            schema_uri=schema_uri,
            stream=stream,
            topic=stream.topic,
            validator=validator,
            shortcut=None if reader is None else reader.read,
            members=members,
            filling=self._filling(sources, members, gaps),
            guard=None if self._guard is None else self._guard(stream),
            key_fields=tuple((msgspec.json.encode(name) + b":", path) for name, path in stream.key_fields),
            key_members=_key_members(paths) if paths else None,
            dt_at=members.at(self.fields.dt),
            max_event_bytes=limit if own_limit is None else min(limit, own_limit),
            tally=self._tallies.of(stream.declared),
            judged=self.judged.of(schema_uri if validator is not None else OTHERS),
            headers=[("content-type", b"application/json"), ("schema-uri", schema_uri.encode())],
            unfetched=unfetched,
        )

    def _reader(
        self,
        validator: Validator,
        sources: Mapping[Path, enrich.EnrichmentSource],
        keys: tuple[Path, ...],
        gaps: tuple[Path, ...],
    ) -> EventReader | None:
        """Return the reader that is shared by all routes of a schema that read the same members. None: the schema has
        no reader for them."""
        made = self._readers
        wanted = (validator, tuple(sources.items()), keys)
        if wanted not in made:
            if len(made) >= MAX_ROUTES:
                made.clear()
                self._forget_all()
            fills = {path: Fill(source.samples, source.is_certain) for path, source in sources.items()}
            texts = (self.fields.schema_uri[0], self.fields.stream[0])
            made[wanted] = validator.reader(texts, (self.fields.dt, *keys), fills, gaps)
        return made[wanted]

    def _sources(
        self, header_fields: Iterable[tuple[Path, bytes]], validator: Validator | None
    ) -> Mapping[Path, enrich.EnrichmentSource]:
        """Return the fields to fill in: those that the schema declares."""
        if validator is None:
            return {}
        wanted: dict[Path, enrich.EnrichmentSource] = {
            self.fields.id: enrich.NEW_ID,
            self.fields.dt: enrich.RECEIVE_TIME,
        }
        title = validator.title or ""
        if any(fnmatch.fnmatchcase(title, pattern) for pattern in self._config.intake.set_dt_for):
            wanted[("dt",)] = enrich.RECEIVE_TIME
        wanted[CLIENT_IP_FIELD] = enrich.CLIENT_IP
        for path, name in header_fields:
            wanted[path] = enrich.header(name)
        return {path: source for path, source in wanted.items() if validator.declares(path)}

    def _filling(
        self, sources: Mapping[Path, enrich.EnrichmentSource], members: EventMembers, gaps: tuple[Path, ...]
    ) -> Enricher:
        """Return the enricher that is shared by all routes that fill in the same fields, with the plans that it has
        cached."""
        wanted = tuple(sources.items())
        if wanted not in self._fillings:
            self._fillings[wanted] = Enricher(sources, members, gaps)
        return self._fillings[wanted]

    def _members_of(self, paths: tuple[Path, ...]) -> EventMembers:
        """Return the member reader that is shared by all routes that read the same members, so that one read serves
        events of several."""
        if paths not in self._members:
            self._members[paths] = EventMembers(self.fields, paths)
        return self._members[paths]


_key_members = lru_cache(maxsize=1_024)(MemberReader)  # All streams with the same key fields share one object.


_SCHEMA_REASONS = {
    "bad_schema_uri": "schema URI {!r} is not of the form /title/1.0.0",
    "unknown_schema": "schema {!r} is not known",
    "insecure_schema": "schema {!r} uses keywords that this service refuses",
    "schema_unavailable": "schema {!r} cannot be read at the moment",
}


def _no_schema(error_type: str, schema_uri: str) -> Verdict:
    return Verdict(error_type, _SCHEMA_REASONS[error_type].format(schema_uri[:200]))


def _not_taken(stream: str) -> Verdict:
    return Verdict("unknown_stream", f"stream {stream[:200]!r} takes no events here")


def _text(raw: bytes | None) -> str | None:
    """Return the string that this JSON text encodes; None for any other value."""
    if raw is None:
        return None
    try:
        return msgspec.json.decode(raw, type=str)
    except msgspec.DecodeError:
        return None


_MISSING = "the event should name {1} in {0}"
