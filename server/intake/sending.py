"""Send prepared events, and answer their request: at once when it is hasty, else when the last outcome is known.

Place: intake.receive → HERE → sink, intake.delivery; acks → intake.pending → HERE → http.request.
Rules: a request gets exactly one reply, and what it says of an event stays true. Events go to the sink directly until
the sink refuses one; from that one on they go to intake.delivery.
Not here: requests that are refused unread (intake.receive), acks that failed (intake.delivery).
"""

# hot path

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING, Final

from server.intake import verdict
from server.intake.books.counts import Counts
from server.intake.pending import Pending

if TYPE_CHECKING:
    from server.http.request import Request
    from server.intake.books.receipts import Receipts
    from server.intake.delivery.delivery import Delivery
    from server.intake.error_events import ErrorEvents
    from server.intake.event import Event
    from server.intake.pending import Settled
    from server.intake.route import Route
    from server.intake.slices import Sending
    from server.sink.base import Sink

    OnFaults = Callable[[Request, list[Event]], None]

SPOOLED: Final = b"X-Durability: spool\r\n"


class Sender:
    """Sends the events of one worker. ``counts`` count all received events."""

    def __init__(self, sink: Sink, delivery: Delivery, receipts: Receipts, error_events: ErrorEvents) -> None:
        self._sink = sink
        self._delivery = delivery
        self._tallies = delivery.tallies
        self._error_events = error_events
        self.receipts = self._receipts = receipts
        self.counts = Counts()
        self._times = self.counts.guaranteed
        self._settled: Settled = self._on_settled  # Bound once.
        # Told of the events of a request, not all of which are accepted, before it is answered.
        self.on_faults: OnFaults | None = None

    def hasty(
        self, request: Request, events: list[Event], least: int, is_guarded: bool, sending: Sending | None = None
    ) -> None:
        """Hand over the valid events, then answer: by then they are in the memory of the sink or of the spool. Their
        numbers are above ``least``, and above all numbers of this worker so far. If they are a slice of a request,
        ``sending`` is told instead of answering."""
        sink, delivery = self._sink, self._delivery
        count, taken, refused = len(events), 0, 0
        number = delivery.number
        if number < least:  # A call of max would take 1 % of a request.
            number = least
        delivery.number = last = number + count
        for event in events:
            if event.verdict is None:
                event.number = number = number + 1
                error_type = delivery.submit_hasty(event) if is_guarded else sink.submit(event, event)
                if error_type is not None:
                    error_type = delivery.refused(event, error_type)
                    is_guarded = True  # Younger events of its key must not be sent before it.
                if error_type is None:
                    route: Route = event.route
                    route.tally.accepted += 1
                    taken += 1
                else:
                    event.verdict = verdict.error(error_type)
                    refused += 1
            if event.verdict is not None or event.observed is not None:
                self._note(event, request)
        self._tallies.accepted += taken
        if sending is not None:
            sending.on_handed_over(events, taken, refused, last, is_guarded)
            return
        if taken != count and self.on_faults is not None:
            self.on_faults(request, events)
        if is_guarded:
            kept = [event for event in events if event.verdict is None]
            invalid = count - taken - refused
            self._receipts.note_odd(request.identity(), kept, last, is_final=False, invalid=invalid)
        elif taken or not refused:
            self._receipts.note_hasty(request.identity(), taken, count - taken - refused, last)
        if refused:
            self._answer_refused(request, events, refused, None)
        else:
            request.reply(202, _HASTY[count] if count < len(_HASTY) else verdict.hasty(count).phrase)

    def answer_hasty(
        self, request: Request, events: list[Event], refused: int, failures: verdict.Failures | None = None
    ) -> None:
        """Answer that several events were received, unless some were ``refused``. ``failures``: as for ``answer``."""
        if self.on_faults is not None and any(event.verdict is not None for event in events):
            self.on_faults(request, events)
        if refused:
            self._answer_refused(request, events, refused, failures)
        else:
            request.reply(202, verdict.hasty(len(events)).phrase)

    def _answer_refused(
        self, request: Request, events: list[Event], refused: int, failures: verdict.Failures | None
    ) -> None:
        """Answer which events of a hasty request were not taken: a 202 would hide their loss."""
        self.counts.refused_hasty += refused
        answer = (failures or verdict.failures(events, verdict.room_of(request))).answer(len(events))
        request.reply(answer.status, answer.phrase, answer.body, retry_after_s=answer.retry_after_s)

    def guaranteed(
        self,
        request: Request,
        events: list[Event],
        least: int,
        is_guarded: bool,
        began_s: float = 0.0,
        pending: Pending | None = None,
    ) -> bool:
        """Hand over the valid events and answer when the last outcome is known. ``least``: see ``hasty``; ``began_s``:
        see intake.pending. If the events are a slice of a request, ``pending`` is that of the whole request. Returns
        whether intake.delivery had to be asked."""
        sink, delivery = self._sink, self._delivery
        number = delivery.number
        if number < least:  # A call of max would take 1 % of a request.
            number = least
        delivery.number = number + len(events)
        if pending is None:
            pending = Pending(request, events, self._settled, began_s)
        before = pending.left
        for event in events:
            if event.verdict is None:
                event.pending = pending
                event.number = number = number + 1
                error_type = None
                if is_guarded or sink.submit(event, event) is not None:
                    is_guarded = True  # This event, and those behind it, may wait on disk.
                    error_type = delivery.submit_guaranteed(event)
                if error_type is None:
                    route: Route = event.route
                    route.tally.accepted += 1
                    pending.left += 1
                else:
                    event.pending = None
                    event.verdict = verdict.error(error_type)
            if event.verdict is not None:
                pending.failures += 1
            if event.verdict is not None or event.observed is not None:
                self._note(event, request)
        self._tallies.accepted += pending.left - before  # No outcome comes before this returns.
        if pending.left == 0:
            self.answer(pending)
        return is_guarded

    def _on_settled(self, pending: Pending) -> None:
        if pending.failures:
            for event in pending.events:
                self.note_failed(event, pending.request)
        self.answer(pending)

    def note_failed(self, event: Event, request: Request) -> None:
        """Count a guaranteed event that failed after the sink had taken it."""
        if event.verdict is not None and event.pending is not None:
            self._note(event, request)

    def answer(self, pending: Pending, failures: verdict.Failures | None = None) -> None:
        """Answer a guaranteed request, all outcomes of which are known. ``failures``: the failed events, if they have
        been collected already."""
        # Events and pending refer to each other, and the garbage collector tracks neither: the cycle is broken before
        # anything below can fail.
        events, pending.events = pending.events, _NO_EVENTS
        count, request = len(events), pending.request
        if pending.began_s:
            self._times.add(monotonic() - pending.began_s)
        if pending.failures and failures is None:
            failures = verdict.failures(events, verdict.room_of(request))
        if failures is not None and self.on_faults is not None:
            self.on_faults(request, events)
        if failures is not None or pending.spooled:
            kept = [event for event in events if event.pending is not None]
            invalid = failures.never_taken if failures is not None else 0
            self._receipts.note_odd(request.identity(), kept, 0, is_final=True, invalid=invalid)
        else:
            self._receipts.note_settled(request.identity(), count)
        if pending.spooled:
            self._answer_spooled(pending, events, failures)
        elif failures is None:
            request.reply(201, _ACCEPTED[count] if count < len(_ACCEPTED) else verdict.accepted(count).phrase)
        else:
            answer = failures.answer(count)
            request.reply(
                answer.status, answer.phrase, answer.body, retry_after_s=answer.retry_after_s, more=answer.more
            )

    def _answer_spooled(self, pending: Pending, events: list[Event], failures: verdict.Failures | None) -> None:
        """Answer a request of which some events are on our disk instead of with the broker, and say so."""
        if failures is not None:
            answer = failures.answer(len(events))
        else:
            answer = verdict.spooled(len(events), pending.spooled)
        pending.request.reply(answer.status, answer.phrase, answer.body, more=SPOOLED)

    def answer_unsent(self, request: Request, events: list[Event], *, is_hasty: bool) -> None:  # cold: dry tests
        """Answer as if valid events had been sent and stored. They are neither counted nor have they receipts."""
        if is_hasty:
            self.answer_hasty(request, events, 0)
        elif any(event.verdict is not None for event in events):
            answer = verdict.failures(events, verdict.room_of(request)).answer(len(events))
            request.reply(answer.status, answer.phrase, answer.body, retry_after_s=answer.retry_after_s)
        else:
            request.reply(201, verdict.accepted(len(events)).phrase)

    def on_dropped(self, event: Event) -> None:
        """Handle a hasty event that will never be delivered, although its request has been answered
        (intake.delivery)."""
        self._receipts.failed(event.number, was_spooled=event.is_spooled)
        self._note(event)

    def _note(self, event: Event, request: Request | None = None) -> None:
        """Count a verdict, and make the error event of an invalid event."""
        found = event.verdict or event.observed
        assert found is not None
        stream = event.route.tally.stream if event.route is not None else ""
        request_id = request.request_id if request is not None else ""
        self.counts.note(found, stream, request_id, is_observed=event.verdict is None)
        if found.is_invalid:
            if stream and request is not None:
                self.counts.note_agent(stream, request.headers.get(b"user-agent", b""))
            self._error_events.add(event, found)


_NO_EVENTS: Final[list[Event]] = []

# The phrases of the usual batch sizes are made beforehand: formatting one costs 0.3 µs of a request's 8.
_HASTY = [verdict.hasty(count).phrase for count in range(257)]
_ACCEPTED = [verdict.accepted(count).phrase for count in range(257)]
