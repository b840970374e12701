"""Read a request for events: its streams, where to begin and to end, which events, and in which form.

Place: handler → HERE → start.
Rules: everything is checked before anything is read; a wrong value is refused and never replaced by a default. Of the
ways to say where to begin, ``Last-Event-ID`` goes before ``since``, because a browser that returns sends both.
Not here: what the positions mean in the log (start), the language of filters (filters).
"""

from __future__ import annotations

import difflib
import re
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, Literal
from urllib.parse import parse_qsl

import msgspec

from eventstreams.flow import positions
from eventstreams.flow.frames import Encoding
from eventstreams.members import Path
from eventstreams.refusal import bad_request
from eventstreams.web import since
from server.http.fields import elements
from server.text import percent

if TYPE_CHECKING:
    from eventstreams.streams import PublicStream, PublicStreams
    from server.http.request import Request

Kind = Literal["latest", "earliest", "since", "id"]
OnGap = Literal["error", "earliest", "latest"]

MOST_FIELDS: Final = 100
MOST_LIMIT: Final = 1_000_000
PARAMETERS: Final = (
    *("since", "until", "limit", "poll", "filter", "fields", "sample", "canary", "on_gap", "format", "compression"),
    *("last_event_id", "lastEventId", "request_id", "spec", "doc"),
)
_FIELD: Final = re.compile(r"[^\s,.\x00-\x1f]+(\.[^\s,.\x00-\x1f]+)*")
_YES, _NO = frozenset({"1", "true", "yes", ""}), frozenset({"0", "false", "no"})
JSON_TYPES: Final = {
    "application/json": b"application/json; charset=utf-8",
    "application/x-ndjson": b"application/x-ndjson; charset=utf-8",
    "application/ndjson": b"application/x-ndjson; charset=utf-8",
    "application/jsonl": b"application/jsonl; charset=utf-8",
}
SSE_TYPE: Final = b"text/event-stream; charset=utf-8"


class Asked(msgspec.Struct, frozen=True):
    """One request. ``since_ms`` and ``until_ms`` are times since 1970; ``is_explicit_gap``: the client chose
    ``on_gap``."""

    streams: tuple[PublicStream, ...]
    kind: Kind
    position: positions.Parsed | None
    since_ms: int | None
    until_ms: int | None
    limit: int | None
    is_poll: bool
    filter_text: str
    fields: tuple[Path, ...]
    sample: float
    has_canaries: bool
    on_gap: OnGap
    is_explicit_gap: bool
    content_type: bytes
    encoding: Encoding

    @property
    def is_sse(self) -> bool:
        return self.content_type is SSE_TYPE

    @property
    def topics(self) -> tuple[str, ...]:
        """Return the topics of all streams, in order."""
        return tuple(sorted({topic for stream in self.streams for topic in stream.topics}))


def names_of(path: bytes, prefix: bytes) -> list[str]:
    """Return the names of streams in a path."""
    try:
        return percent.decode(path[len(prefix) :]).decode().split(",")
    except UnicodeDecodeError:
        raise bad_request("The path is not UTF-8.") from None


def read(request: Request, names: list[str], public: PublicStreams, most_streams: int, *, compresses: bool) -> Asked:
    """Read a request. Raises RefusedError."""
    params, headers = request.params(), request.headers
    _refuse_misspelt(params)
    _refuse_repeated(request.query)
    now_ms = int(time.time() * 1000)
    given = headers.get(b"last-event-id", b"").decode("utf-8", "replace")
    given = given or params.get("last_event_id") or params.get("lastEventId") or ""
    kind, since_ms = _start(params, now_ms)
    position = _position(given) if given.strip() else None
    on_gap = params.get("on_gap", "error")
    if on_gap not in ("error", "earliest", "latest"):
        raise bad_request("on_gap must be one of: error, earliest, latest.")
    streams = tuple(public.find(names, most_streams))
    return Asked(
        streams=streams,
        kind="id" if position is not None else kind,
        position=position,
        since_ms=since_ms,
        until_ms=_time(params, "until", now_ms),
        limit=_limit(params),
        is_poll=_flag(params, "poll"),
        filter_text=params.get("filter", "").strip(),
        fields=_fields(params),
        sample=_sample(params),
        has_canaries=_flag(params, "canary"),
        on_gap=on_gap,  # type: ignore[arg-type]  # It was compared with all of them.
        is_explicit_gap="on_gap" in params,
        content_type=_content_type(headers, params),
        encoding=_encoding(headers, params) if compresses else "",
    )


def _refuse_misspelt(params: Mapping[str, str]) -> None:
    """Refuse a parameter that is nearly one of ours, which would silently change nothing. Others pass: proxies and
    scripts add their own."""
    for name in params:
        close = difflib.get_close_matches(name[:40].lower(), PARAMETERS, n=1, cutoff=0.75)
        if name not in PARAMETERS and close:
            raise bad_request(f"The parameter {name[:40]!r} is not known. Did you mean {close[0]}?")


def _refuse_repeated(query: bytes) -> None:
    """Refuse a parameter that is given twice, of which one would silently not count."""
    names = [name for name, _ in parse_qsl(query.decode("latin-1"), keep_blank_values=True)]
    for name in PARAMETERS:
        if names.count(name) > 1:
            raise bad_request(f"The parameter {name} is given more than once.")


def _position(text: str) -> positions.Parsed | None:
    try:
        found = positions.parse(text.strip())
    except positions.PositionError as error:
        raise bad_request(f"Last-Event-ID {error}.", "invalid_id", "Invalid Last-Event-ID") from None
    return found if found.entries else None


def _start(params: Mapping[str, str], now_ms: int) -> tuple[Kind, int | None]:
    text = params.get("since", "").strip()
    if text in ("", "latest"):
        return "latest", None
    if text == "earliest":
        return "earliest", None
    since_ms = _time(params, "since", now_ms)
    assert since_ms is not None
    if since_ms > now_ms + 1000:
        raise bad_request("since is in the future.", "invalid_timestamp", "Invalid Timestamp")
    return "since", since_ms


def _time(params: Mapping[str, str], name: str, now_ms: int) -> int | None:
    text = params.get(name, "").strip()
    if not text:
        return None
    try:
        return since.time_of(text, now_ms)
    except (ValueError, OverflowError):
        more = "a number of milliseconds, an ISO 8601 date, or a time before now such as -1h"
        more += ", earliest or latest" if name == "since" else ""
        detail = f"{name}={text[:80]!r} is not a time. Write {more}."
        raise bad_request(detail, "invalid_timestamp", "Invalid Timestamp") from None


def _limit(params: Mapping[str, str]) -> int | None:
    text = params.get("limit", "")
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= MOST_LIMIT and len(text) <= 7):
        raise bad_request(f"limit must be a whole number from 1 to {MOST_LIMIT}.")
    return int(text)


def _flag(params: Mapping[str, str], name: str) -> bool:
    text = params.get(name)
    if text is None or text.lower() in _NO:
        return False
    if text.lower() not in _YES:
        raise bad_request(f"{name} must be true or false.")
    return True


def _fields(params: Mapping[str, str]) -> tuple[Path, ...]:
    names = [name for name in params.get("fields", "").split(",") if name]
    for name in names:
        if _FIELD.fullmatch(name) is None:
            raise bad_request(f"fields has {name[:80]!r}, which is not a path. Write names with dots between: meta.id")
    if len(names) > MOST_FIELDS:
        raise bad_request(f"fields has more than {MOST_FIELDS} paths.")
    return tuple(sorted({tuple(name.split(".")) for name in names}))


def _sample(params: Mapping[str, str]) -> float:
    text = params.get("sample", "")
    if not text:
        return 1.0
    try:
        share = float(text)
    except ValueError:
        share = 0.0
    if not 0.0 < share <= 1.0:
        raise bad_request("sample must be a number above 0, and 1 at most: 0.01 is one event in a hundred.")
    return share


def _content_type(headers: Mapping[bytes, bytes], params: Mapping[str, str]) -> bytes:
    wanted = params.get("format", "")
    if wanted not in ("", "sse", "ndjson", "json"):
        raise bad_request("format must be one of: sse, ndjson.")
    if wanted:
        return SSE_TYPE if wanted == "sse" else JSON_TYPES["application/x-ndjson"]
    listed = [one.partition(b";")[0].strip().lower().decode("latin-1") for one in elements(headers.get(b"accept", b""))]
    if "text/event-stream" in listed:
        return SSE_TYPE
    return next((JSON_TYPES[one] for one in listed if one in JSON_TYPES), SSE_TYPE)


def _encoding(headers: Mapping[bytes, bytes], params: Mapping[str, str]) -> Encoding:
    wanted = params.get("compression", "")
    if wanted not in ("", "none", "gzip", "zstd"):
        raise bad_request("compression must be one of: none, gzip, zstd.")
    if wanted == "none":
        return ""
    accepted = set()
    for element in elements(headers.get(b"accept-encoding", b"")):
        name, _, rest = element.partition(b";")
        if not re.fullmatch(rb"\s*q\s*=\s*0(\.0*)?\s*", rest):
            accepted.add(name.strip().lower())
    if wanted:
        accepted &= {wanted.encode()}
    return "gzip" if b"gzip" in accepted else "zstd" if b"zstd" in accepted else ""
