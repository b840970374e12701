"""Decode a client's bytes to text: values of headers, paths, fields of a query.

Place: http.fields, intake.arrival, intake.request_options, server.text.percent, server.pages.published → HERE.
Rule: HTTP does not define bytes beyond ASCII (RFC 9110 section 5.5). They are read as UTF-8 if they are valid UTF-8, as
proxies write place names, else as latin-1, as browsers write the values that a page sets. Every input has a text, and
it never holds half of a surrogate pair.
Not here: bodies, which must be UTF-8 (intake.text.decode).
"""

# hot path

from __future__ import annotations

import re
from typing import Final

_ESCAPED: Final = re.compile(rb"\\(.)", re.DOTALL)


def text_of(octets: bytes) -> str:
    """Decode as UTF-8, or else as latin-1."""
    try:
        return octets.decode()
    except UnicodeDecodeError:
        return octets.decode("latin-1")


def cut(octets: bytes, max_chars: int) -> str:
    """Return the beginning of the text; it ends with a whole character."""
    return text_of(octets)[:max_chars]


def without_quotes(octets: bytes) -> bytes:
    """Return the value of a token or a quoted string in a header (RFC 9110 section 5.6.4)."""
    if len(octets) < 2 or octets[:1] != b'"' or octets[-1:] != b'"':
        return octets
    return _ESCAPED.sub(rb"\1", octets[1:-1])
