"""Clients that want the same and have got the same: what comes next is written once and sent to all of them.

Place: hub gives records → HERE → client.
Rules: all members are at the group's position. A member that does not read fast enough leaves with a copy of it, goes
on alone, and comes back when it is at the same place again (hub.join). A piece is at most ``PIECE_BYTES`` and one event
long, so that a member holds little when it stops reading.
Not here: what a client does alone (client).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from eventstreams.flow.client import StreamClient
    from eventstreams.flow.frames import Wire
    from eventstreams.flow.hub import Hub
    from eventstreams.flow.positions import Positions
    from eventstreams.flow.projection import Projection
    from eventstreams.record import Record

PIECE_BYTES: Final = 32_768


class Framed:
    """Frames of some records for one wire, and what they contain."""

    __slots__ = ("_hub", "_projection", "_wire", "bytes", "events", "has_position", "parts", "streams")

    def __init__(self, hub: Hub, wire: Wire, projection: Projection) -> None:
        self._hub = hub
        self._wire = wire
        self._projection = projection
        self.parts: list[bytes] = []
        self.bytes = 0
        self.events = 0
        self.has_position = False
        self.streams: dict[str, list[int]] = {}

    def add(self, record: Record, positions: Positions) -> bool:
        """Step over the record, and write it if it is chosen. Returns whether it is."""
        projection = self._projection
        evaluated = projection.evaluated
        text = projection.text(record, self._hub.policies(record.topic))
        self._hub.counts.evaluated += projection.evaluated - evaluated
        positions.advance(record)
        if text is None:
            return False
        if not text:
            self._hub.counts.skipped += 1
            part = self._wire.comment(b"skipped %b/%d/%d" % (record.topic.encode(), record.partition, record.offset))
            self.parts.append(part)
            self.bytes += len(part)
            return False
        part = self._wire.event(positions.text(), text)
        self.parts.append(part)
        self.bytes += len(part)
        self.events += 1
        self.has_position = True
        counted = self.streams.setdefault(record.stream, [0, 0])
        counted[0] += 1
        counted[1] += len(text)
        return True

    def take(self) -> bytes:
        """Return what was written so far, and begin again."""
        plain = b"".join(self.parts)
        self.parts, self.bytes = [], 0
        return plain

    def count(self, clients: int) -> None:
        """Count the events as delivered to so many clients, and begin to count again."""
        counts = self._hub.counts
        counts.deliveries += self.events * clients
        for stream, (events, size) in self.streams.items():
            of_stream = counts.of(stream)
            of_stream.events += events * clients
            of_stream.bytes += size * clients
        self.events = 0
        self.streams.clear()


class Group:
    """One group. ``pending`` are records that came and are not written yet."""

    __slots__ = ("_framed", "_hub", "members", "pending", "positions", "projection", "wire")

    def __init__(self, hub: Hub, wire: Wire, projection: Projection, positions: Positions) -> None:
        self._hub = hub
        self.wire = wire
        self.projection = projection
        self.positions = positions
        self.members: dict[StreamClient, None] = {}
        self.pending: list[Record] = []
        self._framed = Framed(hub, wire, projection)

    def flush(self) -> None:
        """Write what is pending, and send it to all members."""
        if not self.pending:
            return
        pending, self.pending = self.pending, []
        framed = self._framed
        for record in pending:
            framed.add(record, self.positions)
            if framed.bytes >= PIECE_BYTES:
                self._send()
        if framed.parts:
            self._send()

    def _send(self) -> None:
        framed = self._framed
        mark = self.positions.mark if framed.has_position else None
        framed.has_position = False
        events = framed.events
        plain = framed.take()
        wired = self.wire.wrap(plain)
        members = list(self.members)
        framed.count(len(members))
        self._hub.counts.sent_bytes += len(wired) * len(members)
        for client in members:
            client.events += events
            if mark is not None:
                client.told_mark = mark
            client.send(plain, wired)
