"""Count events by schema version, and those whose own time is far from the time of their receipt, stream by stream.

Place: intake.receive, only with ``plausibility.enabled`` and not for canaries → HERE → intake.books.tally,
intake.books.versions.
Rules: an event costs an addition and one comparison. An event without a time of its own has that of its receipt, and so
has one that lies too far ahead (intake.record). Events are counted when they are about to be sent; their outcome does
not matter.
Not here: when such numbers are an alarm (plausibility.model).
"""

# hot path

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from server.intake.event import Event

OLD_MS: Final = 3_600_000  # An event that is older was sent again, or waited on a device: it is no present traffic.
ASKEW_MS: Final = 300_000  # Retries take seconds; clocks that are set by NTP differ by less.


def note_times(events: Iterable[Event], received_ms: int) -> None:
    """Count the valid events that are old, and the others by version and those of them that are askew."""
    least_ms, most_ms = received_ms - ASKEW_MS, received_ms + ASKEW_MS
    for event in events:
        if event.verdict is not None:
            continue
        route = event.route
        if least_ms <= event.timestamp_ms <= most_ms:
            route.version.events += 1
        elif event.timestamp_ms < received_ms - OLD_MS:
            route.tally.old += 1
        else:
            route.version.events += 1
            route.tally.askew += 1
