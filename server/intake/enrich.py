"""Fill in what the server knows, where the schema declares the field and the event lacks it.

Place: intake.route compiles a Filling once; intake.pipeline applies it to every event, before validation.
Rule: an explicit null counts as present; nothing is overwritten; nothing is filled in under what is not an object.
Not here: where the values come from (intake.arrival), how bytes are inserted (intake.splice).
"""

# hot path

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any, Final, Protocol

import msgspec
import uuid_utils
from msgspec import UNSET

from server.intake.arrival import Arrival
from server.intake.members import Members, Path, Values
from server.intake.splice import Edit, join_members, split_members

Source = Callable[[Arrival], bytes | None]


def new_id(_arrival: Arrival) -> bytes:
    """A UUIDv7 as JSON string: sorts by time, 0.25 µs against 2.5 for uuid.uuid4."""
    return b'"%s"' % str(uuid_utils.uuid7()).encode()


def receive_time(arrival: Arrival) -> bytes:
    """When the request came, as JSON string."""
    return arrival.received_dt


def client_ip(arrival: Arrival) -> bytes | None:
    """The client's address as JSON string."""
    return arrival.client_ip()


def header(name: bytes) -> Source:  # cold: once a route
    """A source that gives this header's value as JSON string."""
    return lambda arrival: arrival.header(name)


# A member that is the same for all events of a request: where its value stands in what Members returns,
# ``"name":value`` with a %b for each value of the request, and what picks those values.
Same = tuple[int, bytes, Callable[[Sequence[bytes | None]], Any]]
Each = tuple[int, Source]  # … that differs from event to event: where the value stands, and what makes the member.
# What one object may lack: where it stands (-1: the event itself), its path, and its members.
Level = tuple[int, Path, list[Same], list[Each]]

MAX_KEPT: Final = 64  # Sets of headers that clients send or leave out, each with the levels for it.


class Filling:
    """The fields to fill in, compiled to positions in what Members returns."""

    __slots__ = ("_kept", "_members", "_paths", "_request_sources", "_sources")

    def __init__(self, sources: Mapping[Path, Source], members: Members) -> None:
        self._members = members
        self._sources = dict(sources)
        self._paths = [path for path, source in sources.items() if source is not new_id]
        self._request_sources = [sources[path] for path in self._paths]
        self._kept: dict[tuple[bool, ...], list[Level]] = {}

    def collect(self, values: Values, arrival: Arrival, edits: list[Edit]) -> None:
        """Append to ``edits`` what the event lacks."""
        known = arrival.filling.get(self)
        if known is None:
            known = arrival.filling[self] = self._of_request(arrival)
        texts, levels = known
        for object_at, path, same, each in levels:
            target = None if object_at < 0 else values[object_at]
            if target is UNSET:
                continue
            parts = []
            for at, text, pick in same:
                if values[at] is UNSET:
                    parts.append(text % pick(texts))
            for at, make in each:
                if values[at] is UNSET:
                    parts.append(make(arrival))
            if parts:
                parts.append(b"")
                edits.append((path, target, b",".join(parts)))

    def _of_request(self, arrival: Arrival) -> tuple[list[bytes | None], list[Level]]:
        """The values of a request, and the levels for what its client sends."""
        texts = [source(arrival) for source in self._request_sources]
        there = tuple([text is not None for text in texts])
        levels = self._kept.get(there)
        if levels is None:
            if len(self._kept) >= MAX_KEPT:
                self._kept.clear()
            levels = self._kept[there] = self._make(there)
        return texts, levels

    def _make(self, there: tuple[bool, ...]) -> list[Level]:  # cold: once for a set of headers
        """Objects from the outside to the inside; one that is absent is a member of the one around it."""
        lacking = {path for path, is_there in zip(self._paths, there, strict=True) if not is_there}
        paths = [path for path in self._sources if path not in lacking]
        levels: list[Level] = []
        for parent in sorted({path[:depth] for path in paths for depth in range(len(path))}, key=len):
            same: list[Same] = []
            each: list[Each] = []
            for child in _below(parent, paths):
                at, (text, below) = self._members.at(child), _format(child, paths)
                if all(path in self._paths for path in below):
                    same.append((at, text, itemgetter(*[self._paths.index(path) for path in below])))
                else:
                    each.append((at, _maker(text, [self._sources[path] for path in below])))
            levels.append((self._members.at(parent) if parent else -1, parent, same, each))
        return levels


def _maker(text: bytes, sources: list[Source]) -> Source:  # cold: once for a set of headers
    """Makes a member, or an object of members, of which one differs from event to event."""
    if len(sources) == 1 and text.count(b"%") == 1:
        prefix, source = text.removesuffix(b"%b"), sources[0]
        return lambda arrival: prefix + source(arrival)  # type: ignore[operator]
    return lambda arrival: text % tuple([source(arrival) for source in sources])


def _below(parent: Path, paths: list[Path]) -> list[Path]:  # cold: once for a set of headers
    """The members of an object that are fields to fill in, or objects with such fields."""
    return list({path[: len(parent) + 1]: None for path in paths if path[: len(parent)] == parent})


def _format(path: Path, paths: list[Path]) -> tuple[bytes, list[Path]]:  # cold: once for a set of headers
    """``"name":%b``, or the same with an object of such members, and the fields in the order of the %b."""
    name = msgspec.json.encode(path[-1]).replace(b"%", b"%%") + b":"
    if path in paths:
        return name + b"%b", [path]
    members = [_format(child, paths) for child in _below(path, paths)]
    text = name + b"{" + b",".join([text for text, _ in members]) + b"}"
    return text, [field for _, below in members for field in below]


class Default(Protocol):
    """A schema's ``default`` for one property, and those of the properties inside it (validators.Default)."""

    @property
    def value(self) -> bytes | None: ...
    @property
    def inside(self) -> Mapping[str, Any]: ...


def fill_defaults(raw: bytes, defaults: Mapping[str, Default]) -> bytes:
    """Write in the schema's defaults, as AJV's useDefaults does: parents are not made unless they have a default.

    Four real schemas of 447 have any, so this way may cost a dict of raw members a level.
    """
    try:
        parts = split_members(raw)
    except msgspec.ValidationError:
        return raw
    changed = False
    for name, default in defaults.items():
        text = bytes(parts[name]) if name in parts else default.value
        if text is None:
            continue
        if default.inside:
            text = fill_defaults(text, default.inside)
        if name not in parts or text != bytes(parts[name]):
            parts[name] = msgspec.Raw(text)
            changed = True
    return join_members(parts) if changed else raw
