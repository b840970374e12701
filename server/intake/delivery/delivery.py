"""Decide where an accepted event goes: to the sink, into the waiting room, or into the spool.

Place: intake.sending → HERE → sink, sink.spool.spool; acks that failed come back here.
Rules:
1. While the brokers answer and the spool is empty, events do not come here: intake.sending hands them to the sink
   itself, unless ``is_guarded``.
2. An event that the sink has taken is never reported as failed for a transient reason, because the broker may have
   it. It goes to the spool, is delivered from there, and the client is told so (202, ``X-Durability: spool``).
3. An event that was refused because its batch is too large is sent again by itself (intake.delivery.separating).
4. A live event never overtakes an older one of its key that waits in a spool of this host. If the spool is nearly
   empty, or the stream wants no spool, it waits in memory (intake.delivery.waiting_room); otherwise it is spooled. A
   hasty one is refused if the spool hardly shrinks although brokers answer (sink.spool.shedding).
5. While the disk takes nothing and a broker answers, events that wait in memory for the disk are sent instead.
6. Every accepted event is counted once in its stream's tally: as delivered, as spooled, as withdrawn if its client is
   told, or else as dropped with a reason.
Not here: how the spool keeps and replays (sink.spool.spool, sink.spool.replay), the answer to a request
(intake.sending).
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol

from server.intake import verdict
from server.intake.books.tally import Tallies
from server.intake.delivery import doubt
from server.intake.delivery.doubt import Doubt
from server.intake.delivery.looks import Looks
from server.intake.delivery.separating import BATCH_TOO_LARGE, Separating
from server.intake.delivery.waiting_room import Guest, WaitingRoom
from server.log import Limited

if TYPE_CHECKING:
    from server.intake.event import Event
    from server.sink.base import Sink

RESCUE_EVERY_S: Final = 0.2
NEARLY_EMPTY_S: Final = 1.0  # If the spool will be empty within this time, live events wait in memory,
# These are not Final: see TURN_S in server.timing.turns.
WAIT_S = 3.0  # at most for this time: a turn of the replay takes 2 s on a busy host;
LONG_WAIT_S = 5.0  # or for this time if they may not be spooled.
TELL_S = 0.2  # A little less than the rest of looks. The sum over all streams takes up to 0.1 ms.
# Transient reasons: the event may be sent again. ``broker_timeout`` includes a producer that was replaced.
CAN_PASS: Final = frozenset({"broker_timeout", "queue_full"})

OWN: Final = -1  # The index of an event that the service itself has made.

_limited = Limited(logging.getLogger("delivery"))


class Keeper(doubt.Keeper, Protocol):
    """The methods of a spool that are called here (sink.spool.spool)."""

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
    def take_back(self, below: float) -> Sequence[tuple[Any, object]]: ...
    def front_on_disk(self) -> int: ...
    def withdraw(self, is_unwanted: Callable[[Any], bool]) -> Sequence[Any]: ...
    def tell(self, *, is_away: bool, acked: int) -> None: ...
    def waits(self) -> bool: ...
    def holds(self, topic: str, key: bytes) -> bool: ...
    def done(self, topic: str) -> object: ...
    def catch_up_s(self) -> float: ...
    def sheds(self) -> bool: ...
    def newest(self) -> int: ...


def _forget(event: Event) -> None:
    """Do nothing: the tally has counted the event."""


def _is_overdue(event: Event) -> bool:
    """Whether the client has waited for this event in vain, and was told so."""
    return event.pending is not None and event.pending.request.is_overdue


class Delivery:
    """The way of one worker's events.

    ``spool`` None: events that cannot be sent are refused. ``settle_s`` is the time within which the sink reports an
    outcome. ``is_spooled``: guaranteed events are spooled too, unless their stream says otherwise; ``may_be_spooled``:
    those of at least one stream are. ``on_spooled`` and ``on_dropped`` are called with hasty events whose requests have
    been answered, when they go to the spool after all or will never be delivered. ``tallies`` are the books.
    """

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
        self._sink = sink
        self._separating = Separating(sink, settle_s)
        self._spool = spool
        self.tallies = Tallies(self._on_failed, self._on_kept)
        self._is_spooled = is_spooled
        self.may_be_spooled = may_be_spooled
        self._rescue_at = self._tell_at = 0.0
        self._room: WaitingRoom | None = None if spool is None else WaitingRoom(spool.holds, spool.done)
        self._doubt: Doubt | None = None if spool is None else Doubt(spool, self.tallies, settle_s, self.in_room)
        sink.tell_of_recalls(self._on_recall)
        self._sheds = False
        self.number = 0
        self._on_spooled = on_spooled
        self._on_dropped = on_dropped
        self.is_guarded = False
        self._looks = Looks(self._look)

    def open(self, first_number: int) -> None:
        """Start the timer that looks at the spool. Events are numbered from ``first_number`` on."""
        self._loop = asyncio.get_running_loop()
        self.number = first_number
        if self._spool is not None:
            self._looks.start(self._loop)

    def must_ask(self) -> bool:
        """Whether events have to come here. At rest all do, but the first one makes a look, which may end that."""
        if self.is_guarded and self._looks.is_resting:
            self._looks.end_rest(is_urgent=True)
        return self.is_guarded

    def _guard(self) -> None:
        """Let all events come here until a look finds no more reason for that."""
        self.is_guarded = True
        if self._looks.is_resting:
            self._looks.end_rest(is_urgent=False)

    def _look(self) -> None:
        """Look whether events wait on this host, send or spool those whose wait is over, and set ``is_guarded``."""
        assert self._spool is not None
        assert self._room is not None
        assert self._doubt is not None
        self.is_guarded = True  # If a line below raises (there may be no descriptor left), keys are looked up.
        self._looks.is_resting = False
        now, is_shut = self._loop.time(), self._sink.is_full()
        self._separating.look(now)
        if now >= self._tell_at:
            self._tell_at = now + TELL_S
            self._spool.tell(is_away=is_shut, acked=self.tallies.delivered)
        self._doubt.look(now, self.number)
        if not self._spool.is_usable():
            for event in self._spool.withdraw(_is_overdue):  # To deliver it after a 503 would make it a ghost.
                self._drop(event, "queue_full")
            if not is_shut and not self._doubt and now >= self._rescue_at:
                self._rescue_at = now + RESCUE_EVERY_S
                self.rescue()
        if self._room:
            self._look_at_room(now, is_shut)
        waits = self._spool.waits()
        self.is_guarded = waits or bool(self._separating) or bool(self._room) or self._doubt.is_recalling(now)
        self._sheds = waits and self._spool.sheds()
        if waits:  # Another worker's clock may be, or have been, ahead of ours.
            self.number = max(self.number, self._spool.newest())
        self._looks.plan(self.number, is_quiet=not self.is_guarded and not self._doubt)
        self.is_guarded = self.is_guarded or self._looks.is_resting

    def in_room(self) -> int:
        """Return how many events wait in memory for their key."""
        return 0 if self._room is None else len(self._room)

    def _look_at_room(self, now: float, is_shut: bool) -> None:
        """Send the events whose key is free, and spool those that have waited for too long."""
        assert self._room is not None
        if is_shut:
            self.empty_room()
            return
        if not self._is_recalling():
            for key in self._room.free():
                self._send_guests(self._room.take(key))
        for key in self._room.overdue(now):
            self._spool_guests(self._room.take(key))

    def _send_guests(self, guests: Sequence[Guest]) -> None:
        """Hand events of one key to the sink, in order. From the first that it does not take now, they wait again."""
        assert self._room is not None
        is_refused = False
        for guest in guests:
            event = guest.event
            error_type = None if is_refused else self._sink.submit(event, event)
            if is_refused or error_type in CAN_PASS:
                is_refused = True
                self._room.add(guest)
            elif error_type is not None:
                self._drop(event, error_type)
            else:
                self.tallies.doubt_again(event.number)

    def _spool_guests(self, guests: Sequence[Guest]) -> None:
        """Put events into the spool, in order. Those that have been answered are spooled even if their stream wants no
        spool; the others are dropped then."""
        for guest in guests:
            is_owed = guest.event.pending is None
            if not (guest.may_spool or is_owed) or not self._put(guest.event, is_owed=is_owed, may_have_elders=False):
                self._drop(guest.event, "queue_full")
            elif is_owed and guest.event.index != OWN:
                self._on_spooled(guest.event)

    def rescue(self, *, is_last: bool = False) -> int:
        """Send the events that wait in memory for a disk that takes nothing, in the order of their numbers. Events with
        a key go on waiting while older ones are on a disk of this host, which may be of their key, unless ``is_last``:
        the worker is about to end. Returns how many events were sent."""
        if self._spool is None or self._spool.is_usable():
            return 0
        front = 0 if is_last else self._spool.front_on_disk()
        sent, is_refused = 0, False
        for event, _ in self._spool.take_back(front or math.inf):
            event.is_spooled = False
            if is_refused or self._sink.submit(event, event) is not None:
                is_refused = True  # Those behind it may be of its key.
                self._spool_guests([Guest(event, 0.0, may_spool=True)])
            else:
                sent += 1
                self.tallies.doubt_again(event.number)
        return sent

    def empty_room(self) -> None:
        """Put the events into the spool that wait in memory for their key: the broker is away, or the worker is about
        to end."""
        if self._room is not None:
            self._spool_guests(list(self._room.take_all()))

    def may_replay(self) -> bool:
        """Whether a broker answers and the sink has room."""
        return not self._sink.is_full()

    def can_take(self, size: int, *, is_hasty: bool) -> bool:
        """Whether events of a request of this size could be sent or spooled; if not, it is refused unread."""
        if not self._sink.is_full():
            return True
        return self._spool is not None and (is_hasty or self.may_be_spooled) and self._spool.has_room(size)

    def submit_hasty(self, event: Event) -> str | None:
        """Send or spool a hasty event. Returns an ``error_type`` when neither can be done."""
        return self._submit(event, event.route.stream.on_broker_down != "refuse")

    def submit_guaranteed(self, event: Event) -> str | None:
        """Do the same with an event whose client waits. If it is spooled, its outcome comes when it is on disk."""
        wish = event.route.stream.on_broker_down
        return self._submit(event, wish == "spool" or (wish is None and self._is_spooled))

    def submit_own(self, event: Event) -> str | None:
        """Send or spool an event that the service itself has made, as a hasty one."""
        self.number += 1
        event.number, event.index = self.number, OWN
        error_type = self.submit_hasty(event)
        if error_type is None:
            event.route.tally.accepted += 1
            self.tallies.accepted += 1
        return error_type

    def refused(self, event: Event, error_type: str) -> str | None:
        """Spool a hasty event that the sink did not take, if the reason can pass. Returns an ``error_type`` if it is
        not spooled."""
        if error_type not in CAN_PASS or event.route.stream.on_broker_down == "refuse":
            return error_type
        if self._is_shed(event) and self._must_wait(event):
            return error_type
        return None if self._put(event) else error_type

    def _submit(self, event: Event, may_spool: bool) -> str | None:
        if self._sink.is_full():
            if self._room:  # Its elders there go before it.
                self.empty_room()
            return None if may_spool and self._put(event) else "queue_full"
        if event.key is not None and (self._must_wait(event) or self._is_recalling()):
            return None if self._let_wait(event, may_spool) else "queue_full"
        if self._separating and self._separating.keeps_out(event):
            return None if may_spool and self._put(event) else "queue_full"
        error_type = self._sink.submit(event, event)
        if error_type in CAN_PASS and may_spool and self._put(event):
            return None
        return error_type

    def _must_wait(self, event: Event) -> bool:
        """Whether older events of its key wait in memory here, or in a spool of this host."""
        if self._spool is None or self._room is None:
            return False
        assert event.key is not None
        return self._room.has(event.topic, event.key) or self._spool.holds(event.topic, event.key)

    def _is_recalling(self) -> bool:
        """Whether the sink may give back an older event of any key."""
        return self._doubt is not None and self._doubt.is_recalling(self._loop.time())

    def _let_wait(self, event: Event, may_spool: bool) -> bool:
        """Let an event wait for older ones of its key: in memory if that takes little time, as it does if they are in
        no spool, or if it may not be spooled; otherwise in the spool. Returns False if there is no place for it."""
        assert self._spool is not None
        assert self._room is not None
        assert event.key is not None
        is_worth_it = (
            not may_spool or self._spool.catch_up_s() <= NEARLY_EMPTY_S or not self._spool.holds(event.topic, event.key)
        )
        if is_worth_it and self._room.has_place(len(event.value)):
            until = self._loop.time() + (WAIT_S if may_spool else LONG_WAIT_S)
            self._room.add(Guest(event, until, may_spool))
            self._guard()
            return True
        if not may_spool or self._is_shed(event):
            return False
        # Older events of the key that the sink holds are older than those in the spool, or recalled: doubt covers them.
        self._spool_guests(self._room.take((event.topic, event.key)))
        return self._put(event, may_have_elders=False)

    def _is_shed(self, event: Event) -> bool:
        """Whether an event has to be refused if its key waits in the spool."""
        return self._sheds and event.key is not None and event.pending is None and event.index != OWN

    def _put(self, event: Event, *, is_owed: bool = False, may_have_elders: bool = True) -> bool:
        """Put an event into the spool. If the sink may hold older events of its key, doubt begins: nothing is replayed
        before they have an outcome. Returns whether there was room."""
        if self._spool is None:
            return False
        stream, is_awaited = event.route.tally.stream, event.pending is not None and not is_owed
        if not self._spool.put(event.number, stream, event, event.on_kept, is_owed=is_owed, is_awaited=is_awaited):
            return False
        event.is_spooled = True
        self._guard()
        if may_have_elders and self._sink.outstanding():
            assert self._doubt is not None
            self._doubt.begin(self._loop.time())
        return True

    def _on_recall(self) -> None:
        """Keep events with a key out of the sink until it has given back those that it recalls."""
        if self._doubt is not None:
            self._guard()
            self._doubt.begin_recall(self._loop.time(), self.number)

    def _on_failed(self, event: Event, error: Any) -> None:
        """Handle an event that the sink had taken and did not deliver, as far as it knows: the broker may have it."""
        self.tallies.settle_doubt(event.number)
        error_type = self._sink.classify(error)
        if error_type == BATCH_TOO_LARGE:
            again = self._send_alone(event)
            if again is None:
                return
            error_type = again
        if error_type in CAN_PASS and self._spool is not None:
            if event.key is not None:
                self._sink.recall()  # Younger events of its key must not be sent before it.
            if self._put(event, is_owed=True):
                if event.pending is None and event.index != OWN:
                    self._on_spooled(event)
                return
            _limited.warning("full", "an accepted event of %s is lost: the spool has no room", event.route.tally.stream)
        self._drop(event, error_type)

    def _send_alone(self, event: Event) -> str | None:
        """Send an event by itself whose batch was too large. Returns an ``error_type`` if it was not sent."""
        if self._spool is None or not self._separating.begin(event, self._loop.time()):
            return "broker_timeout"
        self._guard()
        if event.key is not None and self._spool.holds(event.topic, event.key):
            return "broker_timeout"  # It has to go behind older events of its key.
        self.tallies.doubt_again(event.number)
        return self._sink.submit(event, event)

    def _on_kept(self, event: Event, error_type: str | None) -> None:
        """Handle the outcome of an event that was put into the spool: it is on disk, or it could not be written."""
        if error_type is not None:
            self._drop(event, error_type)
            return
        event.route.tally.keep()
        if event.pending is not None:
            event.pending.settle(event)

    def _drop(self, event: Event, error_type: str) -> None:
        """Give up an event. A client that waits for it is told so."""
        event.verdict = verdict.error(error_type)
        if event.pending is not None:
            event.route.tally.withdraw()
            event.pending.settle(event)
            return
        event.route.tally.drop(error_type)
        if event.index != OWN:
            self._on_dropped(event)
