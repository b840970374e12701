"""The routes that take events: read the request, prepare all of its events, hand them over to be sent and answered.

Place: http.routes → HERE → intake.pipeline → HERE → intake.sending.
Rule: all events of a request are prepared before any is submitted; every request gets exactly one reply.
Not here: HTTP (the request replies for itself), what its head says of the events (intake.request_options), one event's
way (intake.pipeline), acks and answers (intake.sending).
"""

# hot path

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Mapping
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, cast

import msgspec

from server.config.rules import settle_s
from server.intake import verdict
from server.intake.arrival import Arrival, Clock
from server.intake.batch import AT_ONCE_S, Batch, Preparing
from server.intake.books.counts import MEASURED_EVERY
from server.intake.forms.forms import Forms, PiecePreparer, without_form
from server.intake.pipeline import Pipeline
from server.intake.report import ReportWriter, reports
from server.intake.request_options import RequestOptions, TermsReader
from server.intake.sending import Sender
from server.intake.submission import Submission
from server.intake.text.cut import FULL as HELD
from server.intake.text.cut import elements
from server.intake.text.decode import begins_array
from server.intake.text.hints import hint
from server.intake.verdict import EntryWriter
from server.log import Limited
from server.timing.turns import Turns

if TYPE_CHECKING:
    from server.config.settings import Config
    from server.fetch.schema_fetcher import SchemaFetcher
    from server.http.request import Request
    from server.intake.batch import PrepareAll
    from server.intake.delivery import Delivery
    from server.intake.event import Event
    from server.intake.forms.forms import Cut
    from server.sink.base import Sink

FULL: Final = "The broker is away, or too many events wait for it. Send them again later."
DRAINING: Final = "This server is shutting down. Send the events again; another one will take them."
BUG: Final = "internal: the server failed on this request, and has logged it. Try again later."
TOO_MANY: Final = "The request has more than the {} events that are taken at a time. Send them in smaller batches."

LONG_SHARE: Final = 0.8  # Of ``answer_s``, that a body may wait whose events need no outcome.
MIN_PATIENCE_S: Final = 1.0  # Even where ``answer_s`` leaves less.

_trouble = Limited(logging.getLogger("intake"))
_NO_MEMO: Final[Mapping[Any, Any]] = {}
_OPEN, _CLOSED = b"{}"


class Receiver:
    """Handlers of the event routes of one worker."""

    def __init__(
        self,
        config: Config,
        pipeline: Pipeline,
        sink: Sink,
        delivery: Delivery,
        sender: Sender,
        address: Callable[[Any], str],
        clock: Clock,
        forms: Forms,
        fetcher: SchemaFetcher | None = None,
        turns: Turns | None = None,
        client_of: Callable[[Request], str] | None = None,
        has_room: Callable[[Request, int], bool] | None = None,
    ) -> None:
        """``fetcher`` is asked for schemas that are at URLs; None: there are none. ``turns``: shared with what else
        takes long; ``client_of`` says whose a request is there. ``has_room`` counts more bytes as held by a request,
        and says whether they are too many (http.server)."""
        self._forms = forms
        self._read_options = TermsReader(config, forms).read
        self._max_events = config.http.limits.max_events
        self._test_events = msgspec.json.encode(config.intake.test_events)
        self._at_once, self._slowly = pipeline.at_once, pipeline.slowly
        self._prepare, self._prepare_all = pipeline.prepare, pipeline.prepare_all
        self._turns = turns or Turns()
        self._waiting: dict[Preparing, None] = {}
        self._client_of = client_of
        self._has_memory = has_room
        self._max_event_bytes = config.http.limits.max_event_bytes
        self._is_full = sink.is_full
        self._outstanding = sink.outstanding
        self._max_outstanding = config.sink.max_outstanding
        self._patience_s = max(MIN_PATIENCE_S, config.http.limits.answer_s - settle_s(config))
        self._long_s = LONG_SHARE * config.http.limits.answer_s
        self._delivery = delivery
        self._address = address
        self._clock = clock
        self._closed = False
        self._fetcher = fetcher
        self._send_hasty, self._send_guaranteed = sender.hasty, sender.guaranteed
        self.counts = sender.counts
        self._hasty = self.counts.hasty
        self._until_measured = 1

    def handle_events(self, request: Request) -> None:
        """POST /v1/events: guaranteed, unless the query says hasty."""
        options = (request.memo or _NO_MEMO).get(RequestOptions) or self._read_options(request, is_beacon=False)
        self._receive(request, request.body, options)

    def handle_beacon(self, request: Request) -> None:
        """POST /v1/beacon: always hasty."""
        options = (request.memo or _NO_MEMO).get(RequestOptions) or self._read_options(request, is_beacon=True)
        self._receive(request, request.body, options)

    def handle_query(self, request: Request) -> None:
        """GET /v1/beacon: the same, of what was found in the query (http.around.beacon)."""
        request.headers = without_form(request.headers)
        self.handle_beacon(request)

    def handle_test_events(self, request: Request) -> None:
        """GET /v1/_test/events: the configured events, as if they were posted."""
        request.headers = without_form(request.headers)
        self._receive(request, self._test_events, self._read_options(request, is_beacon=False))

    def handle_validate(self, request: Request) -> None:
        """POST /v1/validate: everything but sending. 200 whatever the verdicts."""
        options = self._read_options(request, is_beacon=False)
        self._validate(Submission(self._validate, request, request.body, options))

    def _validate(self, submission: Submission) -> None:
        request, batch = submission.request, submission.batch
        if self._closed:
            self._refuse_draining(request)
            return
        if batch is None:
            arrival = self._arrival(request, submission.options)
            events = self._events(request, submission.body, submission.options, arrival)
            if not isinstance(events, list):
                if events is not None:
                    events.write(ReportWriter(len(request.body)))
                    self._put_off(submission, events, self._long_s)
                return
        elif batch.fault is not None:
            self._refuse_fault(request, batch.fault)
            return
        else:
            events = batch.events
        if self._waits(submission, events):
            return
        writer = cast("ReportWriter", batch.writer) if batch is not None else None
        request.reply(200, "OK", reports(events, len(request.body), writer))

    def begin_anew(self) -> None:
        """Streams are other ones now: bodies that are half prepared meet them alone."""
        for preparing in self._waiting:
            preparing.batch.begin_anew()

    def close(self) -> None:
        """Take no events any more: the sink is about to be flushed."""
        self._closed = True
        for preparing in list(self._waiting):
            preparing.end()

    def _receive(self, request: Request, body: bytes, options: RequestOptions) -> None:
        """Take a request: prepare its events and send them, in this turn unless that takes too long."""
        if options.attempt > 1:
            self.counts.repeat(options.attempt)
        began_s = 0.0
        self._until_measured -= 1
        if not self._until_measured:
            self._until_measured = MEASURED_EVERY
            began_s = monotonic()
        if self._closed:
            self._refuse_draining(request)
            return
        delivery = self._delivery
        is_guarded = self._is_full() or delivery.is_guarded
        if is_guarded and not delivery.can_take(len(body), is_hasty=options.is_hasty):
            self._refuse_full(request)
            return
        arrival = self._arrival(request, options)
        events = self._events(request, body, options, arrival, may_wait=is_guarded)
        if isinstance(events, list) and (self._fetcher is None or (len(events) == 1 and events[0].unfetched is None)):
            self._send(request, events, arrival, options, is_guarded, began_s)
        elif events is not None:
            self._go_on(Submission(self._resume, request, body, options, began_s), events, arrival, is_guarded)

    def _resume(self, submission: Submission) -> None:
        """Go on in a later turn: its schemas have been waited for, or its batch is prepared."""
        request, options, batch, delivery = submission.request, submission.options, submission.batch, self._delivery
        if self._closed:
            self._refuse_draining(request)
            return
        is_guarded = self._is_full() or delivery.is_guarded
        if is_guarded and not delivery.can_take(len(submission.body), is_hasty=options.is_hasty):
            self._refuse_full(request)
        elif batch is None:
            arrival = self._arrival(request, options)
            events = self._events(request, submission.body, options, arrival, may_wait=is_guarded)
            if events is not None:
                self._go_on(submission, events, arrival, is_guarded)
        elif batch.fault is not None:
            self._refuse_fault(request, batch.fault)
        elif self._may_still_go(batch, is_guarded, options.is_hasty):
            self._go_on(submission, batch.events, batch.arrival, is_guarded)
        else:
            self._refuse_full(request)

    def _go_on(self, submission: Submission, events: list[Event] | Batch, arrival: Arrival, is_guarded: bool) -> None:
        """Prepare the rest of them, wait for their schemas, or send them."""
        options = submission.options
        if not isinstance(events, list):
            if not options.is_hasty:
                events.write(EntryWriter())
            self._put_off(submission, events, self._long_s if options.is_hasty else self._patience_s)
        elif not self._waits(submission, events):
            self._send(submission.request, events, arrival, options, is_guarded, submission.began_s)

    def _send(
        self,
        request: Request,
        events: list[Event],
        arrival: Arrival,
        options: RequestOptions,
        is_guarded: bool,
        began_s: float,
    ) -> None:
        """Count and number the events of a request, and hand them over."""
        delivery = self._delivery
        count = len(events)
        self.counts.received += count
        # Numbers follow the clock, so that events of several workers' spools can be put in order.
        number = arrival.received_ms * 1000
        if number < delivery.number:
            number = delivery.number
        delivery.number = number + count
        if not options.is_hasty:
            self._send_guaranteed(request, events, number, is_guarded, began_s)
            return
        self._send_hasty(request, events, number, is_guarded)
        if began_s:
            self._hasty.add(monotonic() - began_s)

    def _arrival(self, request: Request, options: RequestOptions) -> Arrival:
        received_ms, received_dt = self._clock.now()
        memo = request.memo
        return Arrival(
            received_ms, received_dt, request.headers, self._address, request, {} if memo is None else memo,
            options.schema_uri, options.stream, options.trace,
        )  # fmt: skip

    def _has_room(self, count: int) -> bool:
        """All or none: half of a batch would be spooled, the other half not."""
        return count == 1 or self._outstanding() + count <= self._max_outstanding

    def _may_still_go(self, batch: Batch, is_guarded: bool, is_hasty: bool) -> bool:
        """Whether there is room now, and time for an outcome before the answer is overdue: who is told that it is will
        send the events again."""
        is_in_time = is_hasty or monotonic() - batch.began_s < self._patience_s
        return is_in_time and (is_guarded or self._has_room(len(batch.events)))

    def _events(
        self, request: Request, body: bytes, options: RequestOptions, arrival: Arrival, *, may_wait: bool = True
    ) -> list[Event] | Batch | None:
        """The events of the body, prepared; or those that are so far. None: the request has been answered with why
        there are none. ``may_wait``: on disk, if the sink has no room for all of them."""
        if options.is_plain and body and body[0] == _OPEN and body[-1] == _CLOSED:
            # measured: bench worker: one decode instead of two of a body that is one event: -7 % of a request.
            event = self._at_once(0, body, arrival)
            if event is not None:
                return [event]
        is_alone = not self._turns.has_any()
        form = None if options.is_plain else self._forms.of(request.headers)
        cut: Cut = elements if form is None else form.cut
        found = cut(body, self._max_events, self._max_event_bytes, may_take_long=is_alone)
        if form is None and found == [body]:
            return [self._slowly(0, body, arrival)]
        if form is not None and form.finish is not None and isinstance(found, list):
            found = form.finish(found, begins_array(body)) or found
        if isinstance(found, int | str):
            self._refuse_fault(request, found)
            return None
        if isinstance(found, list) and not may_wait and not self._has_room(len(found)):
            self._refuse_full(request)
            return None
        prepare: PrepareAll = self._prepare_all
        if form is not None or not isinstance(found, list):
            prepare = PiecePreparer(self._prepare, form.unwrap if form is not None else None).prepare_all
        finish = form.finish if form is not None else None
        batch = Batch(found, len(body), arrival, prepare, finish)
        if not is_alone and not batch.is_short():
            return batch
        if not batch.prepare(AT_ONCE_S):
            return batch
        if batch.fault is not None:
            self._refuse_fault(request, batch.fault)
            return None
        if not may_wait and not isinstance(found, list) and not self._has_room(len(batch.events)):
            self._refuse_full(request)
            return None
        return batch.events

    def _refuse_fault(self, request: Request, fault: int | str) -> None:
        """Answer a request whose body gives no events."""
        if isinstance(fault, str):
            request.problem(400, f"{fault} {hint(request.body)}".rstrip())
        elif fault == HELD:
            self._refuse_full(request)
        else:
            self.counts.refused_many += 1
            request.problem(413, TOO_MANY.format(self._max_events))

    def _put_off(self, submission: Submission, batch: Batch, patience_s: float) -> None:  # cold: a body of many turns
        """Yield to others; then prepare the rest of the batch, and go on with the submission."""
        request = submission.request
        client = self._client_of(request) if self._client_of is not None else ""
        batch.hold(self._has_memory)
        if batch.fault is not None:
            self._refuse_fault(request, batch.fault)
            return
        submission.batch = batch
        job = Preparing(batch, submission.resume, self._waiting, patience_s, self._has_memory, self._on_bug)
        self._turns.take(client, job)

    def _waits(self, submission: Submission, events: list[Event]) -> bool:  # cold: schemas that have to be fetched
        """Whether it waits for schemas of its events, and goes on once they are settled. It waits once only."""
        if self._fetcher is None or submission.attempt > 1:
            return False
        uris = {event.unfetched.uri: None for event in events if event.unfetched is not None}

        def go_on() -> None:
            try:
                submission.begin_again()
            except Exception:  # As intake.batch.
                self._on_bug(submission.request)

        return self._fetcher.wait(uris, self._address(submission.request), go_on)

    def _on_bug(self, request: Request) -> None:  # cold: an exception of ours, after the turn in which the request came
        text = "a request failed with an internal error\n%s"
        _trouble.warning("request", text, traceback.format_exc(), request_id=request.request_id)
        request.problem(500, BUG)

    def _refuse_draining(self, request: Request) -> None:
        self.counts.refused_draining += 1
        request.problem(503, DRAINING, retry_after_s=verdict.RETRY_AFTER_S)

    def _refuse_full(self, request: Request) -> None:
        self.counts.refused_full += 1
        request.problem(503, FULL, retry_after_s=verdict.RETRY_AFTER_S)
