"""The newest events of one stream, as one document: ``GET /v2/stream/{stream}/latest?n=5``.

Place: requests → HERE → sources.pool.
Rules: the newest by time of all partitions come, oldest first, without canaries. From each partition a little more than
asked is read, because some of it may be another stream's; a stream that is rare in its topic may have fewer.
Not here: streams without an end (client).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import orjson

from eventstreams.flow.positions import Positions
from eventstreams.flow.projection import Projection
from eventstreams.record import Place, Record
from eventstreams.refusal import bad_request

if TYPE_CHECKING:
    from eventstreams.flow.hub import Hub
    from eventstreams.streams import PublicStream

SUFFIX: Final = "/latest"
DEFAULT: Final = 5
MOST: Final = 100
MARGIN: Final = 50
MOST_BYTES: Final = 4 << 20


def asked_of(names: list[str], text: str) -> tuple[str, int] | None:
    """Return the stream and the number of events that a path and ``n`` ask for; None: the path is another one. Raises
    RefusedError."""
    if len(names) != 1 or not names[0].endswith(SUFFIX):
        return None
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 4 else 0
    if text and not 1 <= number <= MOST:
        raise bad_request(f"n must be a whole number from 1 to {MOST}.")
    return names[0].removesuffix(SUFFIX), number or DEFAULT


async def newest(hub: Hub, stream: PublicStream, count: int) -> bytes:
    """Return the document. Raises SourceError."""
    described = await hub.pool.describe(stream.topics)
    hub.learn(described)
    projection = Projection(frozenset({stream.name}), stream.topics)
    found: list[tuple[int, Record, bytes]] = []
    for place, bounds in described.bounds.items():
        start = max(bounds.low, bounds.high - count - MARGIN)
        at = start
        while at < bounds.high:
            batch = await hub.pool.read(hub, {place: at}, MOST_BYTES, count + MARGIN)
            for record in batch.records:
                text = projection.text(record, hub.policies(record.topic))
                if text:
                    found.append((record.timestamp_ms, record, text))
            reached = batch.reached.get(place, bounds.high)
            at = reached if reached > at else bounds.high
    found.sort(key=lambda one: (one[0], one[1].place, one[1].offset))
    ends: dict[Place, tuple[int, int | None]] = {place: (one.high, None) for place, one in described.bounds.items()}
    position = Positions(hub.cluster, ends, described.logs)
    events = [orjson.Fragment(text) for _, _, text in found[-count:]]
    return orjson.dumps({"events": events, "last_event_id": position.text().decode()})
