"""The answers to a body whose type or encoding is not supported, or is not the one that its head names.

Place: http.head, http.around.decompress → HERE.
Rule: an answer quotes the header as the client wrote it, cut at ``MAX_CHARS``, and says what to send instead. If a
well-known tool sends that type by itself, the answer says which option of the tool changes it.
Not here: which kinds are supported (http.around.content), mistakes inside a body (intake.text.hints).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from server.http.around.content import ENCODINGS, JSON, MEDIA_TYPES
from server.http.fields import elements, named
from server.http.problem import Refusal
from server.text.octets import cut

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_CHARS: Final = 100

ACCEPT_POST: Final = ", ".join(MEDIA_TYPES)
ACCEPT_ENCODING: Final = ", ".join(ENCODINGS)
_TYPES: Final = f"Send UTF-8 as one of: {ACCEPT_POST}; or leave the header out for JSON."
_ENCODINGS: Final = f"Send the body as one of: {ACCEPT_ENCODING}, applied once; or leave the header out."

_AS_JSON: Final = f"Send JSON as Content-Type: {JSON}."
_AS_LINES: Final = "Send one event a line as Content-Type: application/x-ndjson."
_HINTS: Final[dict[str, str]] = {
    "application/x-www-form-urlencoded": "curl -d sends this type by default: add -H 'Content-Type: application/json'. "
    "Events are JSON, not the fields of a form.",
    "multipart/form-data": "The body must be the events, not a file in a form. With curl, use --data-binary @FILE -H "
    "'Content-Type: application/json'.",
    **dict.fromkeys(("text/json", "application/x-json", "application/text", "text/javascript", "json"), _AS_JSON),
    **dict.fromkeys(
        (
            "application/x-jsonlines",
            "application/jsonlines",
            "application/x-json-lines",
            "application/json-lines",
            "application/json-seq",
            "application/stream+json",
            "application/x-json-stream",
            "text/x-ndjson",
            "text/ndjson",
            "text/jsonl",
            "text/x-jsonl",
            "ndjson",
        ),
        _AS_LINES,
    ),
    **dict.fromkeys(
        ("application/gzip", "application/x-gzip", "application/zstd", "application/octet-stream"),
        "Content-Type names the format of the body, such as application/json; Content-Encoding names its compression.",
    ),
}
_ENCODING_HINTS: Final[dict[str, str]] = {
    **dict.fromkeys(
        ("utf-8", "utf8", "us-ascii", "ascii", "iso-8859-1", "latin1"),
        "The charset belongs in Content-Type, and is UTF-8; this header says how the body is compressed.",
    ),
    "chunked": "chunked belongs in Transfer-Encoding; this header says how the body is compressed.",
    "application/json": "The type belongs in Content-Type; this header says how the body is compressed.",
    "base64": "A body may hold any byte: send it as it is, without base64.",
}

_PLAIN: Final = re.compile(rb"[\t\r\n\x20-\x7e]*")
NOT_COMPRESSED: Final = Refusal(
    400, "The Content-Encoding says that the body is compressed, but it begins like JSON. Leave the header out."
)


def bad_type(headers: Mapping[bytes, bytes]) -> Refusal:
    """Make the answer to a Content-Type that is not supported."""
    given = headers.get(b"content-type", b"")
    name, parameters = named(given)
    charsets = [value for parameter, value in parameters if parameter == "charset"]
    if name in MEDIA_TYPES and charsets:
        hint = f"Its charset is not supported. {_TYPES}"
    elif len(elements(given)) > 1:
        hint = f"It names several types, or occurs several times. {_TYPES}"
    else:
        hint = f"{_HINTS.get(name, '')} {_TYPES}".strip()
    more = f"Accept-Post: {ACCEPT_POST}\r\n".encode()
    return Refusal(415, f"The Content-Type {_shown(given)} is not supported. {hint}", more=more)


def bad_encoding(given: bytes) -> Refusal:
    """Make the answer to a Content-Encoding that is not supported."""
    names = [name.decode("latin-1").lower() for name in elements(given)]
    if len(names) > 1:
        hint = "It names several encodings, or occurs several times."
    else:
        hint = _ENCODING_HINTS.get(names[0], "") if names else ""
    more = f"Accept-Encoding: {ACCEPT_ENCODING}\r\n".encode()
    detail = " ".join((f"The Content-Encoding {_shown(given)} is not supported.", *filter(None, (hint, _ENCODINGS))))
    return Refusal(415, detail, more=more)


def not_compressed(body: bytes) -> Refusal | None:
    """Return the answer to a body that could not be decompressed because it is plain JSON; None: it is not."""
    start = body[:64].removeprefix(b"\xef\xbb\xbf").lstrip(b" \t\r\n")
    return NOT_COMPRESSED if start[:1] in (b"{", b"[") and _PLAIN.fullmatch(start) else None


def _shown(given: bytes) -> str:
    text = cut(given, MAX_CHARS)
    return repr("".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text))
