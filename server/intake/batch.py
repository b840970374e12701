"""The events of one body, prepared piece by piece, so that a large body shares its worker with other requests.

Place: intake.receive → HERE → intake.text.cut, intake.pipeline, and back to intake.receive once all events are
prepared.
Rules: a body has AT_ONCE_S at once if no other body waits. The rest of the work is done in the turns of its client
(server.timing.turns): first the body is split, then its events are prepared, and failures are written as they are
found. The memory for this is counted as held by the request before the first event is prepared. If the answer is
overdue, the client has been told to send the events again, so they are dropped. Nothing is sent from here: a body is
accepted whole or not at all, and by one snapshot of the streams.
Not here: what becomes of an event (intake.pipeline) and of a request (intake.receive), how turns are shared.
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
    from server.intake.forms.form import Finish
    from server.intake.forms.ndjson import BodyLines

    # Arguments: raw events, the index of the first of them, the request's arrival.
    PrepareAll = Callable[[Sequence[Any], int, Arrival], list[Event]]

# A hundred usual events take 1.2 ms and are not cut. A refused event takes up to 0.1 ms, and a body may have a thousand
# of them; four clients with such bodies left a fifth client a tenth of its rate (bench attacks).
AT_ONCE_S = 0.002  # Not Final: see TURN_S in server.timing.turns.
# The work between two looks at the clock: whichever of these is reached first, and at least one event.
STEP: Final = 16
STEP_BYTES: Final = 16_384

# Memory of an event that is being prepared, besides its bytes, of which two more copies exist (measured: 10,000 times
# ``{}`` take 4 MB, including the entries written for them).
EVENT_BYTES: Final = 400


class Writes(Protocol):
    """Writes what the answer says of events, as they are prepared."""

    def write(self, event: Event) -> None:
        """Write the entry of an event that has been prepared."""

    def begin_again(self) -> None:
        """Discard all entries."""


class Batch:
    """The events of one body.

    ``arrival`` and ``found`` belong to a body of ``size`` bytes: ``found`` is its raw events, or the object that finds
    them. ``fault`` says why there are no events, in the form of intake.text.cut.
    """

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
        """Have ``writer`` write the entries of the events so far and of those that follow."""
        self.writer = writer
        for event in self.events:
            writer.write(event)

    def is_short(self) -> bool:
        """Whether the body is short enough to go ahead of bodies that wait."""
        return self._cut is None and len(self._raws) <= self._step

    def prepare(self, time_s: float, has_room: Callable[[Any, int], bool] | None = None) -> bool:
        """Prepare events for at most this long. Returns whether all are prepared or there is a ``fault``. ``has_room``
        is called once the number of events is known."""
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
        """Count the memory that preparing takes, if the number of events is known already."""
        if self._cut is not None:
            return
        more_bytes = 2 * self._body_bytes + EVENT_BYTES * len(self._raws)
        if has_room is not None and not has_room(self.arrival.request, more_bytes):
            self.fault = FULL

    def begin_again(self) -> None:
        """Discard all prepared events and begin with the first again."""
        self.events.clear()
        if self.writer is not None:
            self.writer.begin_again()
        self.arrival.problems_left = MAX_PROBLEMS


class Preparing:
    """The rest of a batch, as a job of its client. ``then`` is called when the batch is prepared or has been given up;
    ``waiting`` holds all jobs in progress."""

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
        """Whether the batch is still to be prepared, and the client has not been told to send it again."""
        return self in self._waiting and not self.batch.arrival.request.is_overdue

    def is_late(self) -> bool:
        """Whether an outcome would come too late for the answer."""
        return monotonic() - self.batch.began_s > self._patience_s

    def refuse(self) -> None:
        """Give up, because the client sends more than its share."""
        self.batch.fault = FULL
        self.end()

    def go_on(self, time_s: float) -> bool:
        """Work for one turn."""
        is_whole = self.batch.prepare(time_s, self._has_room)
        if is_whole:
            self.end()
        return is_whole

    def end(self) -> None:
        """Finish the job and let the request continue."""
        self.drop()
        self._then()

    def on_bug(self) -> None:
        """Answer a request whose job failed in a later turn: http.protocol answers for the first turn alone."""
        self.drop()
        self._on_bug(self.batch.arrival.request)

    def drop(self) -> None:
        """Remove the job from those in progress."""
        self._waiting.pop(self, None)
