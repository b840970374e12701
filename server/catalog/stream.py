"""One stream, with its settings in the form that the intake uses for its events.

Place: catalog.snapshot → HERE → intake.router.
Rule: a stream is made once for a name and never changed; its settings were checked before (catalog.check_streams).
Not here: merging and lookup (catalog.snapshot).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final, Literal

from msgspec import Struct

from server.catalog.topics import produced

EventPath = tuple[str, ...]
Validation = Literal["enforce", "observe", "off"]
SHADOW_RATE: Final = 0.1  # Enough for shares of one in a thousand within minutes, at a tenth of the cost.

EXPECT_RATE: Final = 1.0  # An odd event of a quiet stream is not to be missed; a busy worker chooses fewer by itself.


class Stream(Struct, frozen=True):
    """One stream. ``declared`` is the name or regex in the file; ``settings`` are the merged ones, shared and never
    changed.

    ``schema_title`` None: the stream is not declared and takes any schema. ``key_fields`` pairs a key's name with the
    event's path; ``header_fields`` pairs an event's path with a header's lower-case name. ``service`` None: every
    service takes its events. ``on_broker_down`` None: the service's setting holds, which differs between guaranteed and
    hasty events. ``auth``: any of these ways is enough to write; None: the service's setting holds. ``api_keys``,
    ``networks`` and ``identities``, where set, are the only ones that may write. ``origins``, where set, are moreover
    the only pages that may write. ``shadow_schema``: the version, or ``latest``, by which the share ``shadow_rate`` of
    the events is judged in the background; ``expect_rate``: the share that is judged by the expectations of its schema.
    ``privacy``: which set of annotations is obeyed (server.privacy).
    """

    name: str
    declared: str
    schema_title: str | None
    topic: str
    key_fields: tuple[tuple[str, EventPath], ...]
    service: str | None
    header_fields: tuple[tuple[EventPath, bytes], ...]
    validation: Validation
    enabled: bool
    max_event_bytes: int | None
    on_broker_down: Literal["refuse", "spool"] | None
    auth: tuple[str, ...] | None
    api_keys: tuple[str, ...]
    networks: tuple[str, ...]
    identities: tuple[str, ...]
    origins: tuple[str, ...]
    shadow_schema: str | None
    shadow_rate: float
    expect_rate: float
    privacy: Literal["declared", "strict"]
    settings: dict[str, Any]

    @property
    def is_invented(self) -> bool:
        """Whether no declaration holds this name: a regex matches it, or nothing is declared and any name will do."""
        return self.name != self.declared or not self.settings


def make(name: str, declared: str, settings: dict[str, Any], topic_prefix: str) -> Stream:
    """Make the stream of these merged settings."""
    intake = intake_settings(settings)
    headers = intake.get("enrich_fields_from_http_headers") or {}
    enabled = intake.get("enabled")
    return Stream(
        name=name,
        declared=declared,
        schema_title=settings.get("schema_title"),
        topic=produced(settings, name, topic_prefix),
        key_fields=tuple(
            (key, path_of(field)) for key, field in (settings.get("message_key_fields") or {}).items() if field
        ),
        service=settings.get("destination_event_service"),
        header_fields=tuple((path_of(field), header.lower().encode()) for field, header in headers.items() if header),
        validation=intake.get("validation") or "enforce",
        enabled=enabled is None or enabled,
        max_event_bytes=intake.get("max_event_bytes"),
        on_broker_down=intake.get("on_broker_down"),
        auth=_ways(intake),
        api_keys=_restriction(intake, "api_keys"),
        networks=_restriction(intake, "networks"),
        identities=_restriction(intake, "identities"),
        origins=_restriction(intake, "origins"),
        shadow_schema=intake.get("shadow_schema"),
        shadow_rate=SHADOW_RATE if (rate := intake.get("shadow_rate")) is None else float(rate),
        expect_rate=EXPECT_RATE if (rate := intake.get("expect_rate")) is None else float(rate),
        privacy=intake.get("privacy") or "declared",
        settings=settings,
    )


def _restriction(intake: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """The items of a list; none for ``["*"]``, which says that nothing is restricted."""
    given = intake.get(name) or ()
    return () if given == ["*"] else tuple(given)


def _ways(intake: Mapping[str, Any]) -> tuple[str, ...] | None:
    """Return the ways of ``auth``; a stream that only names keys asks for keys."""
    given = intake.get("auth") or ("api_keys" if intake.get("api_keys") else None)
    return (given,) if isinstance(given, str) else given and tuple(given)


def intake_settings(settings: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return ``producers.eventgate``, empty where it is absent."""
    return (settings.get("producers") or {}).get("eventgate") or {}


@lru_cache(maxsize=4_096)  # Thousands of streams hold the names of the same few fields.
def path_of(dotted: str) -> EventPath:
    """Split a dotted path: ``http.request_headers.user-agent`` has three names."""
    return tuple(dotted.split("."))
