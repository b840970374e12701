"""The spellings of formats that one cheap expression recognises.

Place: beside structs, which puts them into types; what they do not know, formats decides.
Rule: every text that one of them matches is one by ``formats.FORMATS``; a test holds the two together.
Not here: leap seconds, addresses in brackets, and other rare spellings (formats).
"""

from __future__ import annotations

# The 29th to 31st are known where every year has them.
_DATE = r"[0-9]{4}-(?:(?:0[1-9]|1[0-2])-(?:0[1-9]|1[0-9]|2[0-8])|(?:0[13-9]|1[0-2])-(?:29|30)|(?:0[13578]|1[02])-31)"
_TIME = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]+)?(?:[Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"

# RFC 3986. Unrolled, so that a run of plain characters is one step. A path of two slashes would be an authority.
_PLAIN = r"[A-Za-z0-9._~!$&'()*+,;=:@/-]*"
_PATH = rf"{_PLAIN}(?:%[0-9A-Fa-f]{{2}}{_PLAIN})*"
_QUERY = _PATH.replace("@/", "@/?")
_TAIL = rf"(?:\?{_QUERY})?(?:#{_QUERY})?"
_SITE = r"https?://[A-Za-z0-9.-]+(?::[0-9]+)?"

PATTERNS: dict[str, str] = {
    name: rf"\A(?:{text})\Z"
    for name, text in {
        "date": _DATE,
        "date-time": rf"{_DATE}[Tt]{_TIME}",
        "time": _TIME,
        "uri": rf"{_SITE}(?:/{_PATH})?{_TAIL}",
        "uri-reference": rf"(?:/(?!/){_PATH}|{_SITE}(?:/{_PATH})?){_TAIL}",
        "uuid": r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}",
    }.items()
}
