"""The routes that accept events: read the request, prepare all of its events, have them sent and the request answered.

Place: http.routes → HERE → intake.pipeline → HERE → intake.sending.
Rule: all events of a request are prepared before any is submitted; every request gets exactly one reply.
Not here: HTTP (the request replies for itself), answers to what is refused (intake.refusals), what a head says of the
events (intake.request_options), one event's way (intake.pipeline), acks and answers (intake.sending).
"""

# hot path

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, cast

import msgspec

from server.config.rules import settle_s
from server.intake.arrival import Arrival, Clock
from server.intake.batch import AT_ONCE_S, Batch, Preparing
from server.intake.books.counts import MEASURED_EVERY
from server.intake.books.dated import note_times
from server.intake.forms.forms import Forms, PiecePreparer, without_form
from server.intake.pipeline import Pipeline
from server.intake.refusals import Refusals
from server.intake.report import ReportWriter, reports
from server.intake.request_options import RequestOptions, RequestOptionsReader
from server.intake.sending import Sender
from server.intake.slices import AT_ONCE, Sending
from server.intake.submission import Submission
from server.intake.text.cut import elements
from server.intake.text.decode import begins_array
from server.intake.verdict import EntryWriter, room_of
from server.paths import Paths
from server.timing.turns import Turns

if TYPE_CHECKING:
    from server.config.settings import Config
    from server.fetch.schema_fetcher import SchemaFetcher
    from server.http.request import Request
    from server.http.routes import Handler
    from server.intake.batch import PrepareAll
    from server.intake.delivery.delivery import Delivery
    from server.intake.event import Event
    from server.intake.forms.form import Cut
    from server.sink.base import Sink

    OnEvents = Callable[[Request, list[Event]], bool]
    Choose = Callable[[list[Event], int], int]

LONG_SHARE: Final = 0.8  # A body whose events need no outcome may wait for this share of ``answer_s``.
MIN_PATIENCE_S: Final = 1.0  # Other bodies may wait at least this long, even where ``answer_s`` leaves less.

_OPEN: Final = 123  # {, as a constant of the compiled form,
_CLOSED: Final = 125  # and }.


class Receiver:
    """The handlers of the event routes of one worker."""

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
        measured_every: int = MEASURED_EVERY,
    ) -> None:
        """``fetcher`` is asked for schemas that are at URLs; None: there are none. ``turns`` are shared with the other
        long jobs of this worker; ``client_of`` returns the client whose turns a request takes. ``has_room`` counts more
        bytes as held by a request, and returns whether there is room for them (http.server). One request in
        ``measured_every`` is timed; 0: none."""
        self._forms = forms
        self._read_options = RequestOptionsReader(config, forms).read
        self._max_events = config.http.limits.max_events
        self._has_test_events = bool(config.intake.test_events)
        self._test_events = msgspec.json.encode(config.intake.test_events)
        self._pipeline = pipeline
        self._turns = turns or Turns()
        self._waiting: dict[Preparing, None] = {}
        self._client_of = client_of
        self._has_memory = has_room
        self._max_event_bytes = config.http.limits.max_event_bytes
        self._sink = sink
        self._max_outstanding = config.sink.max_outstanding
        self._patience_s = max(MIN_PATIENCE_S, config.http.limits.answer_s - settle_s(config))
        self._long_s = LONG_SHARE * config.http.limits.answer_s
        self._delivery = delivery
        self._address = address
        self._clock = clock
        self._closed = False
        self._fetcher = fetcher
        self._sender, self._sending = sender, dict[Sending, int]()  # With the number of events still to be sent.
        self.counts = sender.counts
        self._hasty = self.counts.hasty
        refusals = Refusals(self.counts, config.http.limits.max_events)
        self._refuse_fault, self._refuse_full = refusals.fault, refusals.full
        self._refuse_draining, self._on_bug = refusals.draining, refusals.bug
        # Told of the events of each request before they are sent. It may put others like them in their place. If it
        # returns true, they are answered as if they had been sent.
        self.on_events: OnEvents | None = None
        # Chooses from the same events after that, beginning at a place among them, and returns how many further events
        # to pass over; it only looks. None while no route has checks in the background.
        self.choose: Choose | None = None
        self.until_chosen = 0
        self._is_dated = config.plausibility.enabled
        self._measured_every = measured_every
        self._until_measured = min(1, measured_every)  # A request is timed when this is counted down from 1 to 0.

    def routes(self) -> dict[str, dict[str, Handler | None]]:  # cold: once, at start-up
        """Return the routes of these handlers, by path and method. HEAD None: such a GET sends events."""
        routes: dict[str, dict[str, Handler | None]] = {
            Paths.EVENTS: {"POST": self.handle_events},
            Paths.BEACON: {"POST": self.handle_beacon},
            Paths.VALIDATE: {"POST": self.handle_validate},
        }
        if self._has_test_events:
            routes[Paths.TEST_EVENTS] = {"GET": self.handle_test_events, "HEAD": None}
        return routes

    def handle_events(self, request: Request) -> None:
        """POST /v1/events: guaranteed, unless the query says hasty."""
        self._receive(request, request.body, self._options(request, is_beacon=False))

    def handle_beacon(self, request: Request) -> None:
        """POST /v1/beacon: always hasty."""
        self._receive(request, request.body, self._options(request, is_beacon=True))

    def handle_query(self, request: Request) -> None:
        """GET /v1/beacon: always hasty; the event is in the query (http.around.beacon)."""
        request.headers = without_form(request.headers)
        self.handle_beacon(request)

    def handle_test_events(self, request: Request) -> None:
        """GET /v1/_test/events: submit the configured events, as if they had been posted."""
        request.headers = without_form(request.headers)
        self._receive(request, self._test_events, self._read_options(request, is_beacon=False))

    def _options(self, request: Request, *, is_beacon: bool) -> RequestOptions:
        memo = request.memo
        known = memo.get(RequestOptions) if memo is not None else None
        return self._read_options(request, is_beacon=is_beacon) if known is None else known

    def handle_validate(self, request: Request) -> None:
        """POST /v1/validate: do everything but send. The status is 200 for all verdicts."""
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
                    events.write(ReportWriter(request))
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
        request.reply(200, "OK", reports(events, request, writer))

    def begin_again(self) -> None:
        """The streams changed: restart half-prepared bodies, so that all of their events meet the new snapshot."""
        for preparing in self._waiting:
            preparing.batch.begin_again()

    def close(self) -> None:
        """Accept no more events: the sink is about to be flushed."""
        self._closed = True
        for preparing in list(self._waiting):
            preparing.end()
        for sending in list(self._sending):
            sending.end()

    def _receive(self, request: Request, body: bytes, options: RequestOptions) -> None:
        """Handle a request: prepare its events and send them, in this turn unless that takes too long."""
        if options.attempt > 1:
            self.counts.repeat(options.attempt)
        began_s = 0.0
        self._until_measured -= 1
        if not self._until_measured:
            self._until_measured = self._measured_every
            began_s = monotonic()
        if self._closed:
            self._refuse_draining(request)
            return
        delivery = self._delivery
        is_guarded = self._sink.is_full() or delivery.must_ask()
        if is_guarded and not delivery.can_take(len(body), is_hasty=options.is_hasty):
            self._refuse_full(request)
            return
        arrival = self._arrival(request, options)
        # measured: bench worker: one decode instead of two of a body that is one event: -7 % of a request.
        is_object = options.is_plain and body and body[0] == _OPEN and body[-1] == _CLOSED
        event = self._pipeline.at_once(0, body, arrival) if is_object else None
        if event is None:
            events = self._events(request, body, options, arrival, may_wait=is_guarded)
        else:
            events = [event]
        if isinstance(events, list) and (self._fetcher is None or (len(events) == 1 and events[0].unfetched is None)):
            self._send(request, events, arrival, options, is_guarded, began_s)
        elif events is not None:
            self._go_on(Submission(self._resume, request, body, options, began_s), events, arrival, is_guarded)

    def _resume(self, submission: Submission) -> None:
        """Continue in a later turn: the schemas have been waited for, or the batch is prepared."""
        request, options, batch, delivery = submission.request, submission.options, submission.batch, self._delivery
        if self._closed:
            self._refuse_draining(request)
            return
        is_guarded = self._sink.is_full() or delivery.must_ask()
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
        """Prepare the remaining events, wait for their schemas, or send them."""
        options = submission.options
        if not isinstance(events, list):
            if not options.is_hasty:
                events.write(EntryWriter(room_of(submission.request)))
            self._put_off(submission, events, self._long_s if options.is_hasty else self._patience_s)
        elif not self._waits(submission, events):
            since_s = monotonic() if submission.batch is None else submission.batch.began_s
            self._send(submission.request, events, arrival, options, is_guarded, submission.began_s, since_s)

    def _send(
        self,
        request: Request,
        events: list[Event],
        arrival: Arrival,
        options: RequestOptions,
        is_guarded: bool,
        began_s: float,
        since_s: float = 0.0,
    ) -> None:
        """Count the events of a request, and hand them over. ``since_s`` is the time of its arrival by the monotonic
        clock; 0: it came in this turn."""
        if self.on_events is not None and self.on_events(request, events):
            self._sender.answer_unsent(request, events, is_hasty=options.is_hasty)
            return
        self.counts.received += len(events)
        if self.choose is not None:
            until = self.until_chosen
            self.until_chosen = until - len(events) if until >= len(events) else self.choose(events, until)
        if self._is_dated and not options.is_canary:
            note_times(events, arrival.received_ms)
        # Numbers follow the clock, so that events of several workers' spools can be put in order.
        least = arrival.received_ms * 1000
        if len(events) > AT_ONCE:
            self._send_in_slices(request, events, least, options, is_guarded, began_s, since_s or monotonic())
        elif options.is_hasty:
            self._sender.hasty(request, events, least, is_guarded)
            if began_s:
                self._hasty.add(monotonic() - began_s)
        else:
            self._sender.guaranteed(request, events, least, is_guarded, began_s)
        if options.is_canary:
            for event in events:
                if event.verdict is None:
                    event.route.tally.canaries += 1

    def _send_in_slices(  # cold: a body of many turns
        self,
        request: Request,
        events: list[Event],
        least: int,
        options: RequestOptions,
        is_guarded: bool,
        began_s: float,
        since_s: float,
    ) -> None:
        sending = Sending(
            self._sender, self._delivery, request, events, least, began_s=began_s,
            until_s=since_s + self._patience_s, is_guarded=is_guarded, under_way=self._sending, on_bug=self._on_bug,
        )  # fmt: skip
        client = self._client_of(request) if self._client_of is not None else ""
        sending.begin(self._turns, client, is_hasty=options.is_hasty)

    def _arrival(self, request: Request, options: RequestOptions) -> Arrival:
        received_ms, received_dt = self._clock.now()
        request.received_ms = received_ms  # Its identity needs no other look at the clock.
        memo = request.memo
        return Arrival(
            received_ms, received_dt, request.headers, self._address, request, {} if memo is None else memo,
            options.schema_uri, options.stream, options.trace,
        )  # fmt: skip

    def _has_room(self, count: int) -> bool:
        """Whether the sink has room for all events of a request: otherwise half of a batch would be spooled."""
        return count == 1 or self._sink.outstanding() + sum(self._sending.values()) + count <= self._max_outstanding

    def _may_still_go(self, batch: Batch, is_guarded: bool, is_hasty: bool) -> bool:
        """Whether there is room now, and time for an outcome before the answer is overdue: a client that is told that
        it is overdue will send the events again."""
        is_in_time = is_hasty or monotonic() - batch.began_s < self._patience_s
        return is_in_time and (is_guarded or self._has_room(len(batch.events)))

    def _events(
        self, request: Request, body: bytes, options: RequestOptions, arrival: Arrival, *, may_wait: bool = True
    ) -> list[Event] | Batch | None:
        """Return the prepared events of the body, or a batch that is not wholly prepared yet. None: the request was
        refused and is answered. ``may_wait``: the events may wait on disk if the sink has no room for all of them."""
        is_alone = not self._turns.has_any()
        form = None if options.is_plain else self._forms.of(request.headers)
        cut: Cut = elements if form is None else form.cut
        found = cut(body, self._max_events, self._max_event_bytes, may_take_long=is_alone)
        if form is None and found == [body]:
            return [self._pipeline.slowly(0, body, arrival)]
        if form is not None and form.finish is not None and isinstance(found, list):
            found = form.finish(found, begins_array(body)) or found
        if isinstance(found, int | str):
            self._refuse_fault(request, found)
            return None
        if isinstance(found, list) and not may_wait and not self._has_room(len(found)):
            self._refuse_full(request)
            return None
        pipeline = self._pipeline
        prepare: PrepareAll = pipeline.prepare_all
        if form is not None or not isinstance(found, list):
            unwrap = form.unwrap if form is not None else None
            prepare = PiecePreparer(pipeline.prepare, unwrap, pipeline.hide).prepare_all
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

    def _put_off(self, submission: Submission, batch: Batch, patience_s: float) -> None:  # cold: a body of many turns
        """Let other bodies go first; then prepare the rest of the batch, and continue with the submission."""
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
        """Whether the request waits for schemas of its events. It continues once they are settled, and waits once."""
        if self._fetcher is None or submission.attempt > 1:
            return False
        uris = {event.unfetched.uri: None for event in events if event.unfetched is not None}

        def go_on() -> None:
            try:
                submission.begin_again()
            except Exception:  # The request is answered here: http.protocol answers for its first turn alone.
                self._on_bug(submission.request)

        return self._fetcher.wait(uris, self._address(submission.request), go_on)
