"""Hints for a client whose body is not JSON: which tool's mistake it looks like, and what to send instead.

Place: intake.receive → HERE, once a body is refused.
Rule: only the beginning of a body is examined, and nothing of it is repeated. No hint is better than a wrong one.
Not here: what is wrong with the body (intake.text.decode), types and encodings that are not supported
(http.around.refused_kinds).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

import msgspec

from server.intake.text.decode import BOM

MOST_BYTES: Final = 8_192

_LINES: Final = "It looks like one event a line: send it as Content-Type: application/x-ndjson, or as an array."
_COMPRESSED: Final = "It begins like {0}: send it with Content-Encoding: {0}."
_UTF_16: Final = "It looks like UTF-16: write it as UTF-8."
_SINGLE: Final = (
    "JSON uses double quotes. Single quotes come from another language, or from a shell that has kept them."
)
_BARE_NAME: Final = "Member names must be in double quotes."
_TWICE: Final = "It is a JSON string that contains JSON: it was encoded twice."
_FORM: Final = "It looks like the fields of a form: send JSON itself."
_PERCENT: Final = "It is percent-encoded: send it as it is. Only GET /v1/beacon takes events in a URL."
_FILE: Final = "It looks like the name of a file: with curl, --data-binary @FILE sends the content of the file."
_TRAILING: Final = "There is a comma before a closing bracket or brace: JSON allows none there."
_CONSTANT: Final = "JSON has true, false and null, in lower case, and no NaN, Infinity, None or undefined."
_XML: Final = "It looks like XML or HTML."

# By the first bytes that are not white space.
_STARTS: Final[tuple[tuple[re.Pattern[bytes], str], ...]] = tuple(
    (re.compile(pattern, re.DOTALL), hint)
    for pattern, hint in (
        (rb"\x1f\x8b", _COMPRESSED.format("gzip")),
        (rb"\x28\xb5\x2f\xfd", _COMPRESSED.format("zstd")),
        (rb"\x78[\x01\x5e\x9c\xda]", _COMPRESSED.format("deflate")),
        (rb"\xff\xfe|\xfe\xff|[\[{]\x00|\x00[\[{]", _UTF_16),
        (rb"'[\[{]|[\[{]\s*'|\[\s*{\s*'", _SINGLE),
        (rb'"\s*[\[{]\s*\\?"', _TWICE),
        (rb"%7[Bb]|%5[Bb]", _PERCENT),
        (rb"[A-Za-z0-9_.%-]+=", _FORM),
        (rb"@[\w./~-]+\s*\Z", _FILE),
        (rb"<[!?A-Za-z]", _XML),
        (rb"[\[{\s]*{\s*[A-Za-z_$][\w$]*\s*:", _BARE_NAME),
    )
)
_LATER: Final[tuple[tuple[re.Pattern[bytes], str], ...]] = (
    (re.compile(rb",\s*[\]}]"), _TRAILING),
    (re.compile(rb"[:,\[]\s*-?(?:NaN|Infinity|None|True|False|undefined)\b"), _CONSTANT),
)
# An unclosed string matches up to the end of the text: otherwise the search would begin again at each quote in it, and
# the beginning of a body may be cut inside a string of escaped quotes only.
_STRING: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)

_decode: Callable[[bytes], object] = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def hint(body: bytes) -> str:
    """Return hints as whole sentences; empty if there are none."""
    start = body[:MOST_BYTES].removeprefix(BOM).lstrip(b" \t\r\n")
    for pattern, found in _STARTS:
        if pattern.match(start):
            return found
    if _is_lines(start):
        return _LINES
    outside = _STRING.sub(b'""', start)
    return next((found for pattern, found in _LATER if pattern.search(outside)), "")


def _is_lines(start: bytes) -> bool:
    """Whether the first line is a whole object, and the next begins one."""
    first, end, rest = start.partition(b"\n")
    if not end or not first.startswith(b"{") or not rest.lstrip(b" \t\r\n").startswith(b"{"):
        return False
    try:
        _decode(first)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True
