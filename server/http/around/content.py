"""Which kinds of bodies are supported: content types and content encodings.

Place: http.head → HERE.
Rules: there is one table for each question. A header is parsed if its exact bytes are not in the table, and then
cached in it, in bounded number: clients write the same type in few ways.
Not here: the answer to an unsupported kind (http.around.refused_kinds), decompressing (http.around.decompress), reading
the content (intake.text.decode, intake.forms).
"""

# hot path

from __future__ import annotations

import re
from typing import Final

from server.http.fields import elements, named

JSON: Final = "application/json"
# Names of UTF-8 by IANA, by the Encoding Standard and as clients spell it, and of ASCII, which is valid UTF-8. The
# bytes are checked in any case (intake.text.decode).
CHARSETS: Final = frozenset(
    ("utf-8", "utf8", "utf_8", "csutf8", "unicode-1-1-utf-8", "us-ascii", "ascii", "csascii", "iso646-us", "iso-ir-6")
)

# The types that a body may have, and the format that each is read in: but for plain JSON, a module of intake.forms. A
# missing type counts as JSON. sendBeacon sends text/plain, because a browser makes no preflight for it.
PLAIN: Final = "json"
MEDIA_TYPES: Final[dict[str, str]] = {
    JSON: PLAIN,
    "text/plain": PLAIN,
    "application/x-ndjson": "ndjson",
    "application/ndjson": "ndjson",
    "application/jsonl": "ndjson",
    "application/reports+json": "reports",
    "application/csp-report": "csp_report",
    "application/cloudevents+json": "cloudevents",
    "application/cloudevents-batch+json": "cloudevents_batch",
}
FORMATS: Final = frozenset(MEDIA_TYPES.values()) - {PLAIN}
ENCODINGS: Final = ("identity", "gzip", "deflate", "br", "zstd")

_JSON_DATA: Final = re.compile(rb"\s*[^/;\s]+/(?:[^/;\s]+\+)?json\s*(?:;|$)", re.IGNORECASE)

MAX_CACHED: Final = 256
_MAX_CACHED_BYTES: Final = 128

# From the exact header value (None: absent) to one of the values of ``MEDIA_TYPES``; "": not supported. Nearly every
# client sends one of the first entries.
TAKEN: Final[dict[bytes | None, str]] = {
    None: PLAIN,
    b"application/json": PLAIN,
    b"text/plain;charset=UTF-8": PLAIN,
}


def format_of(content_type: bytes | None) -> str:
    """Return the format of a body with this Content-Type (RFC 9110 section 8.3.1); "": not supported."""
    known = TAKEN.get(content_type)
    if known is not None:
        return known
    assert content_type is not None  # It is in the table.
    name, parameters = named(content_type)
    answer = MEDIA_TYPES.get(name, "")
    for parameter, value in parameters:
        if parameter == "charset" and value and value.strip().lower() not in CHARSETS:
            answer = ""
    if len(TAKEN) < MAX_CACHED and len(content_type) <= _MAX_CACHED_BYTES:
        TAKEN[content_type] = answer
    return answer


def is_json(content_type: bytes) -> bool:
    """Whether data of this type is JSON: ``*/json`` or ``*/*+json`` (CloudEvents JSON event format, section 3.1.1)."""
    return _JSON_DATA.match(content_type) is not None


def encoding_of(content_encoding: bytes) -> str:
    """Return the one encoding that was applied to a body; "" if it is not supported, or if there is more than one."""
    applied = [name.decode("latin-1").lower().removeprefix("x-") for name in elements(content_encoding)]
    applied = [name for name in applied if name != "identity"] or ["identity"]
    return applied[0] if len(applied) == 1 and applied[0] in ENCODINGS else ""
