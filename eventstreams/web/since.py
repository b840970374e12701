"""Read the times that clients write in ``since`` and ``until``.

Place: ask → HERE.
Rules: milliseconds since 1970, an ISO 8601 or RFC 5322 date, or a time before now such as ``-90s``, ``-30m``, ``-1h``,
``-7d``. A date without a zone is UTC.
Not here: what is read from that time on (start).
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

import ciso8601

_RELATIVE: Final = re.compile(r"-(\d{1,9})(s|m|h|d)")
_UNIT_MS: Final = {"s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_MILLISECONDS: Final = re.compile(r"\d{1,15}")
_LOST_PLUS: Final = re.compile(r"(T[0-9:.]+) (\d\d:?\d\d)")  # A plus sign of a query is a blank.


def time_of(text: str, now_ms: int) -> int:
    """Return the milliseconds since 1970. Raises ValueError."""
    text = text.strip()
    if relative := _RELATIVE.fullmatch(text):
        return max(0, now_ms - int(relative[1]) * _UNIT_MS[relative[2]])
    if _MILLISECONDS.fullmatch(text):
        return int(text)
    try:
        found = ciso8601.parse_datetime(_LOST_PLUS.sub(r"\1+\2", text))
    except ValueError:
        try:
            found = parsedate_to_datetime(text)
        except (TypeError, IndexError):
            raise ValueError(text) from None
    if found.tzinfo is None:
        found = found.replace(tzinfo=UTC)
    return max(0, int((found - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1000))
