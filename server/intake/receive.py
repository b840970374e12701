"""The routes that take events: read the request, prepare all of its events, submit them, answer.

Place: http.routes → HERE → intake.pipeline → HERE → sink → intake.pending → HERE → http.request.
Rule: all events of a request are prepared before any is submitted; every request gets exactly one reply.
Not here: HTTP (the request replies for itself), one event's way (intake.pipeline), acks (intake.pending).
"""

# hot path

from __future__ import annotations

from collections.abc import Callable, Mapping
from time import monotonic
from typing import TYPE_CHECKING, Any

import msgspec

from server.intake import verdict
from server.intake.arrival import Arrival, Clock
from server.intake.counts import MEASURED_EVERY, Counts
from server.intake.decode import split
from server.intake.delivery import Delivery
from server.intake.error_events import ErrorEvents
from server.intake.event import Event
from server.intake.forms import Forms, prepare_all, without_form
from server.intake.pending import Pending
from server.intake.pipeline import Pipeline
from server.intake.receipts import Receipts
from server.intake.report import reports
from server.intake.trace import NAME as TRACE
from server.intake.trace import header_of

if TYPE_CHECKING:
    from server.config.settings import Config
    from server.fetch.asking import Asking
    from server.http.request import Request
    from server.sink.base import OnAck, Sink

    Submit = Callable[[Event, OnAck], str | None]
    Raws = list[Any]  # Of bytes, or of Piece where the body is not plain JSON.

FULL = "The broker is away, or too many events wait for it. Send them again later."
DRAINING = "This server is shutting down. Send the events again; another one will take them."
TOO_MANY = "The request has more than the {} events that are taken at a time. Send them in smaller batches."

SPOOLED = b"X-Durability: spool\r\n"

_NO_PARAMS: Mapping[str, str] = {}
_NOT_HASTY = frozenset({None, "", "false", "0"})


class Receiver:
    """Handlers of the event routes of one worker."""

    def __init__(
        self,
        config: Config,
        pipeline: Pipeline,
        sink: Sink,
        delivery: Delivery,
        receipts: Receipts,
        address: Callable[[Any], str],
        clock: Clock,
        error_events: ErrorEvents,
        forms: Forms,
        asking: Asking | None = None,
    ) -> None:
        """``asking``: whom to ask for schemas that are at URLs; None, there are none."""
        self._forms = forms
        self._plain = forms.plain
        self._schema_uri_param = config.intake.schema_uri_query_param
        self._stream_param = config.intake.stream_query_param
        self._schema_uri_header = _header(config.intake.schema_uri_header)
        self._stream_header = _header(config.intake.stream_header)
        self._has_name_headers = bool(self._schema_uri_header or self._stream_header)
        self._max_events = config.http.limits.max_events
        self._test_events = msgspec.json.encode(config.intake.test_events)
        self._prepare = pipeline.prepare
        self._submit = sink.submit
        self._is_full = sink.is_full
        self._outstanding = sink.outstanding
        self._max_outstanding = config.sink.max_outstanding
        self._delivery = delivery
        self._tallies = delivery.tallies
        self._address = address
        self._clock = clock
        self._error_events = error_events
        self._closed = False
        self._asking = asking
        self._awaited: Mapping[str, None] = asking.awaited if asking else {}
        delivery.on_dropped = self._on_dropped
        self._receipts = receipts
        self._note_hasty_id, self._note_hasty_count = receipts.hasty_ids.append, receipts.hasty_counts.append
        self._note_hasty_last = receipts.hasty_lasts.append
        self._note_id, self._note_count = receipts.ids.append, receipts.counts.append
        self.counts = Counts()
        self._guaranteed, self._hasty = self.counts.guaranteed, self.counts.hasty
        self._until_measured = 1

    def handle_events(self, request: Request) -> None:
        """POST /v1/events: guaranteed, unless the query says hasty."""
        params = request.params() if request.query else _NO_PARAMS
        self._receive(request, request.body, params, params.get("hasty") not in _NOT_HASTY)

    def handle_beacon(self, request: Request) -> None:
        """POST /v1/beacon: always hasty."""
        self._receive(request, request.body, request.params(), True)

    def handle_query(self, request: Request) -> None:
        """GET /v1/beacon: the same, of what was found in the query (http.beacon)."""
        request.headers = without_form(request.headers)
        self.handle_beacon(request)

    def handle_test_events(self, request: Request) -> None:
        """GET /v1/_test/events: the configured events, as if they were posted."""
        params = request.params()
        request.headers = without_form(request.headers)
        self._receive(request, self._test_events, params, params.get("hasty") not in _NOT_HASTY)

    def handle_validate(self, request: Request) -> None:
        """POST /v1/validate: everything but sending. 200 whatever the verdicts."""
        self._validate(request, False)

    def _validate(self, request: Request, is_second: bool) -> None:
        raws = self._split(request, request.body)
        if raws is not None:
            prepare, arrival = self._prepare, self._arrival(request, request.params())
            events = prepare_all(raws, arrival, prepare)
            if self._awaited and self._waits(request, is_second, self._validate):
                return
            request.reply(200, "OK", reports(events, len(request.body)))

    def close(self) -> None:
        """Take no events any more: the sink is about to be flushed."""
        self._closed = True

    def _receive(
        self,
        request: Request,
        body: bytes,
        params: Mapping[str, str],
        is_hasty: bool,
        began_s: float = 0.0,
        is_second: bool = False,
    ) -> None:
        """``began_s``: when it came, if it is measured. ``is_second``: schemas of its events have been asked for
        already, and it has waited for them."""
        if not is_second:
            self._until_measured -= 1
            if not self._until_measured:
                self._until_measured = MEASURED_EVERY
                began_s = monotonic()
        if self._closed:
            self.counts.refused_draining += 1
            request.problem(503, DRAINING, retry_after_s=verdict.RETRY_AFTER_S)
            return
        delivery = self._delivery
        is_guarded = self._is_full() or delivery.is_guarded
        if is_guarded and not delivery.can_take(len(body), is_hasty=is_hasty):
            self._refuse_full(request)
            return
        raws = self._split(request, body)
        if raws is None:
            return
        if len(raws) > 1 and not is_guarded and self._outstanding() + len(raws) > self._max_outstanding:
            self._refuse_full(request)  # All or none: half of a batch would be spooled, the other half not.
            return
        prepare, arrival = self._prepare, self._arrival(request, params)
        if raws[0].__class__ is bytes:
            events = [prepare(index, raw, arrival) for index, raw in enumerate(raws)]
        else:
            events = prepare_all(raws, arrival, prepare)
        if self._awaited and self._waits(request, is_second, self._receive, body, params, is_hasty, began_s):
            return
        self.counts.received += len(events)
        # Numbers follow the clock, so that events of several workers' spools can be put in order.
        number = arrival.received_ms * 1000
        if number < delivery.number:
            number = delivery.number
        delivery.number = number = number + len(events)
        if is_hasty:
            self._send_hasty(request, events, delivery.submit_hasty if is_guarded else self._submit, number)
            if began_s:
                self._hasty.add(monotonic() - began_s)
        else:
            pending = Pending(request, events, self._on_settled, began_s)
            self._send_guaranteed(pending, delivery.submit_guaranteed if is_guarded else self._submit, number)

    def _waits(  # cold: schemas that have to be fetched
        self, request: Request, is_second: bool, again: Callable[..., None], *more: Any
    ) -> bool:
        """Whether the request waits for schemas, and then begins ``again``. It waits once only."""
        assert self._asking is not None
        if is_second:
            self._asking.awaited.clear()
            return False
        return self._asking.wait(self._address(request), lambda: again(request, *more, True))

    def _refuse_full(self, request: Request) -> None:
        self.counts.refused_full += 1
        request.problem(503, FULL, retry_after_s=verdict.RETRY_AFTER_S)

    def _split(self, request: Request, body: bytes) -> Raws | None:
        """The raw events of the body; None when the request has been answered with what is wrong with it."""
        headers = request.headers
        if headers.get(b"content-type") in self._plain:
            raws: Raws | int | str = split(body, self._max_events)
        else:
            raws = self._forms.split(headers, body, self._max_events)
        if isinstance(raws, str):
            request.problem(400, raws)
            return None
        if isinstance(raws, int):
            self.counts.refused_many += 1
            request.problem(413, TOO_MANY.format(self._max_events))
            return None
        return raws

    def _arrival(self, request: Request, params: Mapping[str, str]) -> Arrival:
        received_ms, received_dt = self._clock.now()
        memo = request.memo
        arrival = Arrival(
            received_ms, received_dt, request.headers, self._address, request, {} if memo is None else memo
        )
        if self._has_name_headers:
            arrival.schema_uri = self._named(request, self._schema_uri_header)
            arrival.stream = self._named(request, self._stream_header)
        if TRACE in request.headers:
            arrival.trace = header_of(request.headers[TRACE])
        if params:
            if self._schema_uri_param and (value := params.get(self._schema_uri_param)):
                arrival.schema_uri = msgspec.json.encode(value)
            if self._stream_param and (value := params.get(self._stream_param)):
                arrival.stream = msgspec.json.encode(value)
        return arrival

    @staticmethod
    def _named(request: Request, header: bytes) -> bytes | None:
        value = request.headers.get(header)
        return msgspec.json.encode(value.decode("latin-1")) if value else None

    def _send_hasty(self, request: Request, events: list[Event], submit: Submit, last: int) -> None:
        """Hand over what is valid, then answer: by then the events are in the sink's memory, or in the spool's."""
        count = len(events)
        number, refused = last - count, 0
        for event in events:
            if event.verdict is None:
                event.number = number = number + 1
                error_type = submit(event, event.on_ack)
                if error_type is not None:
                    error_type = self._delivery.refused(event, error_type)
                    submit = self._delivery.submit_hasty  # Younger ones of its key must not be sent before it.
                if error_type is not None:
                    event.verdict = verdict.error(error_type)
                    refused += 1
                else:
                    event.route.tally.accepted += 1
            if event.verdict is not None or event.observed is not None:
                self._note(event, request)
        taken = number - last + count - refused
        self._tallies.accepted += taken
        if submit is not self._submit:
            kept = [event for event in events if event.verdict is None]
            self._receipts.note_odd(request.request_id, kept, last, is_final=False)
        elif taken:
            self._note_hasty_id(request.request_id)
            self._note_hasty_count(taken)
            self._note_hasty_last(last)
        if refused:
            self._answer_refused(request, events, refused)
        else:
            request.reply(202, _HASTY[count] if count < len(_HASTY) else verdict.hasty(count).phrase)

    def _answer_refused(self, request: Request, events: list[Event], refused: int) -> None:
        """Nothing may be lost behind a 202: say which events of a hasty request were not taken."""
        self.counts.refused_hasty += refused
        answer = verdict.failed(events)
        request.reply(answer.status, answer.phrase, answer.body, retry_after_s=answer.retry_after_s)

    def _send_guaranteed(self, pending: Pending, submit: Submit, last: int) -> None:
        """Hand over what is valid and answer when the last outcome is known."""
        events = pending.events
        number = last - len(events)
        for event in events:
            if event.verdict is None:
                event.pending = pending
                event.number = number = number + 1
                error_type = submit(event, event.on_ack)
                if error_type is not None and submit is self._submit:
                    submit = self._delivery.submit_guaranteed  # It, and those behind it, may wait on disk.
                    error_type = submit(event, event.on_ack)
                if error_type is None:
                    event.route.tally.accepted += 1
                    pending.left += 1
                else:
                    event.pending = None
                    event.verdict = verdict.error(error_type)
            if event.verdict is not None:
                pending.failures += 1
            if event.verdict is not None or event.observed is not None:
                self._note(event, pending.request)
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
        count = len(pending.events)
        request = pending.request
        if pending.began_s:
            self._guaranteed.add(monotonic() - pending.began_s)
        if pending.failures or pending.spooled:
            kept = [event for event in pending.events if event.pending is not None]
            self._receipts.note_odd(request.request_id, kept, 0, is_final=True)
        else:
            self._note_id(request.request_id)
            self._note_count(count)
        if pending.spooled:
            self._answer_spooled(pending)
        elif not pending.failures:
            request.reply(201, _ACCEPTED[count] if count < len(_ACCEPTED) else verdict.accepted(count).phrase)
        else:
            answer = verdict.failed(pending.events)
            request.reply(
                answer.status, answer.phrase, answer.body, retry_after_s=answer.retry_after_s, more=answer.more
            )

    def _answer_spooled(self, pending: Pending) -> None:
        """Some of it is on our disk instead of with the broker: the sender is told so."""
        if pending.failures:
            answer = verdict.failed(pending.events)
        else:
            answer = verdict.spooled(len(pending.events), pending.spooled)
        pending.request.reply(answer.status, answer.phrase, answer.body, more=SPOOLED)

    def _on_dropped(self, event: Event) -> None:
        """A hasty event, whose request has been answered, will never be delivered."""
        self._receipts.failed(event.number, was_spooled=event.is_spooled)
        self._note(event)

    def _note(self, event: Event, request: Request | None = None) -> None:
        """Count a verdict; make the error event of an invalid one."""
        found = event.verdict or event.observed
        stream = event.route.tally.stream if event.route is not None else ""
        request_id = request.request_id if request is not None else ""
        self.counts.note(found, stream, request_id, is_observed=event.verdict is None)
        if found.is_invalid:
            self._error_events.add(event, found)


def _header(name: str | None) -> bytes:
    return name.lower().encode() if name else b""


# Phrases of the usual batch sizes, ready-made: a formatted one costs 0.3 µs of a request's 8.
_HASTY = [verdict.hasty(count).phrase for count in range(257)]
_ACCEPTED = [verdict.accepted(count).phrase for count in range(257)]
