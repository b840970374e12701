"""The trace that a request belongs to, passed on with its events (W3C Trace Context, level 1).

Place: intake.receive → HERE → the headers of records.
Rules: only a well-formed ``traceparent`` is passed on, unchanged; any other is ignored. No trace begins here, and no
part of one reaches a log or a metric.
Not here: the headers that every record has (intake.router).
"""

# hot path

from __future__ import annotations

import re
from typing import Final

NAME: Final = b"traceparent"

# Version, trace, parent, flags. Versions above 00 may have more after the flags (section 3.2.2.1); ff is not a version,
# and IDs of zeros alone are invalid.
_WELL_FORMED: Final = re.compile(
    rb"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-[\x21-\x7e]{1,200})?"
)


def header_of(value: bytes) -> tuple[str, bytes] | None:
    """Return the header for Kafka; None when the value is not a valid ``traceparent``."""
    if len(value) != 55 and value[:2] == b"00":
        return None
    return ("traceparent", value) if _WELL_FORMED.fullmatch(value) else None
