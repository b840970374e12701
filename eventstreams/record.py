"""One stored event with its place in the log, in the form that consumers see.

Place: sources → HERE → ring, group, client.
Rules: a record is decoded once per worker, when the first client needs it, and its whole text is made once for all
clients. Members that are not touched keep their bytes: numbers of any size and precision pass unchanged. Members that a
stream redacts are removed here, before any filter can see them. An event whose stream is not one of those that the
topic serves is not shown, because topics may be shared with streams that are not public.
An event that cannot be redacted as its stream asks, because it is nested too deeply, counts as undecodable.
Not here: how members are removed (members), the choice of events for a client (projection), how they are framed
(frames).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

import msgspec
from msgspec import Raw

from eventstreams.members import Path, decode, encode, members_of, remove, text_at, text_of

Place = tuple[str, int]  # Topic and partition.

CANARY: Final = "canary"
OVERHEAD_BYTES: Final = 300  # Of a record and its lists, beyond its value.


class Policy(msgspec.Struct, frozen=True):
    """The rules by which events of one stream are shown. ``redact`` are paths that are removed from every event;
    ``redact_when`` pairs a test of the whole event with paths that are removed where it holds."""

    stream: str
    redact: tuple[Path, ...] = ()
    redact_when: tuple[tuple[Any, tuple[Path, ...]], ...] = ()


class Policies(msgspec.Struct, frozen=True):
    """The policies of one topic by stream. ``stream_fields`` are the paths that may name an event's stream."""

    by_stream: Mapping[str, Policy]
    stream_fields: tuple[Path, ...]


class Event:
    """A decoded event. ``stream`` is the public stream that it belongs to."""

    __slots__ = ("_decoded", "is_canary", "members", "stream", "texts", "verdicts", "whole")

    def __init__(self, stream: str, members: dict[str, Raw], *, is_canary: bool) -> None:
        self.stream = stream
        self.members = members
        self.is_canary = is_canary
        self.whole = text_of(members)
        self.texts: dict[tuple[Path, ...], bytes] = {}  # By fields: several groups share them.
        self.verdicts: dict[str, bool] = {}  # By the text of a filter.
        self._decoded: Any = None

    def decoded(self) -> Any:
        """Return the event as filters see it: as shown, with everything that was added and without what is redacted.
        Raises RecursionError."""
        if self._decoded is None:
            self._decoded = decode(self.whole)
        return self._decoded

    @property
    def id(self) -> str:
        """Return ``meta.id``; "" without one."""
        return text_at(self.members, ("meta", "id")) or ""


Prepared = Event | Literal["undecodable", "private"]


class Record:
    """One stored event."""

    __slots__ = ("_prepared", "key", "offset", "partition", "timestamp_ms", "topic", "value")

    def __init__(
        self, topic: str, partition: int, offset: int, timestamp_ms: int, key: bytes | None, value: bytes | None
    ) -> None:
        self.topic = topic
        self.partition = partition
        self.offset = offset
        self.timestamp_ms = timestamp_ms
        self.key = key
        self.value = value
        self._prepared: Prepared | None = None

    @property
    def place(self) -> Place:
        return self.topic, self.partition

    @property
    def stream(self) -> str:
        """Return the stream of a record that was prepared and is an event; "" for others."""
        return self._prepared.stream if isinstance(self._prepared, Event) else ""

    @property
    def weight_bytes(self) -> int:
        """Return about how much memory the record takes once it is prepared."""
        return 2 * len(self.value or b"") + OVERHEAD_BYTES

    def prepared(self, policies: Policies) -> Prepared:
        """Return the event, or why there is none to show."""
        found = self._prepared
        if found is None:
            found = self._prepared = self._prepare(policies)
        return found

    def forget(self) -> None:
        """Forget what was prepared, because the policies have changed."""
        self._prepared = None

    def _prepare(self, policies: Policies) -> Prepared:
        try:
            return self._event(policies)
        except (ValueError, RecursionError):  # Of msgspec, of json, of UTF-8.
            return "undecodable"

    def _event(self, policies: Policies) -> Prepared:
        value = self.value or b""
        value.decode()
        members = members_of(value)
        policy = self._policy(members, policies)
        if policy is None:
            return "private"
        meta = members_of(members["meta"]) if "meta" in members else {}
        is_canary = text_at(members, ("meta", "domain")) == CANARY
        meta["topic"], meta["partition"] = Raw(encode(self.topic)), Raw(b"%d" % self.partition)
        meta["offset"] = Raw(b"%d" % self.offset)
        if self.key is not None:
            meta["key"] = Raw(encode(self.key.decode("utf-8", "replace")))
        members["meta"] = Raw(encode(meta))
        for path in policy.redact:
            remove(members, path)
        event = Event(policy.stream, members, is_canary=is_canary)
        if policy.redact_when:
            event = _redacted(event, policy)
        return event

    def _policy(self, members: dict[str, Raw], policies: Policies) -> Policy | None:
        for path in policies.stream_fields:
            name = text_at(members, path)
            if name is not None:
                return policies.by_stream.get(name)
        return next(iter(policies.by_stream.values())) if len(policies.by_stream) == 1 else None


def _redacted(event: Event, policy: Policy) -> Event:
    paths = [path for matches, several in policy.redact_when if matches(event.decoded()) for path in several]
    if not paths:
        return event
    for path in paths:
        remove(event.members, path)
    return Event(event.stream, event.members, is_canary=event.is_canary)
