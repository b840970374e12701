"""Which kinds of bodies are taken: content types and content encodings.

Place: http.head → HERE.
Rules: one table a question. A header is parsed when its exact bytes are not in the table, and then remembered,
within a bound: clients write the same type in few ways.
Not here: what a client is told of a kind that is not taken (http.around.refused_kinds), undoing an encoding
(http.around.decompress), reading what is inside (intake.text.decode, intake.forms).
"""

# hot path

from __future__ import annotations

import re
from typing import Final

from server.http.fields import elements, named

JSON: Final = "application/json"
# UTF-8 as IANA and the Encoding Standard name it and as clients spell it, and ASCII, which is UTF-8 as it stands. The
# bytes are looked at in any case (intake.text.decode).
CHARSETS: Final = frozenset(
    ("utf-8", "utf8", "utf_8", "csutf8", "unicode-1-1-utf-8", "us-ascii", "ascii", "csascii", "iso646-us", "iso-ir-6")
)

# What a body may say that it is, and what it is read as. A missing type counts as JSON; text/plain is what sendBeacon
# sends, because a browser asks nobody before it does.
MEDIA_TYPES: Final[dict[str, str]] = {
    JSON: JSON,
    "text/plain": JSON,
    "application/x-ndjson": "application/x-ndjson",
    "application/ndjson": "application/x-ndjson",
    "application/jsonl": "application/x-ndjson",
    "application/reports+json": "application/reports+json",
    "application/csp-report": "application/csp-report",
    "application/cloudevents+json": "application/cloudevents+json",
    "application/cloudevents-batch+json": "application/cloudevents-batch+json",
}
ENCODINGS: Final = ("identity", "gzip", "deflate", "br", "zstd")

_JSON_DATA: Final = re.compile(rb"\s*[^/;\s]+/(?:[^/;\s]+\+)?json\s*(?:;|$)", re.IGNORECASE)

MAX_KEPT: Final = 256
_MAX_KEPT_BYTES: Final = 128

# Exact header value (None: absent) → one of the values of ``MEDIA_TYPES``; "": not taken. The first entries are what
# nearly every client sends.
TAKEN: Final[dict[bytes | None, str]] = {
    None: JSON,
    b"application/json": JSON,
    b"text/plain;charset=UTF-8": JSON,
}


def media_type(content_type: bytes | None) -> str:
    """What a body of this Content-Type (RFC 9110 section 8.3.1) is read as; "" when it is not taken."""
    known = TAKEN.get(content_type)
    if known is not None:
        return known
    assert content_type is not None  # It is in the table.
    name, parameters = named(content_type)
    answer = MEDIA_TYPES.get(name, "")
    for parameter, value in parameters:
        if parameter == "charset" and value and value.strip().lower() not in CHARSETS:
            answer = ""
    if len(TAKEN) < MAX_KEPT and len(content_type) <= _MAX_KEPT_BYTES:
        TAKEN[content_type] = answer
    return answer


def is_json(content_type: bytes) -> bool:
    """Whether data of this type is JSON: ``*/json`` or ``*/*+json`` (CloudEvents JSON event format, section 3.1.1)."""
    return _JSON_DATA.match(content_type) is not None


def encoding_of(content_encoding: bytes) -> str:
    """The one encoding that a body has been put into; "" when none of ours, or more than one, was applied."""
    applied = [name.decode("latin-1").lower().removeprefix("x-") for name in elements(content_encoding)]
    applied = [name for name in applied if name != "identity"] or ["identity"]
    return applied[0] if len(applied) == 1 and applied[0] in ENCODINGS else ""
