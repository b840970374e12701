"""Find the route of a schema and a stream, or say why there is none.

Place: intake.pipeline → HERE → schemas, catalog.
Rules: an event whose schema and stream have been seen before costs one dict lookup here, no regex, no merge. Which
fields are filled in, and from what, is decided here (``_sources``): those that the schema declares.
Not here: what a route holds (intake.route), how fields are inserted (intake.text.enricher), reading an event
(intake.text.members), judging it (the validator).
"""

from __future__ import annotations

import fnmatch
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import msgspec

from server.intake.books.judged import AllJudged
from server.intake.books.tally import Tallies
from server.intake.books.versions import Versions
from server.intake.invented import Invented
from server.intake.private.latest import Latest
from server.intake.route import Draft, Route
from server.intake.text import enrichment as enrich
from server.intake.text.enricher import Enricher, gaps_of
from server.intake.text.fields import EventMembers, Fields, dotted
from server.intake.text.members import MemberReader, Path
from server.intake.text.name_hints import NameHints
from server.intake.verdict import Verdict
from server.paths import Paths
from server.privacy.applied import Privacy, RoutePrivacy
from server.schemas.repository import Fill, Unfetched
from server.shared.lines import OTHERS

if TYPE_CHECKING:
    from server.catalog.stream import Stream
    from server.config.settings import Config
    from server.intake.route import ChecksLookup, GuardLookup, LatestLookup, SchemaLookup, Shortcut, StreamLookup
    from server.schemas.repository import EventReader, Validator

MAX_ROUTES = 10_000  # Pairs of schema and stream that were accepted; the oldest goes first. About 1 kB each.

CLIENT_IP_FIELD: Path = ("http", "client_ip")
_HEADERS: Final = {"content-type": b"application/json", "schema-uri": b""}  # Empty: of each route.
_OF_REQUESTS = frozenset({b"x-request-id", b"traceparent"})  # Headers that say nothing of the client itself.


class Router:
    """Finds the route of a schema URI and a stream name, or says why there is none."""

    def __init__(
        self,
        config: Config,
        schema: SchemaLookup,
        stream: StreamLookup,
        tallies: Tallies,
        guard: GuardLookup | None = None,
        hints: NameHints | None = None,
        checks: ChecksLookup | None = None,
        privacy: Privacy | None = None,
        latest: LatestLookup | None = None,
    ) -> None:
        """``guard`` None: every client may write to every stream. ``hints`` are those of the same streams. ``checks``
        None: no event is checked in the background. ``latest`` returns the newest version of a title, for events whose
        schema is not known."""
        self._checks = checks
        self._privacy = privacy or Privacy()
        self._latest = Latest(latest)
        self._hints = hints or NameHints()
        self._tallies = tallies
        self.judged = AllJudged()
        self.versions = Versions()
        self.fields = Fields.of(config)
        self._config = config
        self._schema = schema
        self._stream = stream
        self._guard = guard
        self._invented = Invented(config.streams.max_regex_names)
        self._members: dict[tuple[Path, ...], EventMembers] = {}
        self._fillings: dict[tuple[tuple[Path, enrich.EnrichmentSource], ...], Enricher] = {}
        self._routes: dict[tuple[bytes | None, bytes | None], Route] = {}
        self.known: dict[tuple[str, str], Route] = {}  # The routes with a shortcut, by schema URI and stream.
        self._shortcuts: dict[bytes, Shortcut] = {}  # By schema URI, as events write it.
        self._sharing: Counter[bytes] = Counter()  # The number of routes that share each of these.
        self._readers: dict[Any, EventReader | None] = {}
        self._drafts: dict[Validator, Draft] = {}
        self._mark = msgspec.json.encode(self.fields.schema_uri[0][-1])
        self._usual = b"{" + self._mark + b':"'  # Most events begin so.
        self.first_members = self._members_of(())

    def find(self, schema_text: bytes | None, stream_text: bytes | None) -> Route | Verdict:
        """Return the route of these raw JSON texts, or why there is none. None: the event has no such field."""
        return self._routes.get((schema_text, stream_text)) or self._find_new(schema_text, stream_text)

    def privacy_of(self, schema_text: bytes | None, stream_text: bytes | None) -> tuple[bool, RoutePrivacy | None]:
        """Return whether any schema is known that an event without a route may have, and what they withhold of it:
        the schema that it names, or the newest of that title, and the newest of its stream's title."""
        schema_uri, name = _text(schema_text) or "", _text(stream_text)
        stream = self._stream(name) if name else None
        named = self._schema(schema_uri) if schema_uri else None
        if named is None or isinstance(named, tuple | Unfetched):
            named = self._latest.of(schema_uri[1:].rpartition("/")[0])
        own = self._latest.of(stream.schema_title) if stream is not None else None
        known = [validator for validator in (named, own) if validator is not None]
        return bool(known), self._private(known, stream)

    def _private(self, known: Iterable[Validator], stream: Stream | None) -> RoutePrivacy | None:
        """Return what schemas and a stream withhold of events."""
        of_headers = [path for path, name in stream.header_fields if name not in _OF_REQUESTS] if stream else []
        is_strict = stream is not None and stream.privacy == "strict"
        plans = [validator.privacy for validator in known]
        return self._privacy.of(plans, [CLIENT_IP_FIELD, *of_headers], self.fields.dt, is_strict=is_strict)

    def draft(self, schema_text: bytes | None) -> Draft | None:
        """Return how events of a schema are filled in when no stream takes them. None: there is no such schema."""
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
        """Replace the streams: every route is found again."""
        self._stream = stream
        self._members.clear()
        self._fillings.clear()
        self._drafts.clear()
        self._forget_all()  # The readers stay: they depend on schemas alone, and are costly to make.

    def _forget_all(self) -> None:
        self._routes.clear()
        self.known.clear()
        self._shortcuts.clear()
        self._sharing.clear()

    def guess(self, raw: bytes) -> Shortcut | None:
        """Return the shortcut of the schema that this event seems to name; None if there is none."""
        # measured: a search of the name takes twice as long as this look at the beginning.
        if raw.startswith(self._usual):
            start = len(self._usual) - 1
        else:
            start = raw.find(b'"', raw.find(self._mark) + len(self._mark))
        end = raw.find(b'"', start + 1)
        # Compiled by mypyc 2.4, a slice that ends before it begins raises SystemError.
        return self._shortcuts.get(raw[start : end + 1]) if 0 <= start < end else None

    @property
    def only_shortcut(self) -> Shortcut | None:
        """The shortcut that all events so far have in common; None if they have several or none."""
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
        if wrong is not None:  # The schema is fetched all the same, so that its defaults can be shown.
            return wrong if unfetched is None else wrong._replace(unfetched=unfetched)
        route = self._make(schema_uri, stream, validator, unfetched)
        if validator is None or b"\\" in schema_text + stream_text or self._invented.is_new(stream):
            # It is not cached: its schema may still come, and other spellings and invented names must not push out
            # routes that are in use.
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
        """Count the name of a stream that a regex has matched as in use, since a valid event of it may be sent."""
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
            hint = self._hints.of_schema(schema_uri) if found[0] == "unknown_schema" else ""
            return _no_schema(found[0], schema_uri, hint)
        return found

    def _stream_of(self, stream_text: bytes | None) -> Stream | Verdict:
        name = _text(stream_text)
        if not name:
            return Verdict("missing_stream", _MISSING.format(dotted(self.fields.stream), "its stream"))
        stream = self._stream(name)
        if stream is None or not stream.enabled:
            return _not_taken(name, self._hints.of_stream(name))
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
        described = validator or self._latest.of(stream.schema_title)
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
            version=self.versions.of(stream.declared, schema_uri),
            headers=[(name, _HEADERS[name] or schema_uri.encode()) for name in self._config.sink.kafka_headers],
            unfetched=unfetched,
            checks=() if self._checks is None else self._checks(stream, schema_uri, validator),
            privacy=self._private([] if described is None else [described], stream),
        )

    def _reader(
        self,
        validator: Validator,
        sources: Mapping[Path, enrich.EnrichmentSource],
        keys: tuple[Path, ...],
        gaps: tuple[Path, ...],
    ) -> EventReader | None:
        """Return the reader for these members, one for all routes of a schema that need them. None: the schema has no
        reader (validators.quick)."""
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
        """Return which fields are filled in, with the source of each: those that the schema declares."""
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
        """Return the enricher for these fields, one for all routes that fill in the same, since it caches its plans."""
        wanted = tuple(sources.items())
        if wanted not in self._fillings:
            self._fillings[wanted] = Enricher(sources, members, gaps)
        return self._fillings[wanted]

    def _members_of(self, paths: tuple[Path, ...]) -> EventMembers:
        """Return the object that reads these members, one for all routes that need the same: an event is read once."""
        if paths not in self._members:
            self._members[paths] = EventMembers(self.fields, paths)
        return self._members[paths]


_key_members = lru_cache(maxsize=1_024)(MemberReader)  # One object for all streams with the same key fields.


_SCHEMA_REASONS = {
    "bad_schema_uri": "schema URI {!r} is not of the form /title/1.0.0",
    "unknown_schema": "schema {!r} is not known: GET " + Paths.SCHEMAS + " lists titles and versions",
    "insecure_schema": "schema {!r} has keywords that this service refuses",
    "schema_unavailable": "schema {!r} cannot be read at the moment",
    "broken_schema": "schema {!r} is broken: the operator of this service has to mend it, so do not send the event "
    "again before that",
}


def _no_schema(kind: str, schema_uri: str, hint: str = "") -> Verdict:
    """Return the verdict. A broken schema is an error of the service that no retry mends."""
    error_type = "internal" if kind == "broken_schema" else kind
    return Verdict(error_type, _SCHEMA_REASONS[kind].format(schema_uri[:200]) + hint)


def _not_taken(stream: str, hint: str = "") -> Verdict:
    return Verdict(
        "unknown_stream",
        f"stream {stream[:200]!r} takes no events here: GET {Paths.STREAM_CONFIGS} lists those that do{hint}",
    )


def _text(raw: bytes | None) -> str | None:
    """Return the string that this JSON text stands for; None if it is not a string."""
    if raw is None:
        return None
    try:
        return msgspec.json.decode(raw, type=str)
    except msgspec.DecodeError:
        return None


_MISSING = "the event should name {1} in {0}"
