"""Where an event goes that may be sent: to the broker, or into the spool while the broker cannot have it.

Place: intake.sending → HERE → sink, spool; acks that failed come back here.
Rules:
1. While all is well this file does nothing: intake.sending hands events to the sink itself. ``is_guarded`` says when
   not.
2. What the sink has taken is never told to a client as failed for a reason that can pass: the broker may have it all
   the same. It goes to the spool, is delivered from there, and the client is told so (202, ``X-Durability: spool``).
3. What was refused because its batch is too large is sent again by itself (intake.separating).
4. A live event never overtakes an older one of its key that waits in a spool of this host. It waits in memory while
   the spool is nearly empty, or where the stream wants no spool; else it goes behind it.
5. While the disk takes nothing and a broker answers, what waits for the disk in memory is sent instead.
6. Every accepted event ends in its stream's tally: delivered, spooled, or dropped with a reason.
Not here: how the spool keeps and replays (sink.spool.spool, sink.spool.replay), what a request is answered
(intake.sending).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol

from server.intake import verdict
from server.intake.books.tally import Tallies
from server.intake.delivery.separating import BATCH_TOO_LARGE, Separating
from server.intake.delivery.waiting_room import Guest, WaitingRoom
from server.log import Limited
from server.timing.timers import Timer

if TYPE_CHECKING:
    from server.intake.event import Event
    from server.sink.base import OnAck, Sink

LOOK_S: Final = 0.02
NEARLY_EMPTY_S: Final = 1.0  # A spool that will be empty within this time is waited for,
WAIT_S: Final = 2.0  # for so long,
LONG_WAIT_S: Final = 5.0  # or so long by events that may not go to the disk.
RESCUE_EVERY_S: Final = 1.0
TELL_S: Final = 0.25  # The sum over all streams takes up to 0.1 ms.
# Reasons for which an event is as good as before; ``broker_timeout`` includes a producer that was replaced.
CAN_PASS: Final = frozenset({"broker_timeout", "queue_full"})

OWN: Final = -1  # The index of an event that is no client's.

_limited = Limited(logging.getLogger("delivery"))


class Keeper(Protocol):
    """What is asked of a spool (sink.spool.spool), and of the maps of keys beside it."""

    def has_room(self, size: int) -> bool: ...
    def put(
        self,
        number: int,
        stream: str,
        record: Event,
        on_kept: Callable[[str | None], None],
        *,
        is_owed: bool,
        is_awaited: bool,
    ) -> bool: ...
    def take_back(self) -> Sequence[tuple[Any, object]]: ...
    def doubt(self, until_s: float) -> None: ...
    def tell(self, *, is_away: bool, acked: int) -> None: ...
    def is_usable(self) -> bool: ...
    def waiting(self) -> int: ...
    def waits(self) -> bool: ...
    def holds(self, topic: str, key: bytes) -> bool: ...
    def done(self, topic: str) -> object: ...
    def catch_up_s(self) -> float: ...
    def newest(self) -> int: ...


def _forget(event: Event) -> None:
    """Its tally has it."""


class Delivery:
    """``settle_s``: within which the sink settles what it was given. ``spool`` None: what cannot be sent is refused.
    ``is_spooled``: so are guaranteed events of streams without a wish; ``may_be_spooled``: those of some stream are.
    ``on_spooled`` and ``on_dropped`` are called with hasty events, whose requests have been answered: that go to the
    spool after all, and that will never be delivered. ``tallies`` are the books of the events."""

    def __init__(
        self,
        sink: Sink,
        spool: Keeper | None,
        *,
        settle_s: float = 0.0,
        is_spooled: bool = False,
        may_be_spooled: bool = False,
        on_spooled: Callable[[Event], None] = _forget,
        on_dropped: Callable[[Event], None] = _forget,
    ) -> None:
        self._sink_submit = sink.submit
        self._outstanding = sink.outstanding
        self._is_shut = sink.is_full  # Full, or nobody answers.
        self._classify = sink.classify
        self._recall = sink.recall
        self._separating = Separating(sink, settle_s)
        self._spool = spool
        self.tallies = Tallies(self._on_failed, self._on_kept)
        self._settle_s = settle_s
        self._is_spooled = is_spooled
        self.may_be_spooled = may_be_spooled
        self._doubt_until = 0.0
        self._is_doubt_new = False
        self._rescue_at = self._tell_at = 0.0
        self._room: WaitingRoom | None = None if spool is None else WaitingRoom(spool.holds, spool.done)
        self.number = 0
        self._on_spooled = on_spooled
        self._on_dropped = on_dropped
        self.is_guarded = False

    def open(self, first_number: int) -> None:
        """Begin to look after the spool."""
        self._loop = asyncio.get_running_loop()
        self.number = first_number
        if self._spool is not None:
            Timer(self._loop, LOOK_S, self._look).start()

    def _look(self) -> None:
        """Whether something waits on this host, so that keys have to be looked up."""
        assert self._spool is not None
        assert self._room is not None
        self.is_guarded = True  # As long as it cannot be told (no descriptor to look with), keys are looked up.
        now, is_shut = self._loop.time(), self._is_shut()
        self._separating.look(now)
        if now >= self._tell_at:
            self._tell_at = now + TELL_S
            self._spool.tell(is_away=is_shut, acked=self.tallies.delivered)
        self._look_at_doubt(now)
        if not is_shut and not self._spool.is_usable() and now >= self._rescue_at:
            self._rescue_at = now + RESCUE_EVERY_S
            self.rescue()
        if self._room:
            self._look_at_room(now, is_shut)
        waits = self._spool.waits()
        self.is_guarded = waits or bool(self._separating) or bool(self._room)
        if waits:  # Another worker's clock may be, or have been, ahead of ours.
            self.number = max(self.number, self._spool.newest())

    def _look_at_doubt(self, now: float) -> None:
        """Nothing is replayed while the sink still holds events that may have to go to the spool, before others of
        their keys that are there already: until all have an outcome that were in the sink when the doubt arose."""
        assert self._spool is not None
        if not self._doubt_until:
            return
        if self._is_doubt_new:
            self._is_doubt_new = False
            self.tallies.begin_doubt(self._in_sink(), self.number)
        is_kept = self._spool.waiting() == 0 or not self._spool.is_usable()
        if now >= self._doubt_until or (self.tallies.doubted <= 0 and is_kept):
            self._doubt_until = 0.0
            self.tallies.end_doubt()
        self._spool.doubt(self._doubt_until)

    def _in_sink(self) -> int:
        """How many events the sink has not settled, by the books."""
        assert self._spool is not None
        in_flight = sum(tally.in_flight() for tally in self.tallies)
        return in_flight - self._spool.waiting() - self.in_room()

    def in_room(self) -> int:
        """Return how many events wait in memory for their key."""
        return 0 if self._room is None else len(self._room)

    def _look_at_room(self, now: float, is_shut: bool) -> None:
        """Send what need not wait any more, and spool what has waited for too long."""
        assert self._room is not None
        if is_shut:
            self.empty_room()
            return
        for key in self._room.free():
            self._send_guests(self._room.take(key))
        for key in self._room.overdue(now):
            self._spool_guests(self._room.take(key))

    def _send_guests(self, guests: Sequence[Guest]) -> None:
        """Hand events of one key to the sink, in order; those that it does not take now wait on."""
        assert self._room is not None
        is_refused = False
        for guest in guests:
            event = guest.event
            error_type = None if is_refused else self._sink_submit(event, event.on_ack)
            if is_refused or error_type in CAN_PASS:
                is_refused = True
                self._room.add(guest)
            elif error_type is not None:
                self._drop(event, error_type)
            else:
                self.tallies.doubt_again(event.number)

    def _spool_guests(self, guests: Sequence[Guest]) -> None:
        """Put events of one key into the spool, in order. What has been answered already is put there in any case."""
        for guest in guests:
            is_owed = guest.event.pending is None
            if not (guest.may_spool or is_owed) or not self._put(guest.event, is_owed=is_owed, may_have_elders=False):
                self._drop(guest.event, "queue_full")
            elif is_owed and guest.event.index != OWN:
                self._on_spooled(guest.event)

    def rescue(self, *, is_last: bool = False) -> int:
        """Send what waits in memory for a disk that takes nothing; a key with older events on the disk waits for them,
        unless this is the last chance. Returns how many events were sent."""
        if self._spool is None or self._room is None or self._spool.is_usable():
            return 0
        sent, until = 0, self._loop.time() + LONG_WAIT_S
        for event, _ in self._spool.take_back():
            event.is_spooled = False
            guest = Guest(event, until, may_spool=True)
            if is_last or event.key is None or not self._must_wait(event):
                error_type = self._sink_submit(event, event.on_ack)
                if error_type is None:
                    sent += 1
                    self.tallies.doubt_again(event.number)
                    continue
            if event.key is not None and not is_last and self._room.has_place(len(event.value)):
                self._room.add(guest)
            else:
                self._spool_guests([guest])
        return sent

    def empty_room(self) -> None:
        """Put everything into the spool that waits in memory for its key: the broker is away, or the worker is about
        to end."""
        if self._room is not None:
            self._spool_guests(list(self._room.take_all()))

    def may_replay(self) -> bool:
        """True when the broker answers."""
        return not self._is_shut()

    def can_take(self, size: int, *, is_hasty: bool) -> bool:
        """Whether it is worth looking at a request of this size: refusing must cost nothing."""
        if not self._is_shut():
            return True
        return self._spool is not None and (is_hasty or self.may_be_spooled) and self._spool.has_room(size)

    def submit_hasty(self, event: Event, on_ack: OnAck) -> str | None:
        """Send it or spool it; an ``error_type`` when neither can be."""
        assert event.route is not None
        return self._submit(event, on_ack, event.route.stream.on_broker_down != "refuse")

    def submit_guaranteed(self, event: Event, on_ack: OnAck) -> str | None:
        """The same for an event whose sender waits; what was spooled settles when it is on disk."""
        assert event.route is not None
        wish = event.route.stream.on_broker_down
        return self._submit(event, on_ack, wish == "spool" or (wish is None and self._is_spooled))

    def submit_own(self, event: Event) -> str | None:
        """An event that the service itself has made: hasty."""
        self.number += 1
        event.number, event.index = self.number, OWN
        error_type = self.submit_hasty(event, event.on_ack)
        if error_type is None:
            assert event.route is not None
            event.route.tally.accepted += 1
            self.tallies.accepted += 1
        return error_type

    def refused(self, event: Event, error_type: str) -> str | None:
        """The sink did not take a hasty event: spool it for a reason that can pass. What remains to be said."""
        assert event.route is not None
        if error_type not in CAN_PASS or event.route.stream.on_broker_down == "refuse":
            return error_type
        return None if self._put(event) else error_type

    def _submit(self, event: Event, on_ack: OnAck, may_spool: bool) -> str | None:
        if self._is_shut():
            if self._room:  # Its elders there go before it.
                self.empty_room()
            return None if may_spool and self._put(event) else "queue_full"
        if event.key is not None and self._must_wait(event):
            return None if self._let_wait(event, may_spool) else "queue_full"
        if self._separating and self._separating.keeps_out(event):
            return None if may_spool and self._put(event) else "queue_full"
        error_type = self._sink_submit(event, on_ack)
        if error_type in CAN_PASS and may_spool and self._put(event):
            return None
        return error_type

    def _must_wait(self, event: Event) -> bool:
        """Whether older events of its key wait on this host."""
        if self._spool is None or self._room is None:
            return False
        assert event.key is not None
        return self._room.has(event.topic, event.key) or self._spool.holds(event.topic, event.key)

    def _let_wait(self, event: Event, may_spool: bool) -> bool:
        """Let it wait for its elders: in memory if that is not for long, or where it may not be spooled."""
        assert self._spool is not None
        assert self._room is not None
        assert event.key is not None
        is_worth_it = not may_spool or self._spool.catch_up_s() <= NEARLY_EMPTY_S
        if is_worth_it and self._room.has_place(len(event.value)):
            until = self._loop.time() + (WAIT_S if may_spool else LONG_WAIT_S)
            self._room.add(Guest(event, until, may_spool))
            self.is_guarded = True
            return True
        if not may_spool:
            return False
        # Its elders in the sink, if any, are older than those in the spool: they are waited for already.
        self._spool_guests(self._room.take((event.topic, event.key)))
        return self._put(event, may_have_elders=False)

    def _put(self, event: Event, *, is_owed: bool = False, may_have_elders: bool = True) -> bool:
        """Into the spool. Elders that the sink still holds must have an outcome before anything is replayed."""
        if self._spool is None:
            return False
        assert event.route is not None
        stream, is_awaited = event.route.tally.stream, event.pending is not None and not is_owed
        if not self._spool.put(event.number, stream, event, event.on_kept, is_owed=is_owed, is_awaited=is_awaited):
            return False
        event.is_spooled = True
        self.is_guarded = True
        if may_have_elders and self._outstanding():
            self._doubt_until = self._loop.time() + self._settle_s
            self._is_doubt_new = True
            self._spool.doubt(self._doubt_until)
        return True

    def _on_failed(self, event: Event, error: Any) -> None:
        """The sink had taken it and could not deliver it, as far as it knows."""
        assert event.route is not None
        self.tallies.settle_doubt(event.number)
        error_type = self._classify(error)
        if error_type == BATCH_TOO_LARGE:
            again = self._send_alone(event)
            if again is None:
                return
            error_type = again
        if error_type in CAN_PASS and self._spool is not None:
            if event.key is not None:
                self._recall()  # Younger ones of its key must not be sent before it.
            if self._put(event, is_owed=True):
                if event.pending is None and event.index != OWN:
                    self._on_spooled(event)
                return
            _limited.warning("full", "an accepted event of %s is lost: the spool has no room", event.route.tally.stream)
        self._drop(event, error_type)

    def _send_alone(self, event: Event) -> str | None:
        """Its batch was too large: what remains to be said is whether it is."""
        if self._spool is None or not self._separating.begin(event, self._loop.time()):
            return "broker_timeout"
        self.is_guarded = True
        if event.key is not None and self._spool.holds(event.topic, event.key):
            return "broker_timeout"  # Behind its elders.
        self.tallies.doubt_again(event.number)
        return self._sink_submit(event, event.on_ack)

    def _on_kept(self, event: Event, error_type: str | None) -> None:
        """The spool has it on disk, or will not have it."""
        if error_type is not None:
            self._drop(event, error_type)
            return
        assert event.route is not None
        event.route.tally.keep()
        if event.pending is not None:
            event.pending.settle(event)

    def _drop(self, event: Event, error_type: str) -> None:
        assert event.route is not None
        event.route.tally.drop(error_type)
        event.verdict = verdict.error(error_type)
        if event.pending is not None:
            event.pending.settle(event)
        elif event.index != OWN:
            self._on_dropped(event)
