"""What /v1/validate and ``penstock validate`` say of one event.

Place: intake.receive, commands.validate → HERE.
Rule: one shape for both, so that what a developer tries at home is what the server says.
Not here: the verdict (intake.pipeline).
"""

from __future__ import annotations

from typing import Any

import msgspec

from server.intake import verdict
from server.intake.event import Event


def report(event: Event) -> dict[str, Any]:
    """``{"index","status","schema_uri","stream","topics","key","event"}``, and ``context`` unless the event is valid.

    ``status`` is valid, invalid or error; ``event`` is the event with everything filled in; ``key`` the partition key
    or null; stream and topics are null as long as the event has no valid route.
    """
    found = event.verdict or event.observed
    route = event.route
    entry: dict[str, Any] = {
        "index": event.index,
        "status": "valid" if found is None else "invalid" if found.is_invalid else "error",
        "schema_uri": route.schema_uri if route else None,
        "stream": route.stream.name if route else None,
        "topics": [route.stream.topic] if route else None,
        "key": None if event.key is None else msgspec.Raw(event.key),
        "event": msgspec.Raw(event.value),
    }
    if found is not None:
        entry["context"] = verdict.context(found)
    return entry
