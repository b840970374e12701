"""The events of one body, prepared a piece at a time, so that a large body shares its worker with everybody else.

Place: intake.receive → HERE → intake.pipeline, and back to intake.receive once all events are prepared.
Rules: a body has AT_ONCE_S at once, if no other waits. What is left of it waits for turns of the loop; one turn does
one piece of one body, however many wait, and each goes to the end of the queue. Nothing is sent from here, so a body
is still taken whole or not at all.
Not here: what becomes of an event (intake.pipeline), of a request (intake.receive).
"""

# hot path

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from server.intake.arrival import Arrival
    from server.intake.event import Event

    # Raw events, the index of the first of them, who sent them.
    Prepare = Callable[[Sequence[Any], int, Arrival], list[Event]]

# A hundred usual events take 1.2 ms and are not cut. An event that is refused takes up to 0.1 ms, and a body may have a
# thousand; four clients of such bodies left a tenth of its rate to a fifth one (bench attacks).
AT_ONCE_S: Final = 0.002
TURN_S: Final = 0.001
STEP: Final = 16  # Between two looks at the clock.


class Batch:
    """``arrival`` and ``events`` are those of one body. ``awaited`` is shared by all who prepare events
    (fetch.asking): what this body looks for is put aside while others have their turn."""

    __slots__ = ("_awaited", "_prepare", "_put_aside", "_raws", "arrival", "events")

    def __init__(self, raws: Sequence[Any], arrival: Arrival, prepare: Prepare, awaited: dict[str, None]) -> None:
        self._raws = raws
        self._prepare = prepare
        self._awaited = awaited
        self._put_aside: dict[str, None] = {}
        self.arrival = arrival
        self.events: list[Event] = []

    def is_short(self) -> bool:
        """Whether it goes before those that wait."""
        return len(self._raws) <= STEP

    def go_on(self, time_s: float) -> bool:
        """Prepare events for so long at the most. Whether all are."""
        until = monotonic() + time_s
        raws, events = self._raws, self.events
        count = len(raws)
        while (first := len(events)) < count:
            events += self._prepare(raws[first : first + STEP], first, self.arrival)
            if monotonic() > until:
                break
        return len(events) == count

    def put_aside(self) -> None:
        """Others come now."""
        self._put_aside.update(self._awaited)
        self._awaited.clear()

    def whole(self) -> list[Event]:
        """The events, once all are prepared. What they look for is awaited again."""
        self._awaited.update(self._put_aside)
        return self.events


class Turns:
    """The bodies of one worker that are not prepared yet."""

    __slots__ = ("_is_due", "_waiting")

    def __init__(self) -> None:
        self._waiting: deque[tuple[Batch, Callable[[], None]]] = deque()
        self._is_due = False

    def has_any(self) -> bool:
        """Whether a body waits."""
        return bool(self._waiting)

    def take(self, batch: Batch, then: Callable[[], None]) -> None:
        """Go on with it in later turns; ``then`` is called in the last of them, and what fails there is its own
        affair."""
        batch.put_aside()
        self._waiting.append((batch, then))
        self._call()

    def _call(self) -> None:
        if self._waiting and not self._is_due:
            self._is_due = True
            asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        self._is_due = False
        batch, then = self._waiting.popleft()
        try:
            is_whole = batch.go_on(TURN_S)
            batch.put_aside()
            if is_whole:
                then()
            else:
                self._waiting.append((batch, then))
        finally:
            self._call()
