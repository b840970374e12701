"""A route: all that is known of events of one schema in one stream, worked out once; and how its parts are looked up.

Place: intake.router makes a Route; intake.pipeline uses it.
Rule: a Route is immutable.
Not here: finding it (intake.router), reading an event (intake.text.members), judging it (the validator).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    from server.auth.guard import Guard
    from server.catalog.stream import Stream
    from server.intake.background.sampler import Check
    from server.intake.books.judged import Judged
    from server.intake.books.tally import Tally
    from server.intake.books.versions import Version
    from server.intake.text.enricher import Enricher
    from server.intake.text.fields import EventMembers
    from server.intake.text.members import MemberReader, Path
    from server.privacy.applied import RoutePrivacy
    from server.schemas.repository import Unfetched, Validator

# The positions in a Shortcut's result: the number of the missing members (intake.text.enricher), then values of the
# event, the last of which are those of the stream's key fields.
MISSING: Final = 0
SCHEMA_URI: Final = 1
STREAM: Final = 2
DT: Final = 3
KEYS: Final = 4
# Reader.read: validate an event and read its members in one decode.
Shortcut = Callable[[bytes], tuple[Any, ...] | None]


class Route:
    """The result for one schema and stream.

    ``key_fields`` are (member prefix of the key, path in the event) pairs; ``dt_at`` is where ``members`` puts the
    event's time; ``validator`` None: the stream's events are not validated; ``guard`` None: every client may write.
    ``unfetched`` is the schema if it has to be fetched first; such a route serves one event. ``shortcut`` returns
    schema URI, stream, time and key fields of an event that is valid once it is filled in; None: the route has none.
    ``name`` is the stream's.
    ``checks`` are those in the background. ``privacy`` None: all values are stored as they came.
    """

    def __init__(
        self,
        *,
        schema_uri: str,
        stream: Stream,
        topic: str,
        validator: Validator | None,
        shortcut: Shortcut | None,
        members: EventMembers,
        filling: Enricher,
        guard: Guard | None,
        key_fields: tuple[tuple[bytes, Path], ...],
        key_members: MemberReader | None,
        dt_at: int,
        max_event_bytes: int,
        tally: Tally,
        judged: Judged,
        version: Version,
        headers: list[tuple[str, bytes]],
        unfetched: Unfetched | None = None,
        checks: tuple[Check, ...] = (),
        privacy: RoutePrivacy | None = None,
    ) -> None:
        self.schema_uri: Final = schema_uri
        self.stream: Final = stream
        self.name: Final = stream.name
        self.topic: Final = topic
        self.validator: Final = validator
        self.shortcut: Final = shortcut
        self.members: Final = members
        self.filling: Final = filling
        self.guard: Final = guard
        self.key_fields: Final = key_fields
        self.key_members: Final = key_members
        self.dt_at: Final = dt_at
        self.max_event_bytes: Final = max_event_bytes
        self.tally: Final = tally
        self.judged: Final = judged
        self.version: Final = version
        self.headers: Final = headers
        self.unfetched: Final = unfetched
        self.checks: Final = checks
        self.privacy: Final = privacy


class Draft:
    """The enrichment by the schema alone, for events that no stream accepts: the enrichment that a stream adds is not
    known."""

    def __init__(self, validator: Validator, members: EventMembers, filling: Enricher, max_event_bytes: int) -> None:
        self.validator: Final = validator
        self.members: Final = members
        self.filling: Final = filling
        self.max_event_bytes: Final = max_event_bytes


class SchemaLookup(Protocol):
    """The signature of server.schemas.repository: it returns a Validator, or (error_type, reason), or a schema that has
    to be fetched."""

    def __call__(self, uri: str) -> Validator | Unfetched | tuple[str, str]: ...


class LatestLookup(Protocol):
    """The signature of server.schemas.repository.SchemaRepository.latest."""

    def __call__(self, title: str) -> Validator | None: ...


class StreamLookup(Protocol):
    """The signature of catalog.snapshot.Snapshot.find."""

    def __call__(self, name: str) -> Stream | None: ...


class ChecksLookup(Protocol):
    """The signature of intake.background.checks.BackgroundChecks.of."""

    def __call__(self, stream: Stream, schema_uri: str, validator: Validator | None) -> tuple[Check, ...]: ...


class GuardLookup(Protocol):
    """The signature of auth.access.Access.guard."""

    def __call__(self, stream: Stream) -> Guard | None: ...
