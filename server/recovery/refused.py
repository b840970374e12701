"""A refused event, as an error event holds it: its text, its time, and the identity by which it is recovered once.

Place: recovery.run → HERE → recovery.repair, recovery.members.
Rules: the same error event gives the same refused event in every run. An event that has an ID is recovered once for
that ID, however many error events hold it; one without is recovered once for each error event.
Not here: whether it is valid now (recovery.run), which ones are stored already (recovery.stored).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Final

import msgspec
from msgspec import Struct

from server.recovery.members import Path, check_object, edit, first_text, text_at
from server.recovery.repair import Repair, repaired

MAX_RAW_CHARS: Final = 65_536  # Error events hold no more characters; a text of this length was probably cut.

_DIGEST_BYTES: Final = 16
_STREAM: Final = ("errored_stream_name",)
_RAW: Final = ("raw_event",)
_TIMES: Final = (("dt",), ("meta", "dt"))


class Repairs(Struct, frozen=True):
    """The changes of each event before it is judged. ``schema`` is the version to judge by, ``id_field`` the path of
    an event's ID, ``schema_fields`` the paths of its schema URI."""

    id_field: Path
    schema_fields: Sequence[Path]
    schema: str | None = None
    repairs: Sequence[Repair] = ()


class Refused(Struct, frozen=True):
    """One refused event. ``name`` names its error event; ``raw`` is its text after the repairs, or as it was found if
    ``trouble`` says why it is none. ``received_ms`` is Unix time."""

    name: str
    raw: bytes
    received_ms: int
    received_dt: bytes
    keys: frozenset[bytes]
    trouble: str = ""


def stream_of(error_event: bytes) -> str | None:
    """Return the stream that the refused event named."""
    return text_at(error_event, _STREAM)


def refused_of(error_event: bytes, repairs: Repairs) -> Refused | None:
    """Return the event that an error event holds. None: it holds none, or does not say when it was received."""
    raw = text_at(error_event, _RAW)
    received = _time(first_text(error_event, _TIMES))
    if raw is None or received is None:
        return None
    name = text_at(error_event, repairs.id_field) or blake2b(error_event, digest_size=_DIGEST_BYTES).hexdigest()
    text, trouble = raw.encode("utf-8", "replace"), ""
    try:
        check_object(text)
        text = repaired(_of_version(text, repairs), repairs.repairs)
    except (msgspec.DecodeError, RecursionError):
        trouble = "it was cut, because it is too long" if len(raw) >= MAX_RAW_CHARS else "it is no JSON object"
    keys = {key_of_name(name)}
    if not trouble and (event_id := text_at(text, repairs.id_field)):
        keys.add(key_of_id(event_id))
    moment_ms = int(received.timestamp() * 1000)
    return Refused(name, text, moment_ms, _written(received), frozenset(keys), trouble)


def key_of_id(event_id: str) -> bytes:
    """Return the key of an event's own ID."""
    return blake2b(f"id {event_id}".encode("utf-8", "replace"), digest_size=_DIGEST_BYTES).digest()


def key_of_name(name: str) -> bytes:
    """Return the key of an error event."""
    return blake2b(f"error {name}".encode("utf-8", "replace"), digest_size=_DIGEST_BYTES).digest()


def _of_version(text: bytes, repairs: Repairs) -> bytes:
    """Let the event name the version that it is to be judged by."""
    path = next((path for path in repairs.schema_fields if text_at(text, path) is not None), None)
    if repairs.schema is None or path is None:
        return text
    title = (text_at(text, path) or "").rpartition("/")[0]
    changed = msgspec.Raw(msgspec.json.encode(f"{title}/{repairs.schema}"))
    return edit(text, path, lambda before: changed)


def _time(text: str | None) -> datetime | None:
    try:
        found = datetime.fromisoformat(text) if text is not None else None
    except ValueError:
        return None
    return found.replace(tzinfo=UTC) if found is not None and found.tzinfo is None else found


def _written(moment: datetime) -> bytes:
    """Return the time as the intake writes times of receipt, as JSON."""
    in_utc = moment.astimezone(UTC)
    return b'"%s.%03dZ"' % (in_utc.strftime("%Y-%m-%dT%H:%M:%S").encode(), in_utc.microsecond // 1000)
