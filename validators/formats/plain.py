"""Quick tests of formats: for what people send nearly always; what they do not know, the reference decides.

Place: beside structs, which makes them part of its checks. A format that is not here is tested by its own checker.
Rule: every text that passes is one by ``formats.FORMATS``; a test holds the two together.
Not here: leap seconds, a small t, addresses in brackets, and other rare spellings (formats).
"""

from __future__ import annotations

from ciso8601 import parse_rfc3339  # 0.07 µs where a regular expression needs 0.4.

from validators.formats.text_test import TextTest, refusing

# RFC 3986. A class of all that may stand in path, query and fragment, so that a run of it is one step. A path of two
# slashes would be an authority.
_PLAIN = r"[!$&-;=?-Z_a-z~]*"
_SITE = r"https?://[A-Za-z0-9.-]+(?::[0-9]+)?"
_PATH = rf"/(?!/){_PLAIN}(?:%[0-9A-Fa-f]{{2}}{_PLAIN})*(?:#{_PLAIN})?"

TESTS: dict[str, TextTest] = {
    "date-time": TextTest(
        parse_rfc3339, beside="' ' not in {x}"
    ),  # A blank for the T: RFC 3339 takes it, draft-07 does not.
    "uri": refusing(rf"{_SITE}(?:{_PATH})?"),
    "uri-reference": refusing(rf"(?:{_SITE})?(?:{_PATH})?"),
}
