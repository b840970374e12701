"""One client: where it is in the log, and how it reads on.

Place: start → HERE ← group, hub.
Rules:
1. A client has a position of its own (``own``), or is a member of a group, and then the group has it.
2. Alone, it reads on from its position: from the ring where that has the next event, else by a reader of the pool. Both
   only while its socket takes what is written, a piece at a time; what is read and cannot be written is read again.
3. So no client is sent less because it is slow, and none holds more than a piece.
Not here: where a stream begins (start), how it ends (open_stream), what several clients share (group).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from eventstreams.flow.group import PIECE_BYTES, Framed
from eventstreams.flow.open_stream import HIGH_WATER_BYTES, JITTER, OpenStream
from eventstreams.flow.positions import is_other
from eventstreams.sources.base import Gap, SourceError

if TYPE_CHECKING:
    from eventstreams.record import Place, Record
    from eventstreams.sources.base import Batch, Bounds
    from eventstreams.streams import PublicStreams

LEAST_READ_BYTES: Final = 65_536
MOST_READ_BYTES: Final = 1 << 20
RING_EVENTS: Final = 256  # Read from a ring at once.
AGAIN_S, AGAIN_MOST_S = 0.5, 10.0  # Before a reader is asked again that has failed.


class StreamClient(OpenStream):
    """One client, from its first byte on."""

    __slots__ = ()

    # From the request to the first event.

    def begin(self, head: bytes, gaps: list[Gap]) -> None:
        """Take the transport over, and send the head and what is there."""
        transport = self._transport
        transport.set_protocol(self)
        transport.set_write_buffer_limits(high=HIGH_WATER_BYTES)
        transport.write(head + self.wire.opening())
        self._server.carry(self)
        self._hub.add(self)
        self._read_bytes, self._again_s = LEAST_READ_BYTES, AGAIN_S
        retry_ms = int(self._hub.settings.retry_s * 1000 * JITTER.uniform(0.75, 1.25))
        opening = b":ok\n\n" if self.wire.is_sse else b"\n"
        assert self.own is not None
        plain = opening + self.wire.retry(retry_ms)
        if self.wire.is_sse:  # A client that is cut off before its first event then returns to where it began.
            plain += self.wire.position(self.own.text())
        self._write(plain)
        for gap in gaps:
            self._tell(gap)
        transport.resume_reading()
        self.pump()

    def pause_writing(self) -> None:
        """The client reads more slowly than events come: from now on it reads by itself."""
        self._is_paused = True
        self._hub.leave(self)
        self._left_unsent_bytes = self._transport.get_write_buffer_size()
        self._stall_at = self._server.wheel.after(self._hub.settings.limits.write_stall_s)
        self._watch()

    def resume_writing(self) -> None:
        """The client has caught up with what was written."""
        self._is_paused = False
        self._stall_at = 0.0
        self.pump()

    # Reading on, alone.

    def pump(self) -> None:
        """Write what comes next, as far as the socket takes it."""
        own = self.own
        if own is None or not self._is_able() or self._is_reading:
            return
        framed = Framed(self._hub, self.wire, self.projection)
        behind: dict[Place, int] = {}
        has_more = False
        for place, position in list(own.next.items()):
            stop = self._stop_of(place)
            if stop is not None and position >= stop:
                continue
            ring = self._hub.ring(place)
            if ring is None or position < ring.start:
                behind[place] = position
            elif position < ring.end:
                records = ring.after(position, RING_EVENTS)
                has_more = self._step(records, framed) or len(records) == RING_EVENTS or has_more
            elif stop is not None:
                behind[place] = position  # The log may end with offsets without an event, which only a reader sees.
            if framed.bytes >= PIECE_BYTES:
                has_more = True
                break
        self._flush(framed)
        if not self._is_able():
            return
        if self._is_complete():
            self.finish("done")
        elif has_more:
            self._schedule()
        elif behind:
            self._read(behind)
        elif self._bound is None:
            self._hub.join(self)

    @property
    def is_waiting(self) -> bool:
        """Whether this client reads alone, and more may be written to it now."""
        return self.group is None and not self._is_over and not self._is_paused

    def _is_able(self) -> bool:
        """Whether more may be written now. Writing may have changed that."""
        return not self._is_over and not self._is_paused

    def _step(self, records: list[Record], framed: Framed) -> bool:
        """Write some of the records, until a piece is full. Returns whether some are left."""
        own = self.own
        assert own is not None
        for record in records:
            place = record.place
            if record.offset < own.next.get(place, record.offset + 1):
                continue
            stop = self._stop_of(place)
            if stop is not None and record.offset >= stop:
                continue
            if framed.bytes >= PIECE_BYTES or self._has_enough(framed):
                return True
            framed.add(record, own)
        return False

    def _flush(self, framed: Framed) -> None:
        """Send what is framed."""
        self.events += framed.events
        framed.count(1)
        if framed.has_position and self.own is not None:
            self.told_mark = self.own.mark
            framed.has_position = False
        self._write(framed.take())

    def _has_enough(self, framed: Framed) -> bool:
        return self._bound is not None and self._bound.has_enough(self.events + framed.events)

    def _stop_of(self, place: Place) -> int | None:
        return None if self._bound is None else self._bound.stop_of(place)

    def _is_complete(self) -> bool:
        own = self.own
        return self._bound is not None and own is not None and self._bound.is_complete(own, self.events)

    def _schedule(self) -> None:
        """Go on in the next turn of the loop, so that other clients have theirs."""
        if not self._is_scheduled:
            self._is_scheduled = True
            self._server.call_soon(self._on_turn)

    def _on_turn(self) -> None:
        self._is_scheduled = False
        self.pump()

    def _read(self, behind: dict[Place, int]) -> None:
        assert self.own is not None
        asked = behind, [self.own.logs[place] for place in behind]
        self._is_reading = True
        task = asyncio.get_running_loop().create_task(self._hub.pool.read(self, behind, self._read_bytes))
        task.add_done_callback(lambda done: self._on_read(done, *asked))

    def _on_read(self, done: asyncio.Task[Batch], asked: dict[Place, int], logs: list[str]) -> None:
        own = self.own
        if done.cancelled() or self._is_over or own is None:
            return
        failed = done.exception()
        if failed is not None:
            if not isinstance(failed, SourceError):
                self._is_reading = False
                self._fail()
                raise failed
            self._hub.on_failed(failed)
            asyncio.get_running_loop().call_later(self._again_s, self._read_again)
            self._again_s = min(2 * self._again_s, AGAIN_MOST_S)
            return
        self._again_s = AGAIN_S
        self._is_reading = False
        if [(own.next[place], own.logs[place]) for place in asked] != list(zip(asked.values(), logs, strict=True)):
            self.pump()  # The log is another one since: what was read may be from the old one.
            return
        try:
            self._take(done.result())
        except Exception:
            self._fail()
            raise

    def _fail(self) -> None:
        self.finish("error", "internal: the server failed on this stream, and has logged it")

    def _read_again(self) -> None:
        self._is_reading = False
        self.pump()

    def _take(self, batch: Batch) -> None:
        """Write what a reader brought, until the socket takes no more; the rest is read again when it does."""
        own = self.own
        assert own is not None
        mark = own.mark
        for gap in batch.gaps:
            own.put((gap.topic, gap.partition), gap.earliest, own.timestamps[gap.topic, gap.partition])
            self._tell(gap)
        framed = Framed(self._hub, self.wire, self.projection)
        left, taken = batch.records, 0
        while left and self._is_able():
            has_rest = self._step(left, framed)
            self._flush(framed)
            if not has_rest:
                left = []
            elif self._is_complete():
                break
            else:
                taken = sum(record.offset < own.next.get(record.place, 0) for record in left)
                left = left[taken:] if taken else []
        is_whole = not left
        if is_whole and not self._is_complete():
            for place, offset in batch.reached.items():
                if place in own.next:
                    own.reach(place, offset)
        self._read_bytes = min(2 * self._read_bytes, MOST_READ_BYTES) if is_whole else LEAST_READ_BYTES
        if own.mark > mark:
            self._schedule()
        else:  # Nothing can be read there yet, although newer events are known.
            asyncio.get_running_loop().call_later(AGAIN_S, self.pump)

    def look_at_bounds(self, place: Place, bounds: Bounds, log: str) -> None:
        """Begin again in a partition whose log is another one, if this client's position is not in it."""
        own = self.own
        if own is None or place not in own.next:
            return
        made_again = is_other(own.logs[place], log)
        if not made_again and bounds.low <= own.next[place] <= bounds.high:
            return
        gap = Gap(*place, own.next[place], bounds.low, bounds.high, made_again)
        own.put(place, bounds.low, None, log)  # First: who is told of the gap and cut off has an id of the new log.
        self._tell(gap)
        self.pump()

    def _tell(self, gap: Gap) -> None:
        """Say that events are lost, without an id: the position is what it is."""
        counts = self._hub.counts
        counts.gaps += 1
        counts.lost += gap.lost or 0
        self._write(self.wire.notice("gap", gap.told()))

    def _leave(self) -> None:
        self._hub.leave(self)

    def _forget(self) -> None:
        self._hub.remove(self)

    def is_affected(self, before: PublicStreams, after: PublicStreams) -> bool:
        """Whether a stream of this client is another one by now, or gone."""
        return any(before.by_name.get(name) != after.by_name.get(name) for name in self.projection.names)
