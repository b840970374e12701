"""Newline-delimited JSON: one event per line.

Place: intake.forms → HERE.
Rules: a line that is not a JSON object has a verdict of its own, and the others are accepted. Empty lines are skipped
and have no index. CR LF ends a line too.
Not here: the content of an event (intake.pipeline).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from server.intake.forms.form import Form
from server.intake.forms.piece import MAX_SHOWN_CHARS, Piece, shown, unreadable
from server.intake.record import TOO_LARGE
from server.intake.text.cut import AT_ONCE_BYTES, SLICE_BYTES, SMALL_BYTES, split
from server.intake.text.decode import BOM, EMPTY
from server.intake.verdict import Verdict

if TYPE_CHECKING:
    from server.config.settings import Config
    from server.intake.forms.form import SchemaHere

NO_EVENT: Final = "the line should be one JSON object"
ARRAY: Final = f"{NO_EVENT}; an array of events is sent as application/json"

AT_ONCE_LINES: Final = 1_000  # Each line costs 1 µs.

_GAP: Final = re.compile(rb"[ \t\r\n]*+")

_SPACES: Final = b" \t\r"


class BodyLines:
    """The lines of a body, in the form in which intake.text.cut returns the elements of an array: ``raws`` found so
    far, ``fault`` at the end."""

    is_array = True

    __slots__ = ("_body", "_max_event_bytes", "_most", "fault", "raws")

    def __init__(self, body: bytes, most: int, max_event_bytes: int) -> None:
        self._body = body
        self._most = most
        self._max_event_bytes = max_event_bytes
        self.raws: list[bytes | Piece] = []
        self.fault: int | str | None = None

    def __iter__(self) -> Iterator[None]:
        """Each step is short. After the last one, all lines are found or there is a fault. The caller keeps it."""
        return self._find()

    def _find(self) -> Iterator[None]:
        body, raws = self._body, self.raws
        at = len(BOM) if body.startswith(BOM) else 0
        while at < len(body):
            stop = at + SLICE_BYTES
            found = _GAP.match(body, at, stop)
            at = found.end() if found is not None else at
            yield
            if at == stop or at == len(body):
                continue
            if len(raws) == self._most:
                self.fault = self._most + 1
                raws.clear()
                return
            end = body.find(b"\n", at)
            end = end if end >= 0 else len(body)
            raws.append(self._line(at, end))
            at = end
        if not raws:
            self.fault = EMPTY

    def _line(self, at: int, end: int) -> bytes | Piece:
        if end - at <= self._max_event_bytes:
            return self._body[at:end].rstrip(_SPACES)
        reason = TOO_LARGE.format(end - at, self._max_event_bytes)
        return Piece(shown(self._body[at : min(end, at + 4 * MAX_SHOWN_CHARS)]), Verdict("event_too_large", reason))


def lines(body: bytes, most: int, max_event_bytes: int, *, may_take_long: bool) -> BodyLines | list[Any] | int | str:
    """Return the lines of a body; those of a long body are still to be found."""
    found = BodyLines(body, most, max_event_bytes)
    if len(body) > SMALL_BYTES and not (
        may_take_long and len(body) <= AT_ONCE_BYTES and body.count(b"\n") <= AT_ONCE_LINES
    ):
        return found
    for _ in found:
        pass
    return found.raws if found.fault is None else found.fault


class LineReader:
    """Makes pieces of the lines that do not exceed the size limit of an event."""

    def __init__(self, max_event_bytes: int) -> None:
        self._max_event_bytes = max_event_bytes

    def piece(self, line: bytes) -> Piece:
        """Return an event, or the reason why the line is not one."""
        if line[:1] != b"{":
            return unreadable(line, ARRAY if line[:1] == b"[" else NO_EVENT)
        raws = split(line, max_event_bytes=self._max_event_bytes)
        if isinstance(raws, str):
            return unreadable(line, _of_line(raws))
        assert isinstance(raws, list)
        return raws[0] if isinstance(raws[0], Piece) else Piece(line)


def form(config: Config, _schema: SchemaHere) -> Form:
    """How a body of lines is read."""
    return Form(lines, LineReader(config.http.limits.max_event_bytes).piece)


def _of_line(reason: str) -> str:
    """Turn a message about a body into one about a line."""
    return f"{NO_EVENT}; {reason.removeprefix('The request body is not JSON: ').partition('. ')[0]}"
