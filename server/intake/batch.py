"""The events of one body, prepared a piece at a time, so that a large body shares its worker with everybody else.

Place: intake.receive → HERE → intake.text.cut, intake.pipeline, and back to intake.receive once all events are
prepared.
Rules: a body has AT_ONCE_S at once, if no other waits. What is left of it has its turns as its client has them
(server.timing.turns): first it is taken apart, then its events are prepared, and what is wrong with them is written
down as it is found. What that takes is counted as held by the request before the first event is prepared. Whoever has
been told that the answer is overdue will send the events again: they are dropped. Nothing is sent from here, so a body
is still taken whole or not at all, and by one snapshot of the streams.
Not here: what becomes of an event (intake.pipeline), of a request (intake.receive), how turns are shared.
"""

# hot path

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, Protocol

from server.intake.arrival import MAX_PROBLEMS
from server.intake.text.cut import FULL, Elements

if TYPE_CHECKING:
    from server.http.request import Request
    from server.intake.arrival import Arrival
    from server.intake.event import Event
    from server.intake.forms.forms import Finish
    from server.intake.forms.ndjson import BodyLines

    # Raw events, the index of the first of them, who sent them.
    PrepareAll = Callable[[Sequence[Any], int, Arrival], list[Event]]

# A hundred usual events take 1.2 ms and are not cut. An event that is refused takes up to 0.1 ms, and a body may have a
# thousand; four clients of such bodies left a tenth of its rate to a fifth one (bench attacks).
AT_ONCE_S: Final = 0.002
# Between two looks at the clock, whichever is less; an event at least.
STEP: Final = 16
STEP_BYTES: Final = 16_384

# What an event that is being prepared takes besides its bytes, of which there are two more copies (measured: 10,000 of
# ``{}`` 4 MB, with what is written down of them).
EVENT_BYTES: Final = 400


class Writes(Protocol):
    """Writes down what the answer says of events, as they are prepared."""

    def write(self, event: Event) -> None:
        """This one is prepared."""

    def begin_anew(self) -> None:
        """Nothing is."""


class Batch:
    """``arrival`` and ``found`` are those of one body of ``size`` bytes: its raw events, or what finds them.
    ``fault``: why there are no events, as intake.text.cut says it."""

    __slots__ = (
        "_body_bytes", "_cut", "_finish", "_prepare", "_raws", "_step", "_steps",
        "arrival", "began_s", "events", "fault", "writer",
    )  # fmt: skip

    def __init__(
        self,
        found: Sequence[Any] | Elements | BodyLines,
        size: int,
        arrival: Arrival,
        prepare: PrepareAll,
        finish: Finish | None = None,
    ) -> None:
        self._cut: Any = None
        self._steps: Iterator[None] = iter(())
        self._raws: Sequence[Any] = ()
        self._body_bytes = size
        self._step = 0
        if isinstance(found, list):
            self._use(found)
        else:
            self._cut, self._steps = found, iter(found)
        self._finish = finish
        self._prepare = prepare
        self.arrival = arrival
        self.began_s = monotonic()
        self.events: list[Event] = []
        self.fault: int | str | None = None
        self.writer: Writes | None = None

    def _use(self, raws: Sequence[Any]) -> None:
        self._raws = raws
        self._step = max(1, min(STEP, STEP_BYTES * len(raws) // max(1, self._body_bytes)))

    def write(self, writer: Writes) -> None:
        """Have ``writer`` write down the events, and those that follow."""
        self.writer = writer
        for event in self.events:
            writer.write(event)

    def is_short(self) -> bool:
        """Whether it goes before those that wait."""
        return self._cut is None and len(self._raws) <= self._step

    def prepare(self, time_s: float, has_room: Callable[[Any, int], bool] | None = None) -> bool:
        """Prepare events for so long at the most. Whether all are, or there is a ``fault``. ``has_room`` is asked once
        the number of events is known."""
        until = monotonic() + time_s
        if self._cut is not None:
            for _ in self._steps:
                if monotonic() > until:
                    return False
            self._on_cut(has_room)
        if self.fault is not None:
            return True
        raws, events, step, writer = self._raws, self.events, self._step, self.writer
        count = len(raws)
        while (first := len(events)) < count:
            prepared = self._prepare(raws[first : first + step], first, self.arrival)
            if writer is not None:
                for event in prepared:
                    writer.write(event)
            events += prepared
            if monotonic() > until:
                break
        return len(events) == count

    def _on_cut(self, has_room: Callable[[Any, int], bool] | None) -> None:
        cut, self._cut, self._steps = self._cut, None, iter(())
        self.fault = cut.fault
        if self.fault is None and self._finish is not None:
            found = self._finish(cut.raws, cut.is_array)
            self.fault = found if isinstance(found, str) else None
        if self.fault is None:
            self._use(cut.raws)
            self.hold(has_room)

    def hold(self, has_room: Callable[[Any, int], bool] | None) -> None:
        """Count what preparing it takes, if that is known already."""
        if self._cut is not None:
            return
        more_bytes = 2 * self._body_bytes + EVENT_BYTES * len(self._raws)
        if has_room is not None and not has_room(self.arrival.request, more_bytes):
            self.fault = FULL

    def begin_anew(self) -> None:
        """Forget what has been prepared."""
        self.events.clear()
        if self.writer is not None:
            self.writer.begin_anew()
        self.arrival.problems_left = MAX_PROBLEMS


class Preparing:
    """The rest of a batch, as a job of its client. ``then`` is called when it is prepared, or will not be; ``waiting``
    are all that are under way."""

    __slots__ = ("_has_room", "_on_bug", "_patience_s", "_then", "_waiting", "batch")

    def __init__(
        self,
        batch: Batch,
        then: Callable[[], None],
        waiting: dict[Preparing, None],
        patience_s: float,
        has_room: Callable[[Any, int], bool] | None,
        on_bug: Callable[[Request], None],
    ) -> None:
        self.batch = batch
        self._then = then
        self._waiting = waiting
        self._patience_s = patience_s
        self._has_room = has_room
        self._on_bug = on_bug
        waiting[self] = None

    def is_wanted(self) -> bool:
        """Whether it is still to be prepared, and the client has not been told to send it again."""
        return self in self._waiting and not self.batch.arrival.request.is_overdue

    def is_late(self) -> bool:
        """Whether there is no time for an outcome any more."""
        return monotonic() - self.batch.began_s > self._patience_s

    def refuse(self) -> None:
        """The client sends more than its share."""
        self.batch.fault = FULL
        self.end()

    def go_on(self, time_s: float) -> bool:
        """A turn's worth."""
        is_whole = self.batch.prepare(time_s, self._has_room)
        if is_whole:
            self.end()
        return is_whole

    def end(self) -> None:
        """Go on with the request."""
        self.drop()
        self._then()

    def on_bug(self) -> None:
        """http.protocol answers for the first turn alone."""
        self.drop()
        self._on_bug(self.batch.arrival.request)

    def drop(self) -> None:
        """It is over."""
        self._waiting.pop(self, None)
