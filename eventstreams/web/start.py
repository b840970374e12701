"""Find where a stream begins and ends in the log, before the first byte of its answer.

Place: handler, with what ask has read → HERE → client.
Rules: no position is silently replaced by another one. A position that is not in the log is answered 410 with what
there is, unless the client has chosen where to go on; then the stream begins with a ``gap``. A partition that the
position does not name, of a topic that it names, was made since and is read from its beginning; a topic that it does
not name begins at its end. A position of a log that was made again under its name is gone, also where the new log has
grown past it. Positions of another cluster count by their timestamps alone.
Not here: what the client wrote (ask), reading on (client).
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import msgspec

from eventstreams.flow.bound import Bound
from eventstreams.flow.positions import END, Entry, Positions, is_other
from eventstreams.refusal import RefusedError
from eventstreams.sources.base import Bounds, Described, Gap

if TYPE_CHECKING:
    from eventstreams.flow.hub import Hub
    from eventstreams.record import Place
    from eventstreams.web.ask import Asked

_FAR: Final = 1 << 62


class Begun(msgspec.Struct):
    """Where a stream begins. ``gaps`` are told first. ``is_empty``: nothing is there and nothing will come."""

    positions: Positions
    gaps: list[Gap]
    bound: Bound | None
    is_empty: bool


async def resolve(asked: Asked, hub: Hub) -> Begun:
    """Look up the positions. Raises RefusedError or SourceError."""
    topics = asked.topics
    is_bounded = asked.is_poll or (asked.until_ms is not None and asked.until_ms <= time.time() * 1000)
    if not is_bounded:
        await hub.follow(topics)
    if asked.kind == "latest" and not is_bounded:
        starts, gaps, logs = _at_the_end(hub, topics), list[Gap](), hub.ids_of(topics)
        stops: dict[Place, int] | None = None
    else:
        described = await hub.pool.describe(topics)
        hub.learn(described)
        starts, gaps = await _Starts(asked, hub, described).find()
        stops, logs = await _stops(asked, hub, described) if is_bounded else None, described.logs
    positions = Positions(hub.cluster, starts, logs)
    at_unix_s = asked.until_ms / 1000 if asked.until_ms is not None and not is_bounded else None
    bound = None
    if stops is not None or asked.limit is not None or at_unix_s is not None:
        bound = Bound(stops, asked.limit, at_unix_s)
    is_empty = stops is not None and all(at >= stops.get(place, 0) for place, at in positions.next.items())
    return Begun(positions, gaps, bound, is_empty)


def _at_the_end(hub: Hub, topics: tuple[str, ...]) -> dict[Place, tuple[int, int | None]]:
    """Return the place right behind the newest event that this worker has read of each partition."""
    now_ms = int(time.time() * 1000)
    return {
        (topic, partition): (ring.end, now_ms)
        for topic in topics
        if (log := hub.log(topic)) is not None
        for partition, ring in log.rings.items()
    }


async def _stops(asked: Asked, hub: Hub, described: Described) -> dict[Place, int]:
    """Return the offsets at which a stream ends that does not go on with new events."""
    ends = {place: bounds.high for place, bounds in described.bounds.items()}
    if asked.until_ms is None:
        return ends
    until_ms = asked.until_ms
    found = await hub.pool.at_times(dict.fromkeys(ends, until_ms))
    return {place: end if (at := found.get(place)) is None else min(at, end) for place, end in ends.items()}


class _Starts:
    """The search for the starts of one stream."""

    def __init__(self, asked: Asked, hub: Hub, described: Described) -> None:
        self._asked = asked
        self._hub = hub
        self._bounds = described.bounds
        self._logs = described.logs
        self._now_ms = int(time.time() * 1000)
        self._gaps: list[Gap] = []

    async def find(self) -> tuple[dict[Place, tuple[int, int | None]], list[Gap]]:
        asked = self._asked
        if asked.position is not None:
            starts = await self._by_id({(one.topic, one.partition): one for one in asked.position.entries})
        elif asked.kind == "earliest":
            starts = {place: (bounds.low, None) for place, bounds in self._bounds.items()}
        elif asked.since_ms is not None:
            starts = await self._since(asked.since_ms)
        else:
            starts = {place: (bounds.high, self._now_ms) for place, bounds in self._bounds.items()}
        if self._gaps and asked.on_gap == "error" and (asked.position is not None or asked.is_explicit_gap):
            raise _gone(self._gaps)
        for gap in self._gaps:
            if asked.on_gap == "latest" and (gap.topic, gap.partition) in starts:
                starts[gap.topic, gap.partition] = (gap.latest, self._now_ms)
        return starts, self._gaps

    async def _since(self, since_ms: int) -> dict[Place, tuple[int, int | None]]:
        found = await self._hub.pool.at_times(dict.fromkeys(self._bounds, since_ms))
        starts: dict[Place, tuple[int, int | None]] = {}
        for place, bounds in self._bounds.items():
            at = found.get(place)
            starts[place] = (bounds.high if at is None else at, since_ms)
            if at is not None and at <= bounds.low and bounds.low > self._first(place):
                # Older events were there once, and some of them may be from the time that was asked for.
                self._gaps.append(Gap(*place, self._first(place), bounds.low, bounds.high))
        return starts

    def _first(self, place: Place) -> int:
        """Return the offset of the first event that a log ever has."""
        return min(1 if self._hub.cluster == "sqlite" else 0, self._bounds[place].low)

    async def _by_id(self, entries: Mapping[Place, Entry]) -> dict[Place, tuple[int, int | None]]:
        position = self._asked.position
        assert position is not None
        topics = set(self._asked.topics)
        if strange := sorted({one.topic for one in entries.values()} - topics):
            detail = f"Topics {', '.join(strange[:10])} are not available for consumption."
            raise RefusedError(404, "topic_not_available", "TopicNotAvailable", detail)
        is_here = not position.cluster or position.cluster == self._hub.cluster
        named = {topic for topic, _ in entries}
        starts: dict[Place, tuple[int, int | None]] = {}
        times: dict[Place, int] = {}
        for place, bounds in self._bounds.items():
            entry = entries.get(place)
            if entry is None:
                starts[place] = (bounds.low, None) if place[0] in named else (bounds.high, self._now_ms)
            elif is_here and entry.offset is not None:
                starts[place] = self._at_offset(place, entry, bounds)
            elif entry.timestamp is not None:
                margin_ms = 0 if is_here else int(self._hub.settings.skew_s * 1000)
                times[place] = max(0, entry.timestamp - margin_ms)
            else:  # An offset of another cluster, of which nothing is known: no event of it was sent.
                starts[place] = (bounds.low, None)
        for place, entry in entries.items():
            if place not in self._bounds and (entry.offset or 0) > 0 and is_here:
                self._gaps.append(Gap(*place, entry.offset or 0, 0, 0))  # It is read when it is there again.
        for place, at in (await self._hub.pool.at_times(times)).items():
            starts[place] = (self._bounds[place].high if at is None else at, entries[place].timestamp)
        return starts

    def _at_offset(self, place: Place, entry: Entry, bounds: Bounds) -> tuple[int, int | None]:
        assert entry.offset is not None
        if entry.offset == END:
            return bounds.high, self._now_ms
        made_again = is_other(entry.log, self._logs.get(place, ""))
        if not made_again and bounds.low <= entry.offset <= bounds.high:
            return entry.offset, entry.timestamp
        self._gaps.append(Gap(*place, entry.offset, bounds.low, bounds.high, made_again))
        return bounds.low, None if made_again else entry.timestamp


def _gone(gaps: list[Gap]) -> RefusedError:
    """Return the refusal that names what was asked, and what there is."""
    first = gaps[0]
    detail = (
        f"Topic {first.topic}, partition {first.partition}: offset {first.asked} was asked for, and events are there "
        f"from {first.earliest} to {first.latest}. Ask with on_gap=earliest or on_gap=latest to go on there."
    )
    if first.made_again:
        detail = f"The topic was made again since. {detail}"
    return RefusedError(410, "position_gone", "Position Gone", detail, gaps=[one.told() for one in gaps])
