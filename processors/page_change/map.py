"""Turn one event of an input stream into a draft, or say why it is none.

Place: the runners → HERE → order.
Rules: nothing is raised: an event that cannot be used is ``Invalid``, with a reason that names the field. The order
time is that of the record; an input without record times uses ``meta.dt``. There are two ways and one draft: a typed
decode reads what a draft needs in a quarter of the time, and what it does not accept is decoded as a whole and judged.
Not here: the members of the output (tables, format), the order (order).
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final

import msgspec
import orjson
from msgspec import Struct

from processors.page_change.draft import REVISIONS, Draft, Heartbeat, Invalid, Kind
from processors.page_change.remembered import Remembered
from processors.page_change.times import millis_of

# Kind of an input → the title of its schema.
TITLES: Final[dict[Kind, str]] = {
    "create": "mediawiki/revision/create",
    "revision": "mediawiki/revision/create",
    "move": "mediawiki/page/move",
    "delete": "mediawiki/page/delete",
    "suppress": "mediawiki/page/delete",
    "undelete": "mediawiki/page/undelete",
    "visibility": "mediawiki/revision/visibility-change",
}
STREAMS: Final[dict[str, Kind]] = {
    "mediawiki.page-create": "create",
    "mediawiki.revision-create": "revision",
    "mediawiki.page-move": "move",
    "mediawiki.page-delete": "delete",
    "mediawiki.page-suppress": "suppress",
    "mediawiki.page-undelete": "undelete",
    "mediawiki.revision-visibility-change": "visibility",
}
_WITH_TIMES: Final = REVISIONS | {"visibility"}  # Kinds whose events say when their revision was made.
MOST_ID: Final = (1 << 63) - 1  # Of a database and of Java.
END_OF_CALENDAR_MS: Final = 253_402_300_800_000
CANARY: Final = "canary"  # meta.domain of the events that an operator sends to see that a stream is alive.


class _Meta(Struct, gc=False):
    stream: str
    id: str
    domain: str = ""


class _Object(Struct, gc=False):
    """An object whose members are not read."""


class _Bits(Struct, gc=False):
    text: bool
    user: bool
    comment: bool


class _Needed(Struct, gc=False):
    """The members that a draft is made of. A number like ``1.0`` stays a float, which is no identifier."""

    schema: str = msgspec.field(name="$schema")
    meta: _Meta
    database: str
    page_id: int | float
    rev_id: int | float
    page_title: str
    rev_timestamp: str = ""
    rev_parent_id: int | float | str | None = None
    prior_state: _Object | None = None
    visibility: _Bits | None = None


_read: Final = msgspec.json.Decoder(_Needed).decode


def map_event(raw: bytes, at: int | None, streams: Mapping[str, Kind] = STREAMS) -> Draft | Invalid | Heartbeat:
    """Map one record. ``at`` is its time in milliseconds, or None."""
    draft = None if at is None else _map_plain(raw, at, streams)
    return map_whole(raw, at, streams) if draft is None else draft


def _map_plain(raw: bytes, at: int, streams: Mapping[str, Kind]) -> Draft | None:
    """Map a change that has what its schema asks for. Returns None for any other record."""
    try:
        if not raw.isascii():
            raw.decode()  # The typed decode does not look at the UTF-8 of members that it skips.
        event = _read(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    meta, page_id, rev = event.meta, event.page_id, event.rev_id
    stream = meta.stream
    kind = streams.get(stream)
    if kind is None or meta.domain == CANARY or _TITLES[event.schema] != TITLES[kind]:
        return None
    if type(page_id) is not int or type(rev) is not int:
        return None
    if not (0 < page_id <= MOST_ID and 0 < rev <= MOST_ID and 0 < at < END_OF_CALENDAR_MS):
        return None
    wiki, source = event.database, meta.id
    if not (wiki and event.page_title and source):
        return None
    made = millis_of(event.rev_timestamp) if kind in _WITH_TIMES else None
    if made is None and kind in REVISIONS:
        return None
    if (kind == "move" and event.prior_state is None) or (kind == "visibility" and event.visibility is None):
        return None
    has_parent = bool(event.rev_parent_id)
    return Draft(kind, wiki, page_id, rev, at, made, source, stream, raw, has_parent)


def _title_of(uri: str) -> str:
    return uri.strip("/").rpartition("/")[0]


_TITLES: Final = Remembered(_title_of, 256)


def map_whole(raw: bytes, at: int | None, streams: Mapping[str, Kind] = STREAMS) -> Draft | Invalid | Heartbeat:
    """Map one record in the way that accepts everything: the whole event is decoded."""
    try:
        event = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return Invalid("", "it is not JSON", raw)
    meta = event.get("meta") if isinstance(event, dict) else None
    if not isinstance(meta, dict):
        return Invalid("", ".meta is missing", raw)
    stream = meta.get("stream")
    if not isinstance(stream, str) or (kind := streams.get(stream)) is None:
        return Invalid("", f".meta.stream {stream!r} is not one of the inputs", raw)
    if meta.get("domain") == CANARY:
        return Heartbeat(stream)
    uri = event.get("$schema")
    if not isinstance(uri, str) or _TITLES[uri] != TITLES[kind]:
        return Invalid(stream, f".$schema {uri!r} is not a version of {TITLES[kind]}", raw)
    return _draft(event, meta, stream, kind, at, raw)


def digest_of(raw: bytes) -> str:
    """Return a name for an event without an ID: equal events have one name, wherever they are read."""
    return f"sha256:{sha256(raw).hexdigest()}"


def _draft(
    event: dict[str, Any], meta: dict[str, Any], stream: str, kind: Kind, at: int | None, raw: bytes
) -> Draft | Invalid:
    wiki, page_id, rev = event.get("database"), event.get("page_id"), event.get("rev_id")
    if not isinstance(wiki, str) or not wiki:
        return Invalid(stream, ".database is missing", raw)
    if type(page_id) is not int or not 0 < page_id <= MOST_ID:
        return Invalid(stream, ".page_id is not a number of a page", raw)
    if type(rev) is not int or not 0 < rev <= MOST_ID:
        return Invalid(stream, ".rev_id is not a number of a revision", raw)
    if not isinstance(event.get("page_title"), str) or not event["page_title"]:
        return Invalid(stream, ".page_title is missing", raw)
    if at is None and (at := millis_of(meta.get("dt"))) is None:
        return Invalid(stream, ".meta.dt is not a time", raw)
    if not 0 < at < END_OF_CALENDAR_MS:
        return Invalid(stream, "the time of the record is in no calendar", raw)
    made = None
    if kind in REVISIONS and (made := millis_of(event.get("rev_timestamp"))) is None:
        return Invalid(stream, ".rev_timestamp is not a time", raw)
    if kind == "visibility":
        made = millis_of(event.get("rev_timestamp"))
    if fault := _fault(event, kind):
        return Invalid(stream, fault, raw)
    given = meta.get("id")
    source = given if isinstance(given, str) and given else digest_of(raw)
    has_parent = bool(event.get("rev_parent_id"))
    return Draft(kind, wiki, page_id, rev, at, made, source, stream, raw, has_parent)


def _fault(event: dict[str, Any], kind: Kind) -> str:
    """Return what is wrong with the members that one kind needs; "" for nothing."""
    if kind == "move" and not isinstance(event.get("prior_state"), dict):
        return ".prior_state is missing"
    if kind == "visibility":
        bits = event.get("visibility")
        if not isinstance(bits, dict) or any(type(bits.get(name)) is not bool for name in ("text", "user", "comment")):
            return ".visibility lacks one of text, user and comment"
    return ""
