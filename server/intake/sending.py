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
from server.shared.rings import counts_of

if TYPE_CHECKING:
    from server.http.request import Request
    from server.intake.books.receipts import Receipts
    from server.intake.delivery import Delivery
    from server.intake.error_events import ErrorEvents
    from server.intake.event import Event
    from server.sink.base import OnAck, Sink

    Submit = Callable[[Event, OnAck], str | None]

SPOOLED: Final = b"X-Durability: spool\r\n"


class Sender:
    """Sends the events of one worker. ``counts`` count all received events."""

    def __init__(self, sink: Sink, delivery: Delivery, receipts: Receipts, error_events: ErrorEvents) -> None:
        self._submit = sink.submit
        self._delivery = delivery
        self._tallies = delivery.tallies
        self._error_events = error_events
        self._receipts = receipts
        self._receipt_of_hasty, self._receipt_of_settled = receipts.hasty.append, receipts.settled.append
        self.counts = Counts()
        self._times = self.counts.guaranteed

    def hasty(self, request: Request, events: list[Event], number: int, is_guarded: bool) -> None:
        """Send the valid events, then answer: by then the events are in the memory of the sink or of the spool. They
        are numbered from ``number`` + 1."""
        submit: Submit = self._delivery.submit_hasty if is_guarded else self._submit
        count, taken, refused = len(events), 0, 0
        last = number + count
        for event in events:
            if event.verdict is None:
                event.number = number = number + 1
                error_type = submit(event, event.on_ack)
                if error_type is not None:
                    error_type = self._delivery.refused(event, error_type)
                    submit = self._delivery.submit_hasty  # Younger events of its key must not be sent before it.
                if error_type is None:
                    route = event.route
                    assert route is not None
                    route.tally.accepted += 1
                    taken += 1
                else:
                    event.verdict = verdict.error(error_type)
                    refused += 1
            if event.verdict is not None or event.observed is not None:
                self._note(event, request)
        self._tallies.accepted += taken
        if submit is not self._submit:
            kept = [event for event in events if event.verdict is None]
            invalid = count - taken - refused
            self._receipts.note_odd(request.identity(), kept, last, is_final=False, invalid=invalid)
        elif taken == count:
            self._receipt_of_hasty((hash(request.identity()), taken, last))
        elif taken or not refused:
            self._receipt_of_hasty((hash(request.identity()), counts_of(taken, count - taken - refused), last))
        if refused:
            self._answer_refused(request, events, refused)
        else:
            request.reply(202, _HASTY[count] if count < len(_HASTY) else verdict.hasty(count).phrase)

    def _answer_refused(self, request: Request, events: list[Event], refused: int) -> None:
        """Answer a hasty request of which some events were not taken, and name them: nothing may be lost behind a
        202."""
        self.counts.refused_hasty += refused
        answer = verdict.failed(events)
        request.reply(answer.status, answer.phrase, answer.body, retry_after_s=answer.retry_after_s)

    def guaranteed(
        self, request: Request, events: list[Event], number: int, is_guarded: bool, began_s: float = 0.0
    ) -> None:
        """Send the valid events and answer when the last outcome is known. ``began_s``: see intake.pending."""
        submit: Submit = self._delivery.submit_guaranteed if is_guarded else self._submit
        pending = Pending(request, events, self._on_settled, began_s)
        for event in events:
            if event.verdict is None:
                event.pending = pending
                event.number = number = number + 1
                error_type = submit(event, event.on_ack)
                if error_type is not None and submit is self._submit:
                    submit = self._delivery.submit_guaranteed  # This event, and those behind it, may wait on disk.
                    error_type = submit(event, event.on_ack)
                if error_type is None:
                    route = event.route
                    assert route is not None
                    route.tally.accepted += 1
                    pending.left += 1
                else:
                    event.pending = None
                    event.verdict = verdict.error(error_type)
            if event.verdict is not None:
                pending.failures += 1
            if event.verdict is not None or event.observed is not None:
                self._note(event, request)
        self._tallies.accepted += pending.left  # No outcome comes before this returns.
        if pending.left == 0:
            self._answer(pending)

    def _on_settled(self, pending: Pending) -> None:
        if pending.failures:
            for event in pending.events:
                if event.verdict is not None and event.pending is not None:
                    self._note(event, pending.request)
        self._answer(pending)

    def _answer(self, pending: Pending) -> None:
        # Its events reference the request, and the garbage collector tracks neither: the cycle is broken here, even if
        # the code below fails.
        events, pending.events = pending.events, _NO_EVENTS
        count, request = len(events), pending.request
        if pending.began_s:
            self._times.add(monotonic() - pending.began_s)
        if pending.failures or pending.spooled:
            kept = [event for event in events if event.pending is not None]
            invalid = sum(event.pending is None and event.verdict.is_invalid for event in events if event.verdict)
            self._receipts.note_odd(request.identity(), kept, 0, is_final=True, invalid=invalid)
        else:
            self._receipt_of_settled((hash(request.identity()), count))
        if pending.spooled:
            self._answer_spooled(pending, events)
        elif not pending.failures:
            request.reply(201, _ACCEPTED[count] if count < len(_ACCEPTED) else verdict.accepted(count).phrase)
        else:
            answer = verdict.failed(events)
            request.reply(
                answer.status, answer.phrase, answer.body, retry_after_s=answer.retry_after_s, more=answer.more
            )

    def _answer_spooled(self, pending: Pending, events: list[Event]) -> None:
        """Answer a request of which some events are on this host's disk instead of with the broker; the answer says
        so."""
        if pending.failures:
            answer = verdict.failed(events)
        else:
            answer = verdict.spooled(len(events), pending.spooled)
        pending.request.reply(answer.status, answer.phrase, answer.body, more=SPOOLED)

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
            self._error_events.add(event, found)


_NO_EVENTS: Final[list[Event]] = []

# Phrases of the usual batch sizes, ready-made: formatting one costs 0.3 µs of a request's 8.
_HASTY = [verdict.hasty(count).phrase for count in range(257)]
_ACCEPTED = [verdict.accepted(count).phrase for count in range(257)]
