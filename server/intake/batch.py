"""The events of one body, prepared a piece at a time, so that a large body shares its worker with everybody else.

Place: intake.receive → HERE → intake.pipeline, and back to intake.receive once all events are prepared.
Rules: a body has AT_ONCE_S at once, if no other waits. What is left of it waits for turns of the loop, and one turn
does one piece of one body, however many wait; MOST_BEGUN of them take turns, the others come after. Whoever has been
told that the answer is overdue will send the events again: they are dropped. Nothing is sent from here, so a body is
still taken whole or not at all, and by one snapshot of the streams.
Not here: what becomes of an event (intake.pipeline), of a request (intake.receive). Not bounded by this: what it takes
to split a body, to unwrap CloudEvents (intake.forms), and to write down what is wrong with each event (intake.verdict).
"""

# hot path

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from server.intake.arrival import MAX_PROBLEMS

if TYPE_CHECKING:
    from server.http.request import Request
    from server.intake.arrival import Arrival
    from server.intake.event import Event

    # Raw events, the index of the first of them, who sent them.
    PrepareAll = Callable[[Sequence[Any], int, Arrival], list[Event]]

# A hundred usual events take 1.2 ms and are not cut. An event that is refused takes up to 0.1 ms, and a body may have a
# thousand; four clients of such bodies left a tenth of its rate to a fifth one (bench attacks).
AT_ONCE_S: Final = 0.002
TURN_S: Final = 0.001
# Between two looks at the clock, whichever is less; an event at least.
STEP: Final = 16
STEP_BYTES: Final = 16_384

MOST_BEGUN: Final = 4  # If all began at once, all would be late; and each may hold 15 MB of what is wrong with it.


class Batch:
    """``arrival`` and ``events`` are those of one body of ``size`` bytes. ``awaited`` is shared by all who prepare
    events (fetch.asking): what this body looks for is put aside while others have their turn."""

    __slots__ = ("_awaited", "_prepare", "_put_aside", "_raws", "_step", "arrival", "began_s", "events")

    def __init__(
        self, raws: Sequence[Any], size: int, arrival: Arrival, prepare: PrepareAll, awaited: dict[str, None]
    ) -> None:
        self._raws = raws
        self._step = max(1, min(STEP, STEP_BYTES * len(raws) // max(1, size)))
        self._prepare = prepare
        self._awaited = awaited
        self._put_aside: dict[str, None] = {}
        self.arrival = arrival
        self.began_s = monotonic()
        self.events: list[Event] = []

    def is_short(self) -> bool:
        """Whether it goes before those that wait."""
        return len(self._raws) <= self._step

    def prepare(self, time_s: float) -> bool:
        """Prepare events for so long at the most. Whether all are."""
        until = monotonic() + time_s
        raws, events, step = self._raws, self.events, self._step
        count = len(raws)
        while (first := len(events)) < count:
            events += self._prepare(raws[first : first + step], first, self.arrival)
            if monotonic() > until:
                break
        return len(events) == count

    def put_aside(self) -> None:
        """Others come now."""
        self._put_aside.update(self._awaited)
        self._awaited.clear()

    def take_up(self) -> list[Event]:
        """The events, when all are prepared. What they look for is awaited again."""
        self._awaited.update(self._put_aside)
        return self.events

    def begin_anew(self) -> None:
        """Forget what has been prepared."""
        self.events.clear()
        self._put_aside.clear()
        self.arrival.problems_left = MAX_PROBLEMS


class Turns:
    """The bodies of one worker that are not prepared yet. ``on_bug`` answers a request while an exception of ours is
    being handled."""

    __slots__ = ("_is_due", "_on_bug", "_waiting")

    def __init__(self, on_bug: Callable[[Request], None]) -> None:
        self._on_bug = on_bug
        self._waiting: deque[tuple[Batch, Callable[[], None]]] = deque()
        self._is_due = False

    def has_any(self) -> bool:
        """Whether a body waits."""
        return bool(self._waiting)

    def take(self, batch: Batch, then: Callable[[], None]) -> None:
        """Prepare the rest of it in later turns; ``then`` is called in the last of them."""
        batch.put_aside()
        self._waiting.append((batch, then))
        self._call()

    def begin_anew(self) -> None:
        """Streams are other ones now."""
        for batch, _ in self._waiting:
            batch.begin_anew()

    def close(self) -> None:
        """Nothing more is prepared: whoever waits is told so."""
        waiting = list(self._waiting)
        self._waiting.clear()
        for _, then in waiting:
            then()

    def _call(self) -> None:
        if self._waiting and not self._is_due:
            self._is_due = True
            asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        self._is_due = False
        waiting = self._waiting
        while waiting and waiting[0][0].arrival.request.is_overdue:
            waiting.popleft()
        if not waiting:
            return
        batch, then = waiting.popleft()
        try:
            is_whole = batch.prepare(TURN_S)
            batch.put_aside()
            if is_whole:
                then()
            else:
                waiting.insert(MOST_BEGUN - 1, (batch, then))
        except Exception:  # http.protocol answers for the first turn alone.
            self._on_bug(batch.arrival.request)
        finally:
            batch.put_aside()
            self._call()
