"""The newest events of all topics that clients of a worker follow, and the clients.

Place: worker → HERE → group, client; sources bring records.
Rules: a topic is followed from the moment at which its first client comes until a while after the last has left: one
live reader serves all. Everything here runs on the loop, so a client takes its place behind the newest event in one
step, and nothing comes in between. Partitions that are added while clients are there are read from their beginning.
New events are in the ring and wait in their groups from the moment at which they come; gathering says when they are
sent.
Not here: how a client catches up (client), where events are stored (sources).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakValueDictionary

from eventstreams.counts import Counts
from eventstreams.flow.gathering import Inbox, Pace
from eventstreams.flow.group import Group
from eventstreams.flow.positions import is_other
from eventstreams.flow.ring import Ring
from eventstreams.flow.topic_log import TopicLog
from eventstreams.record import Place, Policies, Record
from eventstreams.sources.base import Bounds, Described, SourceError
from server.log import Limited

if TYPE_CHECKING:
    from eventstreams.flow.client import StreamClient
    from eventstreams.flow.projection import Projection
    from eventstreams.sources.base import Tail
    from eventstreams.sources.pool import ReaderPool
    from eventstreams.streams import PublicStreams
    from server.config.eventstreams_settings import EventStreams

LEAVE_S: Final = 30.0
REFRESH_S: Final = 30.0
REFRESH_MISSING_S: Final = 2.0  # For a topic that does not exist yet.
NOTHING: Final = Policies({}, ())

_limited = Limited(logging.getLogger("eventstreams"))


class Hub:
    """All of a worker's topics, groups and clients. ``cluster`` is known once something was read."""

    def __init__(
        self, settings: EventStreams, streams: PublicStreams, pool: ReaderPool, tail: Tail, counts: Counts
    ) -> None:
        self.settings = settings
        self.streams = streams
        self.pool = pool
        self.counts = counts
        self.cluster = ""
        self.clients: dict[StreamClient, None] = {}
        self._tail = tail
        self._logs: dict[str, TopicLog] = {}
        self._groups: dict[Any, Group] = {}
        self._projections: WeakValueDictionary[Any, Projection] = WeakValueDictionary()
        self._opening: dict[str, asyncio.Future[None]] = {}
        self._refreshing: asyncio.Task[None] | None = None
        self._loop = asyncio.get_running_loop()
        self._inbox = Inbox(self._loop, self.on_records)
        self._pace = Pace(self._loop, self.send)
        self._touched: dict[TopicLog, None] = {}

    def start(self) -> None:
        """Start the live reader."""
        loop = self._loop
        self._tail.start(self._inbox.put, lambda place: _call(loop, self._on_lost, place))

    def close(self) -> None:
        """Stop reading."""
        if self._refreshing is not None:
            self._refreshing.cancel()
        self.pool.close()
        self._inbox.close()
        self._tail.stop()

    # Topics.

    def policies(self, topic: str) -> Policies:
        """Return what decides how events of a topic are shown."""
        log = self._logs.get(topic)
        return log.policies if log is not None else self.streams.policies.get(topic, NOTHING)

    def ring(self, place: Place) -> Ring | None:
        """Return the newest events of a partition; None if it is not followed."""
        log = self._logs.get(place[0])
        return None if log is None else log.rings.get(place[1])

    def log(self, topic: str) -> TopicLog | None:
        """Return a topic that is followed."""
        return self._logs.get(topic)

    async def follow(self, topics: Sequence[str]) -> None:
        """Follow these topics from their newest event on, as far as they are not followed yet. Raises SourceError."""
        new = [topic for topic in topics if topic not in self._logs and topic not in self._opening]
        if new:
            opening: asyncio.Future[None] = self._loop.create_future()
            self._opening |= dict.fromkeys(new, opening)
            try:
                described = await self.pool.describe(new)
                self.learn(described)
                for topic in new:
                    log = self._logs[topic] = TopicLog(topic, self.streams.policies.get(topic, NOTHING))
                    log.left_at = log.looked_at = self._loop.time()
                    starts = {place: one.high for place, one in described.bounds.items() if place[0] == topic}
                    self._add(log, starts, described)
            finally:
                for topic in new:
                    del self._opening[topic]
                opening.set_result(None)
        for topic in topics:
            while topic in self._opening:
                await self._opening[topic]
            if topic not in self._logs:
                raise SourceError(f"the topic {topic} could not be looked up")

    def _add(self, log: TopicLog, starts: dict[Place, int], described: Described) -> None:
        settings = self.settings.limits
        for (topic, partition), start in starts.items():
            log.ids[partition] = described.logs.get((topic, partition), "")
            log.rings[partition] = Ring(start, settings.ring_events, settings.ring_bytes)
        for ring in log.rings.values():
            ring.most_events = max(1, settings.ring_events // len(log.rings))
            ring.most_bytes = settings.ring_bytes // len(log.rings)
        if starts:
            self._tail.follow(starts)

    def look(self) -> None:
        """Leave topics without clients, and look for partitions that were added. This is called on every beat."""
        now = self._loop.time()
        for topic, log in list(self._logs.items()):
            if log.clients:
                log.left_at = now
            elif now - log.left_at > LEAVE_S:
                self._tail.leave([(topic, partition) for partition in log.rings])
                del self._logs[topic]
        stale = [
            topic
            for topic, log in self._logs.items()
            if now - log.looked_at > (REFRESH_S if log.rings else REFRESH_MISSING_S)
        ]
        if stale and self._refreshing is None:
            for topic in stale:
                self._logs[topic].looked_at = now
            self._refreshing = self._loop.create_task(self._refresh(stale))
            self._refreshing.add_done_callback(self._on_refreshed)
        self.pool.tidy()

    def _on_refreshed(self, done: asyncio.Task[None]) -> None:
        self._refreshing = None
        if not done.cancelled() and isinstance(done.exception(), SourceError):
            self.on_failed(done.exception())

    async def _refresh(self, topics: Sequence[str]) -> None:
        """Add partitions that were made since, from their first event on."""
        described = await self.pool.describe(topics)
        self.learn(described)
        for topic in topics:
            log = self._logs.get(topic)
            if log is not None:
                found = {place: one.low for place, one in described.bounds.items() if place[0] == topic}
                new = {place: low for place, low in found.items() if place[1] not in log.rings}
                self._add(log, new, described)
                for positions in log.positions():
                    for place, low in new.items():
                        positions.put(place, low, None, log.ids[place[1]])

    def _on_lost(self, place: Place) -> None:
        """The live reader's position is gone: the topic was cut or made again."""
        log = self._logs.get(place[0])
        if log is None:
            return
        for group in list(log.groups):
            self._scatter(group)
        task = self._loop.create_task(self._begin_again(log, place))
        task.add_done_callback(self._on_again)

    async def _begin_again(self, log: TopicLog, place: Place) -> None:
        described = await self.pool.describe([log.topic])
        self.learn(described)
        if place[1] in log.rings and self._logs.get(log.topic) is log:
            self._restart(log, place, described.bounds.get(place, Bounds(0, 0)), described.logs.get(place, ""))

    def _restart(self, log: TopicLog, place: Place, bounds: Bounds, log_id: str) -> None:
        """Follow a partition from its end on, and let its clients begin again whose position is not in it."""
        for group in list(log.groups):
            self._scatter(group)
        log.ids[place[1]] = log_id or log.ids[place[1]]
        log.rings[place[1]].reset(bounds.high)
        self._tail.follow({place: bounds.high})
        for client in list(log.clients):
            client.look_at_bounds(place, bounds, log.ids[place[1]])

    def learn(self, described: Described) -> None:
        """Take in the identities of what was described. A topic that was made again, which may have grown past its
        clients, is told to them."""
        self.cluster = described.cluster
        for place, log_id in described.logs.items():
            log = self._logs.get(place[0])
            if log is None or place[1] not in log.rings or not log_id:
                continue
            known, log.ids[place[1]] = log.ids[place[1]], log_id
            if is_other(known, log_id):
                self._restart(log, place, described.bounds[place], log_id)
            elif not known:  # A database of an older version gets its identity when its worker opens it.
                for positions in log.positions():
                    if place in positions.next:
                        positions.put(place, positions.next[place], positions.timestamps[place], log_id)

    def ids_of(self, topics: Sequence[str]) -> dict[Place, str]:
        """Return the identities of the logs of topics that are followed."""
        found = ((topic, self._logs[topic].ids) for topic in topics if topic in self._logs)
        return {(topic, partition): log_id for topic, ids in found for partition, log_id in ids.items()}

    def _on_again(self, done: asyncio.Task[None]) -> None:
        if not done.cancelled() and isinstance(done.exception(), SourceError):
            self.on_failed(done.exception())

    def on_failed(self, error: BaseException | None) -> None:
        """Count and log that the source could not be read."""
        self.counts.source_failures += 1
        _limited.warning("source", "events cannot be read for now: %s", error)

    # Records.

    def on_records(self, records: Iterable[Record]) -> None:
        """Take the newest events. They are sent at once, or gathered with those that follow."""
        for record in records:
            log = self._logs.get(record.topic)
            ring = log.rings.get(record.partition) if log is not None else None
            if log is None or ring is None or not ring.append(record):
                continue
            prepared = record.prepared(log.policies)
            if not isinstance(prepared, str):
                self.counts.of(prepared.stream).read += 1
            for group in log.groups:
                group.pending.append(record)
            self._touched[log] = None
        if self._touched:
            self._pace.want()

    def send(self) -> None:
        """Send the events that wait: to groups, and to clients that read alone and had nothing to read."""
        touched, self._touched = self._touched, {}
        groups = {group: None for log in touched for group in log.groups}
        for group in groups:
            group.flush()
        for log in touched:
            for client in list(log.clients):
                if client.is_waiting:
                    client.pump()

    # Clients.

    def add(self, client: StreamClient) -> None:
        """Take a client in, before its first event."""
        self.clients[client] = None
        self.counts.clients = len(self.clients)
        for topic in client.projection.topics:
            if topic in self._logs:
                self._logs[topic].clients[client] = None
        for place, log_id in client.own.logs.items() if client.own is not None else ():
            log = self._logs.get(place[0])
            if log is not None and is_other(log_id, log.ids.get(place[1], "")):
                self._on_lost(place)  # It was made again while the client's position was looked up.
        for name in client.projection.names:
            self.counts.of(name).clients += 1

    def remove(self, client: StreamClient) -> None:
        """Forget a client that is gone."""
        self.leave(client)
        if self.clients.pop(client, client) is client:
            return
        self.counts.clients = len(self.clients)
        for topic in client.projection.topics:
            log = self._logs.get(topic)
            if log is not None and log.clients.pop(client, client) is None and not log.clients:
                log.left_at = self._loop.time()
        for name in client.projection.names:
            self.counts.of(name).clients -= 1

    def join(self, client: StreamClient) -> bool:
        """Put a client into the group of its kind if it is at the same place: right behind the newest event."""
        own = client.own
        if own is None or any(topic not in self._logs for topic in client.projection.topics):
            return False
        key = (client.wire.key, client.projection.key)
        group = self._groups.get(key)
        if group is not None:
            group.flush()
        for place, position in own.next.items():
            ring = self.ring(place)
            if ring is None or ring.end != position:
                return False
            if group is not None and group.positions.next.get(place) != position:
                return False
        if group is None:
            group = self._groups[key] = Group(self, client.wire, client.projection, own)
            for topic in client.projection.topics:
                self._logs[topic].groups[group] = None
        client.told_mark = group.positions.mark - (client.told_mark < own.mark)
        group.members[client] = None
        client.group, client.own = group, None
        self.counts.live += 1
        return True

    def leave(self, client: StreamClient) -> None:
        """Take a client out of its group; it goes on from the group's position by itself."""
        group = client.group
        if group is None:
            return
        client.group, client.own = None, group.positions.copy()
        client.told_mark = client.own.mark - (client.told_mark < group.positions.mark)
        self.counts.live -= 1
        del group.members[client]
        if not group.members:
            del self._groups[group.wire.key, group.projection.key]
            for topic in group.projection.topics:
                log = self._logs.get(topic)
                if log is not None:
                    log.groups.pop(group, None)

    def _scatter(self, group: Group) -> None:
        group.flush()
        for client in list(group.members):
            self.leave(client)

    def use(self, streams: PublicStreams) -> None:
        """Use other streams from now on. Clients whose streams have changed are ended; they return by themselves."""
        self.send()  # Under the rules by which these events were read.
        before, self.streams = self.streams, streams
        for client in list(self.clients):
            if client.is_affected(before, streams):
                client.finish("changed", "the streams of this request have changed")
        for topic, log in self._logs.items():
            policies = streams.policies.get(topic, NOTHING)
            if policies != log.policies:
                log.policies = policies
                for ring in log.rings.values():
                    for record in ring.all():
                        record.forget()

    def lags(self) -> dict[str, int]:
        """Return by stream the most offsets that a client is behind the newest event of a partition."""
        lags: dict[str, int] = {}
        for client in self.clients:
            if client.own is None:
                continue
            behind = 0
            for place, position in client.own.next.items():
                ring = self.ring(place)
                if ring is not None:
                    behind = max(behind, ring.end - position)
            for name in client.projection.names:
                lags[name] = max(lags.get(name, 0), behind)
        return lags

    def projection_count(self) -> int:
        """Return how many different choices clients have made."""
        return len(self._projections)

    def shared(self, projection: Projection) -> Projection:
        """Return the object of an equal choice, so that its work is done once."""
        return self._projections.setdefault(projection.key, projection)


def _call(loop: asyncio.AbstractEventLoop, function: Any, argument: Any) -> None:
    """Call on the loop, from a thread. A loop that is closed takes nothing more."""
    if not loop.is_closed():
        loop.call_soon_threadsafe(function, argument)
