"""Which kinds of bodies are taken: content types and content encodings.

Place: http.head → HERE.
Rules: one table a question. A header is parsed when its exact bytes are not in the table, and then remembered,
within a bound: clients write the same type in few ways.
Not here: decoding (intake.decode).
"""

# hot path

from __future__ import annotations

from typing import Final

from server.http.problem import Refusal

# Content type → the charsets it may name. A missing type counts as JSON; text/plain is what sendBeacon sends.
MEDIA_TYPES: Final[dict[str, frozenset[str]]] = {
    "application/json": frozenset({"utf-8", "utf8"}),
    "text/plain": frozenset({"utf-8", "utf8"}),
}
ENCODINGS: Final[frozenset[str]] = frozenset({"", "identity"})

ACCEPT_POST: Final = ", ".join(MEDIA_TYPES)
ACCEPT_ENCODING: Final = ", ".join(sorted(ENCODINGS - {""}))

BAD_TYPE: Final = Refusal(
    415,
    f"The Content-Type is not taken. Send UTF-8 as one of: {ACCEPT_POST}; or leave the header out for JSON.",
    more=f"Accept-Post: {ACCEPT_POST}\r\n".encode(),
)
BAD_ENCODING: Final = Refusal(
    415,
    f"The Content-Encoding is not taken. Send the body as one of: {ACCEPT_ENCODING}; or leave the header out.",
    more=f"Accept-Encoding: {ACCEPT_ENCODING}\r\n".encode(),
)

MAX_KEPT: Final = 256
_MAX_KEPT_BYTES: Final = 128

# Exact header value (None: absent) → taken or not. The first entries are what nearly every client sends.
TAKEN: Final[dict[bytes | None, bool]] = {None: True, b"application/json": True, b"text/plain;charset=UTF-8": True}


def is_taken(content_type: bytes) -> bool:
    """Parse a Content-Type (RFC 9110 section 8.3.1) and look it up; the answer is kept in ``TAKEN``."""
    media_type, *parameters = content_type.decode("latin-1").lower().split(";")
    charsets = MEDIA_TYPES.get(media_type.strip())
    answer = charsets is not None
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "charset" and charsets is not None:
            answer = answer and value.strip().strip('"') in charsets
    if len(TAKEN) < MAX_KEPT and len(content_type) <= _MAX_KEPT_BYTES:
        TAKEN[content_type] = answer
    return answer


def is_plain(content_encoding: bytes) -> bool:
    """True when the body is what its bytes say."""
    return all(coding.strip() in ENCODINGS for coding in content_encoding.decode("latin-1").lower().split(","))
