"""Hand over the events of a large request in several turns of the loop, so that others are served in between.

Place: intake.receive → HERE → intake.sending, and back to it with the answer.
Rules: the events of a slice are numbered when they are handed over, so numbers follow the order of acceptance although
other requests come in between. Once a slice had to ask intake.delivery, the later ones do as well. Room in the sink is
reserved for the remaining events. When no outcome can come in time any more, the remaining events are refused and not
sent. A request is answered once, when all slices are handed over and have their outcomes; a long answer is written in
slices too.
Not here: the way of one event (intake.sending), whose turn it is (timing.turns).
"""

# hot path

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from time import monotonic
from typing import TYPE_CHECKING, Final

from server.intake import verdict
from server.intake.pending import Pending
from server.shared.rings import MOST, counts_of

if TYPE_CHECKING:
    from server.http.request import Request
    from server.intake.delivery.delivery import Delivery
    from server.intake.event import Event
    from server.intake.sending import Sender
    from server.timing.turns import Turns

# Not Final: see TURN_S in server.timing.turns.
AT_ONCE = 512  # Up to so many events are handed over in one turn: 10,000 took 11 to 22 ms.
STEP: Final = 64  # Events of a slice, and between two looks at the clock.


class Sending:
    """The sending of one request's events, as a job of its client. All their numbers are above ``least``.
    Guaranteed ones are sent until ``until_s``, by the monotonic clock. ``on_bug`` answers a request after an exception
    of ours. ``under_way`` holds, for each request that is being sent, the number of events that remain."""

    def __init__(
        self,
        sender: Sender,
        delivery: Delivery,
        request: Request,
        events: list[Event],
        least: int,
        *,
        began_s: float,
        until_s: float,
        is_guarded: bool,
        under_way: dict[Sending, int],
        on_bug: Callable[[Request], None],
    ) -> None:
        self._sender = sender
        self._receipts = sender.receipts
        self._delivery = delivery
        self._request = request
        self._events = events
        self._least = least
        self._began_s = began_s
        self._until_s = until_s
        self._is_guarded = is_guarded
        self._under_way = under_way
        self._on_bug = on_bug
        self._taken = self._refused = self._entry = 0
        self._pending: Pending | None = None
        self._steps: Iterator[None] = iter(())

    def begin(self, turns: Turns, client: str, *, is_hasty: bool) -> None:
        """Start to send the events, in the next turns of this client."""
        self._turns, self._client = turns, client
        self._under_way[self] = len(self._events)
        self._go_on_with(self._hasty() if is_hasty else self._guaranteed())

    def _must_ask(self) -> bool:
        """Whether the next slice has to ask intake.delivery."""
        return self._is_guarded or self._delivery.must_ask()

    def _go_on_with(self, steps: Iterator[None]) -> None:
        self._steps = steps
        self._turns.take(self._client, self, is_begun=True)

    def _slices(self) -> Iterator[list[Event]]:
        events = self._events
        for at in range(0, len(events), STEP):
            part = events[at : at + STEP]
            self._under_way[self] = len(events) - at - len(part)
            yield part

    def _hasty(self) -> Iterator[None]:
        receipts = self._receipts
        self._entry = receipts.begin(self._request.identity())
        for part in self._slices():
            self._sender.hasty(self._request, part, self._least, self._must_ask(), self)
            yield
        self._under_way.pop(self, None)
        receipts.end(self._entry, counts_of(0, len(self._events) - self._taken - self._refused), self._delivery.number)
        if self._began_s:
            self._sender.counts.hasty.add(monotonic() - self._began_s)
        failures = (yield from self._failures()) if self._refused else None
        self._sender.answer_hasty(self._request, self._events, self._refused, failures)

    def on_handed_over(self, part: list[Event], taken: int, refused: int, last: int, is_guarded: bool) -> None:
        """Note how many events of a slice of hasty ones were taken and refused. The last of them has the number
        ``last``."""
        before, self._taken = self._taken, self._taken + taken
        self._refused += refused
        self._is_guarded = is_guarded
        self._receipts.add(self._entry, min(MOST, self._taken) - min(MOST, before), part, last)

    def _guaranteed(self) -> Iterator[None]:
        pending = self._pending = Pending(self._request, self._events, self._on_settled, self._began_s)
        pending.left = 1  # One more than are open, so that outcomes of early slices do not complete the request.
        for part in self._slices():
            if monotonic() > self._until_s:
                _refuse(part)
            must_ask = self._must_ask()
            self._is_guarded = self._sender.guaranteed(self._request, part, self._least, must_ask, pending=pending)
            yield
        self._under_way.pop(self, None)
        pending.left -= 1
        if pending.left == 0:
            self._on_settled(pending)

    def _on_settled(self, pending: Pending) -> None:
        if pending.failures:
            self._go_on_with(self._answer(pending))
        else:
            self._end(pending, None)

    def _answer(self, pending: Pending) -> Iterator[None]:
        failures = yield from self._failures()
        self._end(pending, failures)

    def _failures(self) -> Generator[None, None, verdict.Failures]:
        """Count the events that failed after the sink took them, and collect all failures for the answer."""
        failures = verdict.Failures(verdict.room_of(self._request))
        for count, event in enumerate(self._events):
            self._sender.note_failed(event, self._request)
            failures.add(event)
            if count % STEP == 0:
                yield
        return failures

    def _end(self, pending: Pending, failures: verdict.Failures | None) -> None:
        self._let_go()
        self._sender.answer(pending, failures)

    def _let_go(self) -> None:
        """Break the cycle of events and objects that wait for them: the garbage collector does not track either."""
        self._events, self._pending = [], None

    # A job of timing.turns.

    def is_wanted(self) -> bool:
        """Always true: a request of which a part was sent is sent to its end."""
        return True

    def is_late(self) -> bool:
        return False

    def refuse(self) -> None:
        raise AssertionError("a request whose events are being sent is not refused")

    def go_on(self, time_s: float) -> bool:
        """Hand over slices, or write the answer, for ``time_s``. Returns whether the job is done."""
        until = monotonic() + time_s
        for _ in self._steps:  # noqa: SIM110 - a generator more would be made in each turn
            if monotonic() > until:
                return False
        return True

    def end(self) -> None:
        """Hand over the remaining events at once."""
        while self in self._under_way:
            next(self._steps, None)

    def on_bug(self) -> None:
        if self._pending is not None:
            self._pending.events = []
        self._let_go()
        self.drop()
        self._on_bug(self._request)

    def drop(self) -> None:
        self._under_way.pop(self, None)


def _refuse(events: list[Event]) -> None:  # cold: no time is left
    for event in events:
        if event.verdict is None:
            event.verdict = verdict.error("queue_full")
