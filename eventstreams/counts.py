"""The counts of a worker of EventStreams, for metrics.

Place: hub, group, client, worker count → HERE → metrics.
Rule: plain integers, of closed sets of names; streams are declared ones.
Not here: their names as metrics (metrics).
"""

from __future__ import annotations

from typing import Final

ENDS: Final = ("client", "age", "drain", "stalled", "timeout", "done", "changed", "error", "cut")
STARTS: Final = ("latest", "earliest", "since", "id")
REFUSALS: Final = ("bad_request", "not_found", "unauthorized", "gone", "address", "full", "source")


class StreamCounts:
    """The counts of one stream."""

    __slots__ = ("bytes", "clients", "events", "read")

    def __init__(self) -> None:
        self.events = 0  # Deliveries: an event that ten clients got counts ten times.
        self.bytes = 0  # Bytes of them, before compression.
        self.read = 0  # Events that arrived at the newest end.
        self.clients = 0


class Counts:
    """All counts."""

    def __init__(self) -> None:
        self.ends = dict.fromkeys(ENDS, 0)
        self.starts = dict.fromkeys(STARTS, 0)
        self.refused = dict.fromkeys(REFUSALS, 0)
        self.clients = 0
        self.live = 0  # Clients that get the newest events together with others.
        self.deliveries = 0
        self.sent_bytes = 0  # As sent, compressed where it was.
        self.gaps = 0
        self.lost = 0  # Offsets within gaps, as far as known.
        self.skipped = 0  # Undecodable records that were passed over, once per client.
        self.source_failures = 0
        self.evaluated = 0  # Evaluations of filters.
        self.by_stream: dict[str, StreamCounts] = {}

    def of(self, stream: str) -> StreamCounts:
        """Return the counts of a stream."""
        found = self.by_stream.get(stream)
        if found is None:
            found = self.by_stream[stream] = StreamCounts()
        return found
