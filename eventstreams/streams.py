"""The streams that consumers may see, by the settings of each stream.

Place: server.catalog.snapshot → HERE → ask, hub, pages.
Rules: a stream is public only if ``consumers.eventstreams.enabled`` is true; streams by regex have no topic of their
own and are never public. A name that is not public is answered as one that does not exist, so that nothing tells
whether it does. Names with ``*`` stand for all public names that they match. Settings that this program reads are
checked: an unknown key there is an error, because it may be a misspelt restriction. So is a path to redact that names
one element of a list: names lead into all of them.
Not here: who may read a stream that asks for a key (server.auth.guard), merging settings (server.catalog).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

import msgspec

from eventstreams.members import Path
from eventstreams.record import Policies, Policy
from eventstreams.refusal import bad_request
from server.catalog.regex import is_regex
from server.catalog.stream import path_of
from server.catalog.topics import effective, is_legal
from server.errors import SettingsError

if TYPE_CHECKING:
    from server.catalog.snapshot import Snapshot
    from server.catalog.stream import Stream

WILDCARD: Final = "*"
_NAME: Final = re.compile(r"[A-Za-z0-9._*-]{1,249}")


class RedactWhen(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Paths that are removed from events that match a filter."""

    filter: str
    paths: list[str]


class ConsumerSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``consumers.eventstreams`` of a stream. ``auth``, ``api_keys`` and ``networks`` mean for readers what the same
    names in ``producers.eventgate`` mean for writers."""

    enabled: bool = False
    auth: str | list[str] = "none"
    api_keys: list[str] = []
    networks: list[str] = []
    redact: list[str] = []
    redact_when: list[RedactWhen] = []


WAYS: Final = frozenset({"none", "api_keys", "jwt", "networks"})


class PublicStream(msgspec.Struct, frozen=True):
    """One stream. ``reading`` is the stream as its guard sees it: the same, with the conditions for readers; None where
    everyone may read. ``consumers`` are the settings by which two readings are compared."""

    name: str
    topics: tuple[str, ...]
    schema_title: str | None
    description: str
    has_canaries: bool
    consumers: ConsumerSettings
    policy: Policy
    reading: Stream | None


CompileFilter = Callable[[str], Any]


class PublicStreams:
    """All of them. ``by_name`` has names and aliases; ``policies`` are those of each topic."""

    def __init__(self, streams: Iterable[tuple[PublicStream, Iterable[str]]], stream_fields: tuple[Path, ...]) -> None:
        self.by_name: dict[str, PublicStream] = {}
        self.streams: dict[str, PublicStream] = {}
        by_topic: dict[str, dict[str, Policy]] = {}
        for stream, aliases in streams:
            self.streams[stream.name] = self.by_name[stream.name] = stream
            for alias in aliases:
                self.by_name.setdefault(alias, stream)
            for topic in stream.topics:
                by_topic.setdefault(topic, {})[stream.name] = stream.policy
        self.policies = {topic: Policies(policies, stream_fields) for topic, policies in by_topic.items()}

    def find(self, names: Iterable[str], most: int) -> list[PublicStream]:
        """Return the streams of the names that a client gives, each once. Raises RefusedError."""
        asked = [name for name in names if name]
        found: dict[str, PublicStream] = {}
        unknown = []
        for name in dict.fromkeys(asked):
            matching = self._matching(name)
            if not matching:
                unknown.append(name)
            found |= {stream.name: stream for stream in matching}
        if unknown or not asked:
            raise bad_request(f"Invalid streams: {','.join(unknown)}", "not_found", "Stream Not Found")
        if len(found) > most:
            raise bad_request(f"The request names {len(found)} streams; at most {most} can be read at once.")
        return list(found.values())

    def _matching(self, name: str) -> list[PublicStream]:
        if WILDCARD not in name:
            stream = self.by_name.get(name)
            return [] if stream is None else [stream]
        if _NAME.fullmatch(name) is None or name.count(WILDCARD) > 5:
            return []
        # Parts between stars are looked for from left to right: no search goes back, however the name is made.
        return [stream for known, stream in self.streams.items() if _matches(known, name.split(WILDCARD))]


def _matches(name: str, parts: list[str]) -> bool:
    first, *middle, last = parts
    if not name.startswith(first) or len(name) < len(first) + len(last) or not name.endswith(last):
        return False
    at, end = len(first), len(name) - len(last)
    for part in middle:
        at = name.find(part, at, end)
        if at < 0:
            return False
        at += len(part)
    return True


def public_streams(snapshot: Snapshot, stream_fields: str | list[str], compile_filter: CompileFilter) -> PublicStreams:
    """Return the public streams of a snapshot. Raises SettingsError."""
    fields = (stream_fields,) if isinstance(stream_fields, str) else tuple(stream_fields)
    found = []
    for stream in snapshot.streams():
        if is_regex(stream.name):
            continue
        consumers = consumer_settings(stream.name, stream.settings)
        if consumers.enabled:
            found.append((_public(stream, consumers, compile_filter), stream.settings.get("stream_aliases") or ()))
    return PublicStreams(found, tuple(map(path_of, fields)))


def consumer_settings(name: str, settings: Mapping[str, Any]) -> ConsumerSettings:
    """Return ``consumers.eventstreams`` of a stream's settings. Raises SettingsError."""
    consumers = settings.get("consumers")
    given = consumers.get("eventstreams") if isinstance(consumers, dict) else None
    try:
        found = msgspec.convert(given or {}, ConsumerSettings)
    except msgspec.ValidationError as error:
        raise SettingsError(f"stream {name}: consumers.eventstreams: {error}") from None
    ways = {found.auth} if isinstance(found.auth, str) else set(found.auth)
    if unknown := ways - WAYS or (set() if ways else {"nothing"}):
        known = ", ".join(sorted(WAYS))
        raise SettingsError(
            f"stream {name}: consumers.eventstreams.auth: {', '.join(sorted(unknown))} is not one of: {known}"
        )
    if found.api_keys and "api_keys" not in ways:
        raise SettingsError(f"stream {name}: consumers.eventstreams.api_keys has no effect without auth: api_keys")
    if found.networks and "networks" not in ways:
        raise SettingsError(f"stream {name}: consumers.eventstreams.networks has no effect without auth: networks")
    return found


def compile_redactions(
    name: str, consumers: ConsumerSettings, compile_filter: CompileFilter
) -> tuple[tuple[Any, tuple[Path, ...]], ...]:
    """Return ``redact_when`` as pairs of a test and paths. Raises SettingsError."""
    try:
        return tuple(
            (compile_filter(one.filter), tuple(redaction_path(name, path) for path in one.paths))
            for one in consumers.redact_when
        )
    except ValueError as error:
        raise SettingsError(f"stream {name}: consumers.eventstreams.redact_when: {error}") from None


def redaction_path(name: str, text: str) -> Path:
    """Return a path to redact of a stream; ``tags[*].name`` is ``tags.name``. Raises SettingsError."""
    path = path_of(text.replace("[*]", ""))
    if "[" in text.replace("[*]", "") or "" in path:
        raise SettingsError(
            f"stream {name}: consumers.eventstreams: {text!r} is no path to redact. Write names with dots between; "
            "a name leads into all elements of a list"
        )
    return path


def _public(stream: Stream, consumers: ConsumerSettings, compile_filter: CompileFilter) -> PublicStream:
    ways = (consumers.auth,) if isinstance(consumers.auth, str) else tuple(consumers.auth)
    reading = None
    if "none" not in ways:
        reading = msgspec.structs.replace(
            stream,
            auth=ways,
            api_keys=tuple(consumers.api_keys),
            networks=tuple(consumers.networks),
            identities=(),
            origins=(),
        )
    topics = [topic for topic in effective(stream.settings, stream.name) if is_legal(topic)]
    if stream.topic not in topics and is_legal(stream.topic):
        topics.append(stream.topic)
    when = compile_redactions(stream.name, consumers, compile_filter)
    return PublicStream(
        name=stream.name,
        topics=tuple(topics),
        schema_title=stream.schema_title,
        description=str(stream.settings.get("description") or f"{stream.name} events."),
        has_canaries=bool(stream.settings.get("canary_events_enabled")),
        consumers=consumers,
        policy=Policy(stream.name, tuple(redaction_path(stream.name, path) for path in consumers.redact), when),
        reading=reading,
    )
