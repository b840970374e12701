"""Where a stream ends by itself: at offsets, after a number of events, or at a time.

Place: start makes one → HERE → client.
Rule: a stream without a bound goes on for as long as its client stays.
Not here: how a stream ends (open_stream).
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from eventstreams.flow.positions import Positions
    from eventstreams.record import Place

EARLY_S: Final = 1.0  # The clock of deadlines is this coarse.


class Bound:
    """Where a stream ends by itself. ``stops``: the offset in each place before which it ends; ``limit``: after so many
    events; ``at_unix_s``: at this time."""

    __slots__ = ("at_unix_s", "limit", "stops")

    def __init__(
        self, stops: Mapping[Place, int] | None = None, limit: int | None = None, at_unix_s: float | None = None
    ) -> None:
        self.stops = stops
        self.limit = limit
        self.at_unix_s = at_unix_s

    def stop_of(self, place: Place) -> int | None:
        """Return the offset before which the stream ends in a place; None: none. A place that was added later has
        nothing for it."""
        return None if self.stops is None else self.stops.get(place, 0)

    def has_enough(self, events: int) -> bool:
        """Whether so many events are all that were asked for."""
        return self.limit is not None and events >= self.limit

    def is_complete(self, positions: Positions, events: int) -> bool:
        """Whether nothing is left to be sent."""
        if self.has_enough(events):
            return True
        stops = self.stops
        return stops is not None and all(at >= stops.get(place, 0) for place, at in positions.next.items())

    def has_come(self) -> bool:
        """Whether the time at which the stream ends is there."""
        return self.at_unix_s is not None and time.time() >= self.at_unix_s - EARLY_S
