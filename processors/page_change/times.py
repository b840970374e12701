"""Times as the events write them, and as milliseconds.

Place: map, format → HERE.
Rule: a text without an offset is UTC, as elsewhere in the intake.
Not here: which time counts (map).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from processors.page_change.remembered import Remembered

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
# Looked up, which takes a third of the time of writing them (measured).
_SECONDS: Final = [f"{second:02d}" for second in range(60)]
_FRACTIONS: Final = ["Z", *(f".{milli:03d}Z" for milli in range(1, 1000))]


def millis_of(text: object) -> int | None:
    """Return an ISO 8601 text as milliseconds since 1970; None if it is not one."""
    return _MILLIS[text] if isinstance(text, str) else None


def _millis(text: str) -> int | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    since = moment - _EPOCH  # Half the time of ``timestamp``.
    return since.days * 86_400_000 + since.seconds * 1000 + (since.microseconds and round(since.microseconds / 1000))


def text_of(millis: int) -> str:
    """Return milliseconds as ``2026-11-28T16:40:00.123Z``, without a fraction for a whole second."""
    minutes = millis // 60_000
    rest = millis - minutes * 60_000
    seconds = rest // 1000
    return f"{_MINUTES[minutes]}{_SECONDS[seconds]}{_FRACTIONS[rest - seconds * 1000]}"


def _minute(minutes: int) -> str:
    return f"{_EPOCH + timedelta(minutes=minutes):%Y-%m-%dT%H:%M:}"


_MILLIS: Final = Remembered(_millis, 4_096)
_MINUTES: Final = Remembered(_minute, 4_096)
