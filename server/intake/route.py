"""All that is known of events of one schema in one stream, worked out once.

Place: intake.pipeline → HERE → schemas, catalog.
Rule: a Route is immutable; an event that has been seen before costs one dict lookup here, no regex, no merge.
Not here: reading an event (intake.members), judging it (the validator).
"""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import msgspec
from msgspec import Struct

from server.intake import enrich
from server.intake.filling import Filling
from server.intake.members import Members, Path
from server.intake.tally import Tallies, Tally
from server.intake.verdict import Verdict
from server.schemas import Fill

if TYPE_CHECKING:
    from server.catalog.stream import Stream
    from server.config.settings import Config
    from server.schemas import Reader, Validator

Read = Callable[[bytes], tuple[Any, ...] | None]  # Reader.read

MAX_ROUTES = 10_000  # Pairs of schema and stream that were accepted; the oldest goes first. About 2 kB each.

CLIENT_IP_FIELD: Path = ("http", "client_ip")


class Fields(NamedTuple):
    """Where an event says what it is; of a list the first present wins."""

    schema_uri: tuple[Path, ...]
    stream: tuple[Path, ...]
    id: Path
    dt: Path

    @classmethod
    def of(cls, config: Config) -> Fields:
        settings = config.intake
        return cls(
            _paths(settings.schema_uri_field), _paths(settings.stream_field), _path(settings.id_field),
            _path(settings.dt_field),
        )  # fmt: skip


class EventMembers(Members):
    """The fields that name schema and stream, and whatever else is wanted."""

    def __init__(self, fields: Fields, paths: Iterable[Path]) -> None:
        super().__init__((*fields.schema_uri, *fields.stream, *paths))
        self.schema_at = tuple(map(self.at, fields.schema_uri))
        self.stream_at = tuple(map(self.at, fields.stream))


class Route(Struct, frozen=True, eq=False):
    """``key_fields`` are (member prefix of the key, path in the event) pairs; ``dt_at`` is where ``members`` puts the
    event's time; ``validator`` None: the stream's events are not validated. ``read`` gives schema URI, stream, time and
    key fields of an event that is valid once it is filled in (Reader); None: there is no such way for this route."""

    schema_uri: str
    stream: Stream
    topic: str
    validator: Validator | None
    read: Read | None
    members: EventMembers
    filling: Filling
    key_fields: tuple[tuple[bytes, Path], ...]
    key_members: Members | None
    dt_at: int
    max_event_bytes: int
    tally: Tally
    headers: list[tuple[str, bytes]]


class SchemaLookup(Protocol):
    """server.schemas: a Validator, or (error_type, reason)."""

    def __call__(self, uri: str) -> Validator | tuple[str, str]: ...


class StreamLookup(Protocol):
    """catalog.snapshot.Snapshot.find."""

    def __call__(self, name: str) -> Stream | None: ...


class Router:
    """Finds the route of a schema URI and a stream name, or says why there is none."""

    def __init__(self, config: Config, schema: SchemaLookup, stream: StreamLookup, tallies: Tallies) -> None:
        self._tallies = tallies
        self.fields = Fields.of(config)
        self._config = config
        self._schema = schema
        self._stream = stream
        self._members: dict[tuple[Path, ...], EventMembers] = {}
        self._routes: dict[tuple[bytes | None, bytes | None], Route] = {}
        self.known: dict[tuple[str, str], Route] = {}  # Those with a way to read: by schema URI and stream.
        self._reads: dict[bytes, Read] = {}
        self._readers: dict[Any, Reader | None] = {}
        self._mark = msgspec.json.encode(self.fields.schema_uri[0][-1])
        self.first_members = self._members_of(())

    def find(self, schema_text: bytes | None, stream_text: bytes | None) -> Route | Verdict:
        """The route of these raw JSON texts, or why there is none; None when the event has no such field."""
        return self._routes.get((schema_text, stream_text)) or self._find_new(schema_text, stream_text)

    def use(self, stream: StreamLookup) -> None:
        """Streams are other ones from now on: every route is found anew."""
        self._stream = stream
        self._members.clear()
        self._forget_all()  # What reads them stays: it depends on schemas, and is costly to make.

    def _forget_all(self) -> None:
        self._routes.clear()
        self.known.clear()
        self._reads.clear()

    def guess(self, raw: bytes) -> Read | None:
        """The way to read an event of the schema that this one seems to name."""
        at = raw.find(self._mark)
        start = raw.find(b'"', at + len(self._mark))
        return self._reads.get(raw[start : raw.find(b'"', start + 1) + 1])

    @property
    def only_read(self) -> Read | None:
        """The way to read every event that was seen so far, if there is but one."""
        return next(iter(self._reads.values())) if len(self._reads) == 1 else None

    def _find_new(self, schema_text: bytes | None, stream_text: bytes | None) -> Route | Verdict:
        schema_uri = _text(schema_text)
        if schema_text is None or not schema_uri:
            return Verdict("missing_schema_uri", _MISSING.format(_dotted(self.fields.schema_uri), "its schema"))
        validator: Validator | None = None
        found = self._validator(schema_uri)
        stream = self._stream_of(stream_text)
        if not isinstance(found, Verdict):
            validator = found
        elif isinstance(stream, Verdict) or stream.validation != "off" or found.error_type == "bad_schema_uri":
            return found
        if isinstance(stream, Verdict):
            return stream
        assert stream_text is not None
        wrong = self._mismatch(stream, validator)
        if wrong is not None:
            return wrong
        route = self._make(schema_uri, stream, validator)
        if validator is None or b"\\" in schema_text + stream_text:
            return route  # The schema may come yet; and other spellings of a name must not push routes out.
        if len(self._routes) >= MAX_ROUTES:
            self._forget(next(iter(self._routes)))
        self._routes[(schema_text, stream_text)] = route
        if route.read is not None:
            self.known[(schema_uri, stream.name)] = route
            self._reads[schema_text] = route.read
        return route

    def _forget(self, key: tuple[bytes | None, bytes | None]) -> None:
        route = self._routes.pop(key)
        self.known.pop((route.schema_uri, route.stream.name), None)

    def _validator(self, schema_uri: str) -> Validator | Verdict:
        found = self._schema(schema_uri)
        if isinstance(found, tuple):
            error_type, _ = found
            return Verdict(error_type, _SCHEMA_REASONS[error_type].format(schema_uri[:200]))
        return found

    def _stream_of(self, stream_text: bytes | None) -> Stream | Verdict:
        name = _text(stream_text)
        if not name:
            return Verdict("missing_stream", _MISSING.format(_dotted(self.fields.stream), "its stream"))
        stream = self._stream(name)
        if stream is None or not stream.enabled:
            return Verdict("unknown_stream", f"stream {name[:200]!r} takes no events here")
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

    def _make(self, schema_uri: str, stream: Stream, validator: Validator | None) -> Route:
        sources = self._sources(stream, validator)
        members = self._members_of((*sources, self.fields.dt))
        paths = tuple(path for _, path in stream.key_fields)
        if stream.validation == "off":
            validator = None
        reader = None if validator is None else self._reader(validator, sources, paths)
        own_limit = stream.max_event_bytes
        limit = self._config.http.limits.max_event_bytes
        return Route(
            schema_uri=schema_uri,
            stream=stream,
            topic=stream.topic,
            validator=validator,
            read=None if reader is None else reader.read,
            members=members,
            filling=Filling(sources, members),
            key_fields=tuple((msgspec.json.encode(name) + b":", path) for name, path in stream.key_fields),
            key_members=Members(paths) if paths else None,
            dt_at=members.at(self.fields.dt),
            max_event_bytes=limit if own_limit is None else min(limit, own_limit),
            tally=self._tallies.of(stream.declared),
            headers=[("content-type", b"application/json"), ("schema-uri", schema_uri.encode())],
        )

    def _reader(
        self, validator: Validator, sources: Mapping[Path, enrich.Source], keys: tuple[Path, ...]
    ) -> Reader | None:
        """One object for all routes of a schema that look at the same members. None: there is no such way for it."""
        made = self._readers
        wanted = (validator, tuple(sources.items()), keys)
        if wanted not in made:
            if len(made) >= MAX_ROUTES:
                made.clear()
                self._forget_all()
            fills = {path: Fill(source.samples, source.is_certain) for path, source in sources.items()}
            texts = (self.fields.schema_uri[0], self.fields.stream[0])
            made[wanted] = validator.reader(texts, (self.fields.dt, *keys), fills)
        return made[wanted]

    def _sources(self, stream: Stream, validator: Validator | None) -> Mapping[Path, enrich.Source]:
        """Which fields are filled in: those that the schema declares."""
        if validator is None:
            return {}
        wanted: dict[Path, enrich.Source] = {self.fields.id: enrich.NEW_ID, self.fields.dt: enrich.RECEIVE_TIME}
        title = validator.title or ""
        if any(fnmatch.fnmatchcase(title, pattern) for pattern in self._config.intake.set_dt_for):
            wanted[("dt",)] = enrich.RECEIVE_TIME
        wanted[CLIENT_IP_FIELD] = enrich.CLIENT_IP
        for path, name in stream.header_fields:
            wanted[path] = enrich.header(name)
        return {path: source for path, source in wanted.items() if validator.declares(path)}

    def _members_of(self, paths: tuple[Path, ...]) -> EventMembers:
        """One object for all routes that look at the same members, so that events of several need one read."""
        if paths not in self._members:
            self._members[paths] = EventMembers(self.fields, paths)
        return self._members[paths]


_SCHEMA_REASONS = {
    "bad_schema_uri": "schema URI {!r} is not of the form /title/1.0.0",
    "unknown_schema": "schema {!r} is not known",
    "insecure_schema": "schema {!r} has keywords that this service refuses",
    "schema_unavailable": "schema {!r} cannot be read at the moment",
}


def _text(raw: bytes | None) -> str | None:
    """The string that this JSON text stands for; None when it stands for anything else."""
    if raw is None:
        return None
    try:
        return msgspec.json.decode(raw, type=str)
    except msgspec.DecodeError:
        return None


_MISSING = "the event should name {1} in {0}"


def _dotted(paths: tuple[Path, ...]) -> str:
    return " or ".join(f"'.{'.'.join(path)}'" for path in paths)


def _path(dotted: str) -> Path:
    return tuple(dotted.split("."))


def _paths(dotted: str | list[str]) -> tuple[Path, ...]:
    return tuple(_path(one) for one in ([dotted] if isinstance(dotted, str) else dotted))
