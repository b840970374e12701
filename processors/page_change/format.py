"""Render steps as events: the output, and the side streams for late, inconsistent and invalid events.

Place: order → HERE → the runners, which validate and write them.
Rules: nothing depends on a clock or on chance: a replay gives the same bytes. ``meta.id`` is made from the stream and
the primary source event; ``meta.dt`` is the order time.
Not here: which member comes from where (tables).
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha1
from typing import Any, Final
from uuid import UUID

import orjson
from msgspec import Struct

from processors.page_change.draft import GONE, PRESENT, Draft, Invalid, Kind, State, Step
from processors.page_change.map import END_OF_CALENDAR_MS
from processors.page_change.tables import CHANGELOG, COPY, TABLES, Members, Row
from processors.page_change.times import text_of

SCHEMA: Final = "/mediawiki/page/change/1.2.0"
LATE_SCHEMA: Final = "/penstock/page_change/late/1.0.0"
INCONSISTENT_SCHEMA: Final = "/penstock/page_change/inconsistent/1.0.0"
ERROR_SCHEMA: Final = "/error/2.1.0"
NAMESPACE: Final = UUID("5b1f7a4e-3c0d-5d1e-9a55-7a1d6b0f2c11")
_NAMESPACE_BYTES: Final = NAMESPACE.bytes
MOST_RAW: Final = 100_000  # Bytes of a source event within an error event.


class Names(Struct, frozen=True):
    """The streams that are written."""

    output: str = "mediawiki.page_change.v1"
    late: str = "penstock.page_change.late"
    inconsistent: str = "penstock.page_change.inconsistent"
    error: str = "penstock.page_change.error"


class Place(Struct):
    """The values that the sources of a row are read from."""

    event: Members
    revision: Members | None
    at: str
    head: str | None


_Getter = Callable[[Place], Any]
_Take = Callable[[Any, Members], Any]
# A member: its name, the event's member if that is its only source, its rule, all sources, whether they begin with the
# revision-create. A group: the path of an object of the output, and its members.
_Member = tuple[str, str | None, _Take | None, list[_Getter], bool]
_Group = tuple[tuple[str, ...], list[_Member]]


def _getter(source: str) -> _Getter:
    """Return the function that reads one source of a table."""
    if source == "order time":
        return lambda place: place.at
    if source == "head":
        return lambda place: place.head
    if source.startswith("="):
        value = orjson.loads(source[1:])
        return lambda place: value
    prefix, _, dotted = source.rpartition(":")
    path = dotted.split(".")
    if prefix:
        (name,) = path
        return lambda place: None if place.revision is None else place.revision.get(name)
    if len(path) == 1:
        return lambda place: place.event.get(dotted)
    return lambda place: _walk(place.event, path)


def _walk(value: Any, path: list[str]) -> Any:
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _member(row: Row) -> _Member:
    only = row.sources[0] if len(row.sources) == 1 else ""
    is_plain = only.isidentifier() and only != "head"
    take = None if row.rule is COPY else row.rule.take
    getters = [_getter(source) for source in row.sources]
    is_of_revision = row.sources[0].startswith("revision-create:")
    return row.target.rpartition(".")[2], only if is_plain else None, take, getters, is_of_revision


def _compiled(rows: tuple[Row, ...]) -> list[_Group]:
    groups: dict[tuple[str, ...], list[_Member]] = {}
    for row in rows:
        groups.setdefault(tuple(row.target.split(".")[:-1]), []).append(_member(row))
    return list(groups.items())


_COMPILED: Final[dict[Kind, list[_Group]]] = {kind: _compiled(rows) for kind, rows in TABLES.items()}


def identifier(stream: str, source: str) -> str:
    """Return the ``meta.id`` of what a source event becomes in a stream: a UUID of version 5 (RFC 9562)."""
    digest = sha1(_NAMESPACE_BYTES + f"{stream}\n{source}".encode(), usedforsecurity=False).digest()
    number = int.from_bytes(digest[:16], "big") & ~(0xF << 76) & ~(0x3 << 62) | (5 << 76) | (2 << 62)
    text = f"{number:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def page_change(step: Step, stream: str) -> tuple[dict[str, Any], bool]:
    """Return the event of an emitted step, and whether the time of its revision is known: if not, ``rev_dt`` is the
    order time, which is not before it."""
    first = step.parts[0]
    event = first.members()
    at = text_of(_at(step))
    place = Place(event, _companion(step), at, _head(step.before, first))
    out: dict[str, Any] = {
        "$schema": SCHEMA,
        "meta": _meta(stream, first, at),
        "page_change_kind": step.kind,
        "changelog_kind": CHANGELOG[step.kind],
    }
    for path, members in _COMPILED[first.kind]:
        found = _members(members, place, event)
        if not path:
            out.update(found)
        elif found:
            parent = out
            for name in path[:-1]:
                parent = parent.setdefault(name, {})
            parent[path[-1]] = found
    is_known = first.made is not None or place.revision is not None or place.head is not None
    return out, is_known


def _members(members: list[_Member], place: Place, event: Members) -> dict[str, Any]:
    """Return the members of one object of the output."""
    found: dict[str, Any] = {}
    for name, plain, take, getters, is_of_revision in members:
        if plain is not None:
            given = event.get(plain)
            if given is not None and (take is None or (given := take(given, event)) is not None):
                found[name] = given
            continue
        source = (place.revision or event) if is_of_revision else event
        for get in getters:
            given = get(place)
            if given is not None and (take is None or (given := take(given, source)) is not None):
                found[name] = given
                break
    return found


def _at(step: Step) -> int:
    return min(part.at for part in step.parts) if step.parts[0].kind != "undelete" else step.parts[0].at


def _companion(step: Step) -> Members | None:
    """Return the revision-create that belongs to a move or an undelete."""
    first = step.parts[0]
    if first.more is not None:
        found: Members = orjson.loads(first.more)
        return found
    return next((part.members() for part in step.parts if part.kind in ("revision", "create")), None)


def _head(state: State, first: Draft) -> str | None:
    """Return the time of the head where the event is about it; of a visibility change, that of its revision."""
    given = first.members().get("rev_timestamp")
    if isinstance(given, str):
        return given
    return text_of(state.head_made) if first.rev == state.head and state.head_made >= 0 else None


def _meta(stream: str, first: Draft, at: str) -> dict[str, Any]:
    given = first.members()["meta"]
    found = {"stream": stream, "id": identifier(stream, first.source), "dt": at}
    for name in ("domain", "uri", "request_id"):
        if isinstance(given.get(name), str) and given[name]:
            found[name] = given[name]
    return found


def aside(stream: str, schema: str, draft: Draft, verdict: str, state: State, watermark: int) -> dict[str, Any]:
    """Return the event of a side stream: one source event that was late or inconsistent, and the state it met."""
    return {
        "$schema": schema,
        "meta": {"stream": stream, "id": identifier(stream, draft.source), "dt": text_of(draft.at)},
        "wiki_id": draft.wiki,
        "page_id": draft.page_id,
        "kind": draft.kind,
        "rev_id": draft.rev,
        "verdict": verdict,
        "state": {
            "status": "present" if state.exists == PRESENT else "gone" if state.exists == GONE else "unknown",
            "head_rev_id": state.head,
            "top_rev_id": state.top,
        },
        **({"watermark": text_of(watermark)} if watermark >= 0 else {}),
        "event": draft.raw.decode("utf-8", "replace"),
    }


def error_event(stream: str, invalid: Invalid, at: int, source: str) -> dict[str, Any]:
    """Return the error event of an event that could not be used."""
    at = at if 0 < at < END_OF_CALENDAR_MS else 0
    return {
        "$schema": ERROR_SCHEMA,
        "meta": {"stream": stream, "id": identifier(stream, source), "dt": text_of(at)},
        "dt": text_of(at),
        "emitter_id": "penstock page-change",
        "raw_event": invalid.raw[:MOST_RAW].decode("utf-8", "replace"),
        "message": invalid.reason,
        "error_type": "invalid",
        "errored_stream_name": invalid.stream,
    }
