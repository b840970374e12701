"""What a client's bytes say as text: values of headers, paths, fields of a query.

Place: http.fields, http.request, intake.arrival, intake.cloudevents, catalog.query, server.published → HERE.
Rule: HTTP leaves open what bytes beyond ASCII mean (RFC 9110 section 5.5). They are UTF-8 where they are valid UTF-8,
as proxies write names of places, else latin-1, as browsers write what a page sets. Either way there is a text, and it
has no half of a surrogate pair.
Not here: bodies, which are UTF-8 or refused (intake.decode).
"""

# hot path

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote_to_bytes

_ESCAPED: Final = re.compile(rb"\\(.)", re.DOTALL)


def text_of(octets: bytes) -> str:
    """The text of these bytes."""
    try:
        return octets.decode()
    except UnicodeDecodeError:
        return octets.decode("latin-1")


def cut(octets: bytes, most_chars: int) -> str:
    """The beginning of the text, which ends with a whole character."""
    return text_of(octets)[:most_chars]


def without_quotes(octets: bytes) -> bytes:
    """What a token or a quoted string of a header says (RFC 9110 section 5.6.4)."""
    if len(octets) < 2 or octets[:1] != b'"' or octets[-1:] != b'"':
        return octets
    return _ESCAPED.sub(rb"\1", octets[1:-1])


def unquoted(octets: bytes) -> str:
    """The text of what is percent-encoded (RFC 3986 section 2.1)."""
    return text_of(unquote_to_bytes(octets))


def unquoted_field(octets: bytes) -> str:
    """The same of a name or value in a query, where a plus sign is a blank (URL Standard section 5.1)."""
    return text_of(unquote_to_bytes(octets.replace(b"+", b" ")))
