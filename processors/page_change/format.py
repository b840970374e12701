"""Render steps as events: the output, and the side streams for late, inconsistent and invalid events.

Place: order → HERE → the runners, which validate and write them.
Rules: nothing depends on a clock or on chance: a replay gives the same bytes. ``meta.id`` is made from the stream and
the primary source event; ``meta.dt`` is the order time.
Not here: which member comes from where (tables).
"""

from __future__ import annotations

from hashlib import sha1
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import orjson
from msgspec import Struct

from processors.page_change.draft import GONE, PRESENT, REVISIONS, Draft, Invalid, State, Step
from processors.page_change.map import END_OF_CALENDAR_MS
from processors.page_change.remembered import Remembered
from processors.page_change.render import RENDER
from processors.page_change.tables import CHANGELOG, Members
from processors.page_change.times import text_of

if TYPE_CHECKING:
    from hashlib import _Hash

SCHEMA: Final = "/mediawiki/page/change/1.2.0"
LATE_SCHEMA: Final = "/penstock/page_change/late/1.0.0"
INCONSISTENT_SCHEMA: Final = "/penstock/page_change/inconsistent/1.0.0"
ERROR_SCHEMA: Final = "/error/2.1.0"
NAMESPACE: Final = UUID("5b1f7a4e-3c0d-5d1e-9a55-7a1d6b0f2c11")
_NAMESPACE_BYTES: Final = NAMESPACE.bytes
_VARIANT: Final = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}
_OF_SOURCE: Final = ("domain", "uri", "request_id")  # Members of its ``meta``.


class Names(Struct, frozen=True):
    """The streams that are written."""

    output: str = "mediawiki.page_change.v1"
    late: str = "penstock.page_change.late"
    inconsistent: str = "penstock.page_change.inconsistent"
    error: str = "penstock.page_change.error"


def identifier(stream: str, source: str) -> str:
    """Return the ``meta.id`` of what a source event becomes in a stream: a UUID of version 5 (RFC 9562)."""
    digest = _BEGUN[stream].copy()
    digest.update(source.encode())
    text = digest.hexdigest()
    return f"{text[:8]}-{text[8:12]}-5{text[13:16]}-{_VARIANT[text[16]]}{text[17:20]}-{text[20:32]}"


def _begun(stream: str) -> _Hash:
    return sha1(_NAMESPACE_BYTES + f"{stream}\n".encode(), usedforsecurity=False)


_BEGUN: Final = Remembered(_begun, 64)


def page_change(step: Step, stream: str) -> tuple[dict[str, Any], bool]:
    """Return the event of an emitted step, and whether the time of its revision is known: if not, ``rev_dt`` is the
    order time, which is not before it."""
    first = step.parts[0]
    event = first.members()
    time = first.at
    if first.kind != "undelete":
        for part in step.parts:
            if part.at < time:
                time = part.at
    at = text_of(time)
    out: dict[str, Any] = {
        "$schema": SCHEMA,
        "meta": _meta(stream, first, event["meta"], at),
        "page_change_kind": step.kind,
        "changelog_kind": CHANGELOG[step.kind],
    }
    if first.kind in REVISIONS:  # It is its own companion, and says when it was made.
        RENDER[first.kind](event, event, at, None, out)
        return out, True
    revision, head = _companion(step), _head(step.before, first)
    RENDER[first.kind](event, revision, at, head, out)
    return out, first.made is not None or revision is not None or head is not None


def _companion(step: Step) -> Members | None:
    """Return the revision-create that belongs to a move or an undelete."""
    first = step.parts[0]
    if first.more is not None:
        found: Members = orjson.loads(first.more)
        return found
    return next((part.members() for part in step.parts if part.kind in REVISIONS), None)


def _head(state: State, first: Draft) -> str | None:
    """Return the time of the head where the event is about it; of a visibility change, that of its revision."""
    given = first.members().get("rev_timestamp")
    if isinstance(given, str):
        return given
    return text_of(state.head_made) if first.rev == state.head and state.head_made >= 0 else None


def _meta(stream: str, first: Draft, given: Members, at: str) -> dict[str, Any]:
    found = {"stream": stream, "id": identifier(stream, first.source), "dt": at}
    for name in _OF_SOURCE:
        if name in given and (value := given[name]) and isinstance(value, str):
            found[name] = value
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


def error_event(stream: str, invalid: Invalid, at: int, source: str, quoted: int) -> dict[str, Any]:
    """Return the error event of an event that could not be used. ``quoted`` is the number of bytes of the event, and of
    characters of the reason, that it has at most."""
    at = at if 0 < at < END_OF_CALENDAR_MS else 0
    return {
        "$schema": ERROR_SCHEMA,
        "meta": {"stream": stream, "id": identifier(stream, source), "dt": text_of(at)},
        "dt": text_of(at),
        "emitter_id": "penstock page-change",
        "raw_event": invalid.raw[:quoted].decode("utf-8", "replace"),
        "message": invalid.reason[:quoted],
        "error_type": "invalid",
        "errored_stream_name": invalid.stream,
    }
