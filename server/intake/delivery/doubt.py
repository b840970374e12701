"""Know until when the sink may give back events that are older than others of their keys.

Place: intake.delivery → HERE → sink.spool.spool, which replays nothing meanwhile.
Rules:
1. There is doubt when an event went to the spool, or the sink recalled events, while the sink held others. They may
   have to go to the spool, and would be older there than events of their keys that are on disk.
2. It ends when all events that were in the sink when it began have an outcome, and those of them that were put into the
   spool are on disk, or after ``settle_s``.
3. The sink gives recalled events back in milliseconds (``RECALL_S`` is generous), but not at once: no event with a key
   may be handed to it meanwhile, whose elder may be among those. Events that have been sent are not recalled, so that
   one slow broker prolongs nothing.
Not here: where the events wait that are kept out (intake.delivery).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from server.intake.books.tally import Tallies

RECALL_S: Final = 1.0


class Keeper(Protocol):
    """The methods of a spool that are called here (sink.spool.spool)."""

    def doubt(self, until_s: float) -> None: ...
    def is_usable(self) -> bool: ...
    def waiting(self) -> int: ...
    def last_put(self) -> int: ...
    def is_on_disk(self, seq: int) -> bool: ...


class Doubt:
    """The doubt of one worker. ``in_room`` returns how many events wait in memory for their key. Times are the
    loop's."""

    def __init__(self, spool: Keeper, tallies: Tallies, settle_s: float, in_room: Callable[[], int]) -> None:
        self._spool = spool
        self._tallies = tallies
        self._settle_s = settle_s
        self._in_room = in_room
        self._until = 0.0
        self._is_new = False
        self._owed_upto = 0  # The sequence number of the last event that was put in the time of doubt; 0: it goes on.
        self._recall_until = 0.0

    def __bool__(self) -> bool:
        return self._until > 0

    def begin(self, now: float) -> None:
        """Begin, or begin again. The events in the sink are counted at the next look: this is called for each event."""
        self._until = now + self._settle_s
        self._is_new = True
        self._spool.doubt(self._until)

    def begin_recall(self, now: float, number: int) -> None:
        """Begin with the events in the sink, which are numbered up to this: it has recalled those that are not sent."""
        self.begin(now)
        self._recall_until = now + RECALL_S
        self._count(number)

    def is_recalling(self, now: float) -> bool:
        """Whether recalled events may still come."""
        if self._recall_until and (now >= self._recall_until or self._tallies.doubted <= 0):
            self._recall_until = 0.0
        return self._recall_until > 0

    def look(self, now: float, number: int) -> None:
        """Tell the replay whether there is doubt. Events are numbered up to ``number``."""
        if not self._until:
            return
        if self._is_new:
            self._count(number)
        if self._tallies.doubted <= 0 and not self._owed_upto:
            self._owed_upto = self._spool.last_put()
        is_kept = not self._spool.is_usable() or (self._owed_upto > 0 and self._spool.is_on_disk(self._owed_upto))
        if now >= self._until or (self._tallies.doubted <= 0 and is_kept):
            self._until = self._recall_until = 0.0
            self._tallies.end_doubt()
        self._spool.doubt(self._until)

    def _count(self, number: int) -> None:
        self._is_new = False
        self._owed_upto = 0
        in_flight = sum(tally.in_flight() for tally in self._tallies)
        self._tallies.begin_doubt(in_flight - self._spool.waiting() - self._in_room(), number)
