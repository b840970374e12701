"""Parse values of header fields: lists, and names with parameters.

Place: http.around.accept, http.around.client_address, http.around.content, http.head, pages.documents → HERE.
Rules: a field that occurs several times is one list (http.reader joins it). Empty elements and the blanks around them
mean nothing (RFC 9110 section 5.6.1.2). A comma or semicolon inside a quoted string is text (section 5.6.4), unless a
quote is opened and never closed: then each of them separates, so that a quote which a client leaves open cannot hide
what a proxy has added behind it.
Not here: what a field means.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from server.text.octets import without_quotes

BLANKS: Final = b" \t"

# Which groups may be possessive: tests/test_patterns.py.
_QUOTED: Final = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_BALANCED: Final = re.compile(rb'[^"]*+(?:%b[^"]*+)*' % _QUOTED, re.DOTALL)
_BETWEEN: Final = {
    separator: re.compile(rb'[^"%b]*+(?:%b[^"%b]*+)*' % (separator, _QUOTED, separator), re.DOTALL)
    for separator in (b",", b";")
}


class Named(NamedTuple):
    """A name with parameters. ``name`` and parameter names are in lower case; values are without their quotes."""

    name: str
    parameters: list[tuple[str, str]]


def elements(value: bytes) -> list[bytes]:
    """Split a list into its elements, without blanks around them; empty elements are left out."""
    return _cut(value, b",")


def named(value: bytes) -> Named:
    """Parse ``text/plain; charset="utf-8"`` (RFC 9110 sections 5.6.6 and 8.3.1), or an element of Accept."""
    first, _, rest = value.partition(b";")
    parameters = []
    for part in _cut(rest, b";"):
        name, _, said = part.partition(b"=")
        parameters.append(
            (name.strip(BLANKS).decode("latin-1").lower(), without_quotes(said.strip(BLANKS)).decode("latin-1"))
        )
    return Named(first.strip(BLANKS).decode("latin-1").lower(), parameters)


def _name(text: bytes) -> str:
    return text.strip(BLANKS).decode("latin-1").lower()


def _cut(value: bytes, separator: bytes) -> list[bytes]:
    if b'"' in value and _BALANCED.fullmatch(value):
        parts = _BETWEEN[separator].findall(value)
    else:
        parts = value.split(separator)
    return [bare for part in parts if (bare := part.strip(BLANKS))]
