"""One stored event with its place in the log, in the form that consumers see.

Place: sources → HERE → ring, group, client.
Rules: a record is decoded once per worker, when the first client needs it, and its whole text is made once for all
clients. Members that are not touched keep their bytes: numbers of any size and precision pass unchanged. Members that a
stream redacts are removed here, before any filter can see them. An event whose stream is not one of those that the
topic serves is not shown, because topics may be shared with streams that are not public.
Not here: the choice of events for a client (projection), how they are framed (frames).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

import msgspec
from msgspec import Raw

Place = tuple[str, int]  # Topic and partition.
Path = tuple[str, ...]

CANARY: Final = "canary"
OVERHEAD_BYTES: Final = 300  # Of a record and its lists, beyond its value.

_members: Final = msgspec.json.Decoder(dict[str, Raw]).decode
_encode: Final = msgspec.json.encode
_decode: Final = msgspec.json.Decoder().decode


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
        self.whole = one_line(_encode(members))
        self.texts: dict[tuple[Path, ...], bytes] = {}  # By fields: several groups share them.
        self.verdicts: dict[str, bool] = {}  # By the text of a filter.
        self._decoded: Any = None

    def decoded(self) -> Any:
        """Return the event as filters see it: as shown, with everything that was added and without what is redacted."""
        if self._decoded is None:
            self._decoded = _decode(self.whole)
        return self._decoded

    @property
    def id(self) -> str:
        """Return ``meta.id``; "" without one."""
        return _text(self.members, ("meta", "id")) or ""


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
            (self.value or b"").decode()
            members = _members(self.value or b"")
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return "undecodable"
        policy = self._policy(members, policies)
        if policy is None:
            return "private"
        try:
            meta = _members(members["meta"]) if "meta" in members else {}
        except (msgspec.DecodeError, RecursionError):
            return "undecodable"
        is_canary = _text(members, ("meta", "domain")) == CANARY
        meta["topic"], meta["partition"] = Raw(_encode(self.topic)), Raw(b"%d" % self.partition)
        meta["offset"] = Raw(b"%d" % self.offset)
        if self.key is not None:
            meta["key"] = Raw(_encode(self.key.decode("utf-8", "replace")))
        members["meta"] = Raw(_encode(meta))
        for path in policy.redact:
            remove(members, path)
        event = Event(policy.stream, members, is_canary=is_canary)
        if policy.redact_when:
            event = _redacted(event, policy)
        return event

    def _policy(self, members: dict[str, Raw], policies: Policies) -> Policy | None:
        for path in policies.stream_fields:
            name = _text(members, path)
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


def remove(members: dict[str, Raw], path: Sequence[str]) -> None:
    """Remove the member at a path, if it is there."""
    name = path[0]
    if name not in members:
        return
    if len(path) == 1:
        del members[name]
        return
    inner = _object(members[name])
    if inner is not None:
        remove(inner, path[1:])
        members[name] = Raw(_encode(inner))


Tree = dict[str, Any]  # Name → tree of the names below it; empty: all of it.


def tree_of(paths: Sequence[Path]) -> Tree:
    """Return the paths as one tree. A path covers everything below it, so longer ones add nothing."""
    tree: Tree = {}
    for path in sorted(set(paths), key=len):
        at: Tree | None = tree
        for depth, name in enumerate(path):
            assert at is not None
            if name in at and not at[name]:
                break  # A shorter path covers it.
            at = at.setdefault(name, {})
            if depth == len(path) - 1 and at:
                at.clear()
    return tree


def picked(members: dict[str, Raw], tree: Tree) -> dict[str, Raw]:
    """Return the members that a tree names."""
    found: dict[str, Raw] = {}
    for name, below in tree.items():
        if name not in members:
            continue
        if not below:
            found[name] = members[name]
        elif (inner := _object(members[name])) is not None:
            found[name] = Raw(_encode(picked(inner, below)))
    return found


def text_of(members: dict[str, Raw]) -> bytes:
    """Return members as the text of one object, on one line."""
    return one_line(_encode(members))


def one_line(text: bytes) -> bytes:
    """Replace line breaks by blanks. They can only stand between tokens, because JSON strings contain none."""
    return text.replace(b"\n", b" ").replace(b"\r", b" ") if b"\n" in text or b"\r" in text else text


def _object(value: Raw) -> dict[str, Raw] | None:
    try:
        return _members(value)
    except (msgspec.DecodeError, RecursionError):
        return None


def _text(members: dict[str, Raw], path: Sequence[str]) -> str | None:
    """Return the text at a path; None where there is none."""
    at: dict[str, Raw] | None = members
    for name in path[:-1]:
        at = _object(at[name]) if at is not None and name in at else None
    if at is None or path[-1] not in at:
        return None
    found = _decode(at[path[-1]])
    return found if isinstance(found, str) else None
