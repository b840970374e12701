"""Quick tests for the usual spellings of formats; the reference decides on all others.

Place: HERE → structs, which makes them part of its checks. A format that is not here is tested by its own checker.
Rule: every text that passes also passes the checker in ``asserted.FORMATS``; a unit test holds the two together.
Not here: leap seconds, a small t, addresses in brackets, and other rare spellings (formats).
"""

from __future__ import annotations

import re

from ciso8601 import parse_rfc3339  # It takes 0.07 µs where a regular expression takes 0.4.

from validators.formats.text_test import TextTest, automatic

# RFC 3986. One class holds all characters of path, query and fragment, so that a run of them is one step. A path that
# begins with two slashes would be an authority: Python looks ahead (a tenth faster than the other spelling), and an
# automaton, which cannot, has the first character apart.
_PLAIN = r"[!$&-;=?-Z_a-z~]*"
_FIRST = rf"(?:[!$&-.0-;=?-Z_a-z~]{_PLAIN})?"
_SITE = r"https?://[A-Za-z0-9.-]+(?::[0-9]+)?"


def _path(begin: str) -> str:
    return rf"(?:/{begin}(?:%[0-9A-Fa-f]{{2}}{_PLAIN})*(?:#{_PLAIN})?)?"


def _test(site: str) -> TextTest:
    in_python = re.compile(rf"(?!(?:{site}{_path(f'(?!/){_PLAIN}')})\Z)")
    return automatic(rf"^{site}{_path(_FIRST)}$") or TextTest(in_python.match, refuses=True)


TESTS: dict[str, TextTest] = {
    "date-time": TextTest(
        parse_rfc3339, beside="' ' not in {x}"
    ),  # RFC 3339 allows a blank instead of the T, draft-07 does not.
    "uri": _test(_SITE),
    "uri-reference": _test(f"(?:{_SITE})?"),
}
