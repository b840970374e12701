"""What a client's bytes say as text: values of headers, paths, fields of a query.

Place: http.fields, intake.arrival, intake.request_options, server.text.percent, server.pages.published → HERE.
Rule: HTTP leaves open what bytes beyond ASCII mean (RFC 9110 section 5.5). They are UTF-8 where they are valid UTF-8,
as proxies write names of places, else latin-1, as browsers write what a page sets. Either way there is a text, and it
has no half of a surrogate pair.
Not here: bodies, which are UTF-8 or refused (intake.text.decode).
"""

# hot path

from __future__ import annotations

import re
from typing import Final

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
