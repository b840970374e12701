"""Newline-delimited JSON: an event a line.

Place: intake.forms → HERE.
Rules: a line that is no JSON object has a verdict of its own, and the others are taken. Empty lines are passed over:
they have no index. CR LF is a line's end too.
Not here: what is inside an event (intake.pipeline).
"""

from __future__ import annotations

import re
from typing import Final

from server.intake.decode import BOM, EMPTY, split
from server.intake.piece import Piece, unreadable

NO_EVENT: Final = "the line should be one JSON object"
ARRAY: Final = f"{NO_EVENT}; an array of events is sent as application/json"

_LINES: Final = re.compile(rb"[^ \t\r\n][^\n]*")

_SPACES: Final = b" \t\r"


def pieces(body: bytes, most: int) -> list[Piece] | int | str:
    """A piece for each line. A number: more than ``most``."""
    found: list[Piece] = []
    for line in _LINES.finditer(body, len(BOM) if body.startswith(BOM) else 0):
        if len(found) == most:
            return most + 1
        found.append(_piece(line[0].rstrip(_SPACES)))
    return found or EMPTY


def _piece(line: bytes) -> Piece:
    if line[:1] != b"{":
        return unreadable(line, ARRAY if line[:1] == b"[" else NO_EVENT)
    raws = split(line)
    return unreadable(line, _of_line(raws)) if isinstance(raws, str) else Piece(line)


def _of_line(reason: str) -> str:
    """What was said of a body, said of a line."""
    return f"{NO_EVENT}; {reason.removeprefix('The request body is not JSON: ').partition('. ')[0]}"
