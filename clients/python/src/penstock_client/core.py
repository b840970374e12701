"""The core: events are prepared, what is sent next is chosen, and answers are understood.

It does no network I/O, reads no clock and starts nothing; drivers give it times and results. All methods but
``prepare`` are called with the client's lock held.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from penstock_client import decisions
from penstock_client.batches import fits, halve
from penstock_client.decisions import Failure
from penstock_client.encoding import encoder
from penstock_client.identity import new_id, timestamp
from penstock_client.jobs import USER_AGENT, Answer, Failed, Job, Result
from penstock_client.lanes import Batch, Lane
from penstock_client.options import Options
from penstock_client.outcomes import Outcome, Ticket
from penstock_client.queue import Queue
from penstock_client.streamconfig import StreamSource
from penstock_client.streams import NOT_SENT, destination, is_in_sample, judge, sample_problem

if TYPE_CHECKING:
    from penstock_client.spool import Spool

GIVE_UP_ASKING_S = 60.0
STOP_S = 1.0  # How long nothing is sent after no request could be chosen: a mistake that comes again costs no CPU.


class Core(Queue):
    """The state of one client in one process."""

    def __init__(
        self,
        options: Options,
        now_s: float,
        wall_ns: Callable[[], int],
        random: Callable[[], float],
        spool: Spool | None = None,
    ) -> None:
        super().__init__(options, now_s, wall_ns, spool)
        self.streams = StreamSource(options, now_s)
        self._random = random
        self._stopped_until_s = 0.0
        self._ids = options.ids if options.ids is not None else _process_ids()
        self._has_no_streams = options.streams is None
        self._encode = encoder(options.dumps)
        self._limits = (options.linger_s, options.max_batch_events, options.max_batch_bytes)

    def prepare(
        self,
        stream: object,
        event: Mapping[str, Any],
        hasty: bool,
        ids: Mapping[str, str] | None,
        now_s: float,
        waiting: Callable[[Ticket, float | None], None] | None = None,
    ) -> Ticket:
        """Make the ticket of an event. It has an outcome already if the event is not to be sent. Nothing that the
        caller gave, a mapping or a function, raises here. ``waiting``: how the ticket waits."""
        options = self.options
        unix_ms = self._wall_ns() // 1_000_000
        if not isinstance(stream, str):
            name = str(stream) if isinstance(stream, int | float | bytes | None) else type(stream).__name__
            return self._refused(name, "", "unknown_stream", f"a stream is named by text, not {name}", now_s)
        try:
            made = event.copy() if type(event) is dict else _copy(event)
            meta = made.get("meta")
            meta = made["meta"] = {} if meta is None else meta.copy() if type(meta) is dict else _copy(meta)
        except Exception:  # Mappings may be the caller's own classes.
            return self._refused(stream, "", "not_an_object", "events and their meta are mappings", now_s)
        identity = meta.get("id")
        if not isinstance(identity, str) or not identity:
            identity = meta["id"] = new_id(unix_ms)
        meta["stream"] = stream
        if options.domain is not None and meta.get("domain") is None:
            meta["domain"] = options.domain
        if options.set_dt and made.get("dt") is None:
            made["dt"] = timestamp(unix_ms)
        if "$schema" not in made and stream in options.schemas:
            made["$schema"] = options.schemas[stream]
        if options.validator is not None and (invalid := self._validate(made, now_s)) is not None:
            return self._refused(stream, identity, "invalid", f"{stream}: {invalid}", now_s)
        lane = None
        is_waiting = self.streams.is_awaited()
        if self._has_no_streams and made.get("$schema"):
            lane = self._lanes.get((options.url, hasty)) or self._lane(options.url, hasty)
        elif not is_waiting:
            try:
                found = self._judged(stream, made, ids or self._ids, now_s)
                address = "" if isinstance(found, str) else destination(found, options.services, options.url)
            except Exception as error:  # Of settings or ids that no rule foresees.
                return self._refused(stream, identity, "client_error", f"{stream}: {error!r}", now_s)
            if isinstance(found, str):
                return self._refused(stream, identity, found, f"{stream}: {NOT_SENT[found]}", now_s)
            lane = self._lane(address, hasty)
        try:
            body = self._encode(made)
        except Exception as error:
            return self._refused(stream, identity, "unserializable", f"{stream}: {error}", now_s)
        if not fits(len(body), options.max_batch_bytes):
            text = f"{stream}: an event of {len(body)} bytes; max_batch_bytes is {options.max_batch_bytes}"
            return self._refused(stream, identity, "too_large", text, now_s)
        ticket = Ticket(stream, identity, body, lane, now_s, waiting)
        if is_waiting:
            ticket.unjudged = (made, ids or self._ids, hasty)
        return ticket

    def is_in_sample(self, stream: str, ids: Mapping[str, str] | None) -> bool:
        """Whether an event of the stream would be sent as far as sampling goes."""
        streams = self.streams.streams
        settings = {} if streams is None else streams.find(stream)
        return settings is not None and (self.options.debug or is_in_sample(settings, ids or self._ids))

    def wants_sender(self, ticket: Ticket) -> bool:
        """Whether a sender that sleeps is to be woken for an event that was taken: the first of a batch or the last."""
        lane = ticket.lane
        if lane is None:
            return self._is_overtaken()
        return len(lane.fresh) == 1 or len(lane.fresh) >= self.options.max_batch_events

    def has_batch(self, ticket: Ticket) -> bool:
        """Whether a whole batch waits where this event was put."""
        lane = ticket.lane
        return lane is not None and len(lane.fresh) >= self.options.max_batch_events

    def is_paused(self, ticket: Ticket) -> bool:
        """Whether the destination of an event waits after a failure."""
        return ticket.lane is not None and ticket.lane.failures > 0

    def next_job(self, now_s: float) -> Job | None:
        """Return the next request to make now; None: there is none."""
        if self.is_closed or now_s < self._stopped_until_s:
            return None
        try:
            return self._next_job(now_s)
        except Exception as error:
            self.fail(None, error, now_s)
            return None

    def _next_job(self, now_s: float) -> Job | None:
        if self.streams.due_s() <= now_s:
            return self.streams.job(now_s)
        if self._is_overtaken():
            self._judge_waiting(now_s)
        self._look_at_disk(now_s)
        if self.options.report_stream is not None and self.books.report_due_s() <= now_s:
            self._report(now_s)
        linger_s = 0.0 if self._flushing else self._limits[0]
        for key, lane in list(self._lanes.items()):  # prepare() adds lanes without the lock.
            while lane.due_s(linger_s, *self._limits[1:]) <= now_s:
                batch = lane.take(now_s, *self._limits[1:])
                if batch is None or not self._expired(batch, now_s):
                    continue
                lane.in_flight = batch
                self._lanes[key] = self._lanes.pop(key)  # The others have their turn first.
                return self._receipt_job(lane, batch) if batch.is_unknown else self._events_job(lane, batch, now_s)
        return None

    def wake_s(self) -> float:
        """Return when ``next_job`` has something, in monotonic time; infinity: not before something comes in."""
        if self._is_overtaken():
            return self._stopped_until_s
        linger_s = 0.0 if self._flushing else self._limits[0]
        at_s = min(
            (lane.due_s(linger_s, *self._limits[1:]) for lane in list(self._lanes.values())), default=float("inf")
        )
        if self.options.report_stream is not None:
            at_s = min(at_s, self.books.report_due_s())
        if self.spool is not None:
            at_s = min(at_s, self._adopt_due_s)
        return max(min(at_s, self.streams.due_s()), self._stopped_until_s)

    def done(self, job: Job, result: Result, now_s: float) -> None:
        """Take the result of a job."""
        if self.is_closed:
            return
        try:
            if isinstance(result, Exception):
                raise result
            self._done(job, result, now_s)
        except Exception as error:
            self.fail(job, error, now_s)
        if self.spool is not None:
            self.spool.commit()

    def fail(self, job: Job | None, error: BaseException, now_s: float) -> None:
        """Give up the events of a request, or of all that are under way, for a mistake of this package. Sending goes on
        with the others: at once after a request, in a while if even choosing one fails."""
        self.last_error = "client_error"
        self._warn("client_error", f"the client failed: {error!r}; going on without the events of that request", now_s)
        if job is None:
            self._stopped_until_s = now_s + STOP_S
        if job is None or job.kind == "streams":
            self.streams.use("reset", now_s, self._random())
        lanes = list(self._lanes.values())
        batches = [(lane, lane.in_flight) for lane in lanes] if job is None else [(job.lane, job.batch)]
        for lane, batch in batches:
            if lane is None or batch is None:
                continue
            lane.forget(batch)
            for ticket in batch.tickets:
                if not ticket.is_done:
                    self._settle(ticket, Outcome("dropped", "client_error", repr(error)), now_s)

    def _done(self, job: Job, result: Answer | Failed | Failure, now_s: float) -> None:
        if job.kind == "streams":
            self._use_streams(result, now_s)
            return
        lane, batch = job.lane, job.batch
        assert lane is not None and batch is not None
        lane.in_flight = None
        if job.kind == "receipt":
            self._after_receipt(lane, batch, result, now_s)
        else:
            self.books.took(now_s - batch.sent_s)
            self._after_events(lane, batch, result, now_s)

    def begin_flush(self, now_s: float) -> int:
        """Hurry with everything that was submitted so far; return the mark for ``is_flushed``."""
        if self.options.report_stream is not None:
            self._report(now_s)
        if self.spool is not None:
            self._is_adopting, self._adopt_due_s = True, now_s
        mark = self._epoch
        self._epoch += 1
        self._flushing += 1
        for lane in list(self._lanes.values()):
            lane.hurry(now_s)
        self.streams.hurry(now_s)
        return mark

    def close(self, now_s: float) -> None:
        """Take no more events. What is left is dropped, or stays on disk."""
        self.is_closed = True
        left = [*self._unjudged]
        for lane in self._lanes.values():
            left += lane.tickets()
        self._lanes.clear()
        self._unjudged.clear()
        for ticket in left:
            if not ticket.stored:
                self._settle(ticket, Outcome("dropped", "closed", "not sent before close() was over"), now_s)
        if self.spool is not None:
            self.spool.close()

    def _judged(
        self, stream: str, made: dict[str, Any], ids: Mapping[str, str], now_s: float
    ) -> str | Mapping[str, Any]:
        def attributes() -> Mapping[str, Any]:
            try:
                return self.options.attributes()
            except Exception as error:
                self._warn("context", f"context failed: {error!r}; going on without attributes", now_s)
                return {}

        found = judge(self.streams.streams, stream, made, ids, attributes, is_sampled=not self.options.debug)
        if found == "sampled" and self.streams.streams is not None:
            problem = sample_problem(self.streams.streams.find(stream) or {}, ids)
            if problem is not None:
                self._warn("sample", f"no event of {stream} is sent: {problem}", now_s)
        return found

    def _validate(self, made: dict[str, Any], now_s: float) -> str | None:
        validator = self.options.validator
        try:
            return None if validator is None else validator(made)
        except Exception as error:
            self._warn("validator", f"the validator failed: {error!r}; the intake judges", now_s)
            return None

    def _refused(self, stream: str, identity: str, reason: str, text: str, now_s: float) -> Ticket:
        ticket = Ticket(stream, identity, None, None, now_s)
        ticket.outcome = Outcome("dropped", reason, text)  # It is counted when it is offered.
        return ticket

    def _report(self, now_s: float) -> None:
        stream = self.options.report_stream
        report = self.books.take_report(now_s) if stream is not None else None
        if stream is not None and report is not None:
            self.offer(self.prepare(stream, report, True, None, now_s))

    def _headers(self, request_id: str | None) -> dict[str, str]:
        headers = {"User-Agent": USER_AGENT, **self.options.headers}
        if request_id is not None:
            headers["X-Request-Id"] = request_id
        return headers

    def _events_job(self, lane: Lane, batch: Batch, now_s: float) -> Job:
        batch.request_id = new_id()
        batch.sent_s = now_s
        self.books.retries += batch.attempt > 1
        query = [
            *(["hasty=true"] if lane.is_hasty else []),
            *([f"attempt={batch.attempt}"] if batch.attempt > 1 else []),
        ]
        url = f"{lane.url}/v1/events" + ("?" + "&".join(query) if query else "")
        headers = self._headers(batch.request_id) | {"Content-Type": "application/json"}
        bodies = [ticket.body for ticket in batch.tickets if ticket.body is not None]
        return Job("events", url, headers, bodies, self.options.compress_over, lane, batch)

    def _receipt_job(self, lane: Lane, batch: Batch) -> Job:
        self.books.receipts += 1
        return Job(
            "receipt", f"{lane.url}/v1/receipts/{batch.request_id}", self._headers(None), None, None, lane, batch
        )

    def _after_events(self, lane: Lane, batch: Batch, result: Answer | Failed | Failure, now_s: float) -> None:
        tickets = batch.tickets
        if isinstance(result, Answer):
            if result.status in (201, 202):  # By far the most answers: all was accepted.
                lane.failures = 0
                self.last_error = None
                self._settle_sent(tickets)
                return
            body = result.json() if result.body else None
            wall_s = self._wall_ns() / 1e9
            decision = decisions.after_answer(len(tickets), result.status, result.headers, body, wall_s)
        else:
            kind = result.kind if isinstance(result, Failed) else result
            decision = decisions.after_failure(len(tickets), kind)
        sent: list[Ticket] = []
        left: list[Ticket] = []
        is_unknown = False
        for index, (ticket, outcome) in enumerate(zip(tickets, decision.outcomes, strict=True)):
            if outcome == "sent":
                sent.append(ticket)
            elif outcome == "rejected":
                reason = decision.reasons[index] or "rejected"
                detail = decision.details.get(index)
                if detail is None and isinstance(result, Answer):  # As where no intake listens: which address it was.
                    detail = f"{lane.url}/v1/events answers {result.status}"
                self._settle(ticket, Outcome("rejected", reason, detail), now_s)
            else:
                left.append(ticket)
                is_unknown = is_unknown or outcome == "unknown"
        self._settle_sent(sent)
        if decision.pauses:
            self._pause(lane, str(decision.reasons[0]), decision.retry_after_s, now_s, _described(result))
        else:
            lane.failures = 0
            self.last_error = None
        if decision.is_split:
            lane.again.extendleft(Batch(half, batch.attempt + 1) for half in reversed(halve(left)))
            return
        if not left:
            return
        batch.tickets = left
        batch.is_unknown = is_unknown and self.options.receipts
        batch.asked = 0
        if not batch.is_unknown:
            batch.attempt += 1
        if decision.pauses:
            lane.again.appendleft(batch)
        else:
            delay_s = self._backoff(max(batch.attempt - 1, 1), decision.retry_after_s)
            lane.put_later(now_s + delay_s, batch)

    def _after_receipt(self, lane: Lane, batch: Batch, result: Answer | Failed | Failure, now_s: float) -> None:
        status, body = (result.status, result.json()) if isinstance(result, Answer) else (None, None)
        age_s = now_s - batch.sent_s
        events = len(batch.tickets)
        action = decisions.after_receipt(events, status, body, age_s, self.options.settle_s, GIVE_UP_ASKING_S)
        if not isinstance(result, Answer):
            kind = result.kind if isinstance(result, Failed) else result
            self._pause(lane, kind, None, now_s, _described(result))
        if action == "sent":
            lane.failures = 0
            self.last_error = None
            self._settle_sent(batch.tickets)
        elif action == "resend":
            batch.is_unknown = False
            batch.attempt += 1
            lane.again.appendleft(batch)
        else:
            batch.asked += 1
            lane.put_later(now_s + min(2.0**batch.asked / 2, 15.0) * (0.5 + self._random() / 2), batch)

    def _pause(self, lane: Lane, reason: str, retry_after_s: float | None, now_s: float, what: str) -> None:
        lane.failures += 1
        lane.paused_until_s = now_s + self._backoff(lane.failures, retry_after_s)
        lane.server_pause = bool(retry_after_s)
        self.last_error = reason
        self._warn(reason, f"{lane.url} {what}: {reason}; trying again", now_s)

    def _backoff(self, attempt: int, retry_after_s: float | None) -> float:
        options = self.options
        return decisions.backoff_s(attempt, self._random(), retry_after_s, options.retry_base_s, options.retry_cap_s)

    def _use_streams(self, result: Answer | Failed | Failure, now_s: float) -> None:
        problem = self.streams.use(result, now_s, self._random())
        if problem is not None:
            self._warn("streams", f"stream configuration: {problem}; trying again", now_s)
        if not self.streams.is_awaited():
            self._judge_waiting(now_s)

    def _is_overtaken(self) -> bool:
        """Whether an event waits for a stream configuration that is there: ``prepare``, without the lock, asked for it
        just before it came."""
        return bool(self._unjudged) and not self.streams.is_awaited()

    def _judge_waiting(self, now_s: float) -> None:
        unjudged, self._unjudged = self._unjudged, deque()
        for ticket in unjudged:
            if ticket.unjudged is None:
                continue
            try:
                self._judge_late(ticket, *ticket.unjudged, now_s)
            except Exception as error:  # Of settings, ids or ``dumps``: this event alone is given up.
                self._settle(ticket, Outcome("dropped", "client_error", f"{ticket.stream}: {error!r}"), now_s)

    def _judge_late(
        self, ticket: Ticket, made: dict[str, Any], ids: Mapping[str, str], hasty: bool, now_s: float
    ) -> None:
        ticket.unjudged = None
        found = self._judged(ticket.stream, made, ids, now_s)
        if isinstance(found, str):
            self._settle(ticket, Outcome("dropped", found, f"{ticket.stream}: {NOT_SENT[found]}"), now_s)
            return
        lane = self._lane(destination(found, self.options.services, self.options.url), hasty)
        body = self._encode(made)
        self.queued_bytes += len(body) - len(ticket.body or b"")
        ticket.body, ticket.lane = body, lane
        if self.spool is not None:
            self.spool.put(ticket, self._wall_ns(), is_loaded=True)
        lane.fresh.append(ticket)
        lane.fresh_bytes += len(body)


def _copy(given: object) -> dict[str, Any]:
    """Return a copy of a mapping. A list of pairs is none. Raises TypeError."""
    if type(given) is dict or isinstance(given, Mapping):
        return dict(given)
    raise TypeError(f"{type(given).__name__} is no mapping")


def _described(result: Answer | Failed | Failure) -> str:
    """Return what to say of a result that is no success, after the address and before the reason."""
    if isinstance(result, Failed):
        return f"cannot be reached ({result.detail})"
    if isinstance(result, Answer) and 200 <= result.status < 300:
        return f"answers {result.status}, as no intake does: a proxy or a page for logging in may be in its place"
    return "cannot be reached or does not take events"


def _process_ids() -> dict[str, str]:
    identity = new_id().replace("-", "")[::-1]  # The random part first: sampling looks at the first digits.
    return {"session": identity[:20], "pageview": identity[:20], "device": identity[:20]}
