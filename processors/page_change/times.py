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
    return _millis(text) if isinstance(text, str) else None


@lru_cache(maxsize=4096)
def _millis(text: str) -> int | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1000)


def text_of(millis: int) -> str:
    """Return milliseconds as ``2026-11-28T16:40:00.123Z``, without a fraction for a whole second."""
    minutes, rest = divmod(millis, 60_000)
    seconds, rest = divmod(rest, 1000)
    return f"{_minute(minutes)}{seconds:02d}.{rest:03d}Z" if rest else f"{_minute(minutes)}{seconds:02d}Z"


@lru_cache(maxsize=4096)
def _minute(minutes: int) -> str:
    days, minutes = divmod(minutes, 1_440)
    return f"{(_EPOCH + timedelta(days)).isoformat()}T{minutes // 60:02d}:{minutes % 60:02d}:"
