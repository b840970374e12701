"""Times as the events write them, and as milliseconds.

Place: map, format → HERE.
Rule: a text without an offset is UTC, as elsewhere in the intake.
Not here: which time counts (map).
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Final

_EPOCH: Final = date(1970, 1, 1)


def millis_of(text: object) -> int | None:
    """Return an ISO 8601 text as milliseconds since 1970; None if it is not one."""
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1000)


def text_of(millis: int) -> str:
    """Return milliseconds as ``2026-11-28T16:40:00.123Z``, without a fraction for a whole second."""
    seconds, rest = divmod(millis, 1000)
    days, seconds = divmod(seconds, 86_400)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    fraction = f".{rest:03d}" if rest else ""
    return f"{_day(days)}T{hours:02d}:{minutes:02d}:{seconds:02d}{fraction}Z"


@lru_cache(maxsize=4096)
def _day(days: int) -> str:
    return (_EPOCH + timedelta(days)).isoformat()
