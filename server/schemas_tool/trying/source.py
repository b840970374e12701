"""Read events for a replay: JSON lines of a file or of standard input, or the stored events of an embedded sink.

Place: ``penstock schemas replay`` → HERE → the ``read`` of the sink's kind.
Rules: a line is an event, or holds one, as those of ``penstock events`` and ``penstock record`` do. A line that is no
JSON is counted, and read on. An event is older than a time if its ``meta.dt``, or else its ``dt``, is; one without a
time is not.
Not here: what becomes of an event (trying.replay).
"""

from __future__ import annotations

import datetime
import io
import json
import re
from collections.abc import Callable, Iterable
from typing import Any, Final

from server.errors import UsageError

_AGE: Final = re.compile(r"(\d+)([smhd])")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def since(text: str, now: datetime.datetime) -> datetime.datetime:
    """Return the time that ``2h`` or ``2026-11-01T00:00:00Z`` names. Raises UsageError."""
    age = _AGE.fullmatch(text)
    if age is not None:
        return now - datetime.timedelta(seconds=int(age[1]) * _SECONDS[age[2]])
    found = time_of(text)
    if found is None:
        raise UsageError(f"{text!r} is neither an age such as 2h or 7d nor a time such as 2026-11-01T00:00:00Z")
    return found


def time_of(text: Any) -> datetime.datetime | None:
    """Return the time of RFC 3339 that a text holds."""
    try:
        found = datetime.datetime.fromisoformat(text)
    except (ValueError, TypeError):
        return None
    return found if found.tzinfo is not None else found.replace(tzinfo=datetime.UTC)


class Lines(io.RawIOBase):
    """Takes bytes of JSON lines as a file does, and hands on each event. ``unreadable`` counts lines that hold none."""

    def __init__(self, take: Callable[[Any], None], earliest: datetime.datetime | None) -> None:
        self._take, self._earliest = take, earliest
        self._rest = b""
        self.unreadable = 0

    def writable(self) -> bool:
        return True

    def write(self, chunk: Any, /) -> int:
        *whole, self._rest = (self._rest + bytes(chunk)).split(b"\n")
        self.lines(whole)
        return len(chunk)

    def finish(self) -> None:
        """Take the last line, which may lack its end."""
        self.lines([self._rest])
        self._rest = b""

    def lines(self, lines: Iterable[bytes]) -> None:
        """Take whole lines."""
        for line in lines:
            if not line.strip():
                continue
            try:
                found = json.loads(line)
            except (ValueError, RecursionError):
                self.unreadable += 1
                continue
            if not self._is_too_old(event := _event_in(found)):
                self._take(event)

    def _is_too_old(self, event: Any) -> bool:
        if self._earliest is None or not isinstance(event, dict):
            return False
        meta = event.get("meta")
        time = time_of(meta.get("dt") if isinstance(meta, dict) else None) or time_of(event.get("dt"))
        return time is not None and time < self._earliest


def _event_in(line: Any) -> Any:
    """Return the event of a line of ``penstock events`` or ``penstock record``, or a line that is one itself."""
    if isinstance(line, dict) and "$schema" not in line:
        for name in ("value", "event"):
            if isinstance(line.get(name), dict):
                return line[name]
    return line
