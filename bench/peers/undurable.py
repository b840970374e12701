"""The intake without what keeps events: no bounds, no books, no receipts, no spool. What it accepted may be lost.

Place: `python -m bench.peers.undurable serve -c FILE`, started by durability.
Rule: it is the intake, with the steps of its hot path that durability added taken out, and nothing made faster besides.
Not here: measuring. Nobody should serve with this.
"""

from __future__ import annotations

import sys
from typing import Any

from server.__main__ import main
from server.intake import sending, verdict
from server.intake.books.receipts import Receipts
from server.intake.delivery import Delivery
from server.intake.event import Event
from server.intake.pending import Pending
from server.intake.receive import Receiver
from server.intake.request_options import RequestOptions
from server.intake.sending import Sender
from server.intake.submission import Submission
from server.worker import durability


def _receive(self: Receiver, request: Any, body: bytes, options: RequestOptions) -> None:
    if self._closed:
        request.problem(503, "draining")
        return
    arrival = self._arrival(request, options)
    events = self._events(request, body, options, arrival)
    if isinstance(events, list) and self._fetcher is None:
        self._send(request, events, arrival, options, False, 0.0)
    elif events is not None:
        self._go_on(Submission(self._resume, request, body, options), events, arrival, False)


def _resume(self: Receiver, submission: Submission) -> None:
    batch = submission.batch
    if batch is None:
        self._receive(submission.request, submission.body, submission.options)
    elif self._closed:
        submission.request.problem(503, "draining")
    elif batch.fault is not None:
        self._refuse_fault(submission.request, batch.fault)
    else:
        self._go_on(submission, batch.events, batch.arrival, False)


def _send(
    self: Receiver,
    request: Any,
    events: list[Event],
    _arrival: Any,
    options: RequestOptions,
    _is_guarded: bool,
    _began_s: float,
) -> None:
    self.counts.received += len(events)
    (self._send_hasty if options.is_hasty else self._send_guaranteed)(request, events, 0, False)


def _hasty(self: Sender, request: Any, events: list[Event], _number: int, _is_guarded: bool) -> None:
    submit = self._submit
    for event in events:
        if event.verdict is None:
            submit(event, event.on_ack)
        if event.verdict is not None or event.observed is not None:
            self._note(event)
    request.reply(202, sending._HASTY[len(events)])


def _guaranteed(self: Sender, request: Any, events: list[Event], _number: int, _is_guarded: bool) -> None:
    pending = Pending(request, events, self._on_settled)
    submit = self._submit
    for event in events:
        if event.verdict is None:
            event.pending = pending
            submit(event, event.on_ack)
            pending.left += 1
        if event.verdict is not None:
            pending.failures += 1
        if event.verdict is not None or event.observed is not None:
            self._note(event)
    if pending.left == 0:
        self.answer(pending)


def _answer(self: Sender, pending: Pending) -> None:
    if pending.failures:
        answer = verdict.failed(pending.events)
        pending.request.reply(answer.status, answer.phrase, answer.body)
    else:
        pending.request.reply(201, sending._ACCEPTED[len(pending.events)])
    pending.events = sending._NO_EVENTS


def _on_ack(self: Event, error: Any, _message: Any) -> None:
    if error is not None:
        self.verdict = verdict.error("broker_timeout")
    if self.pending is not None:
        self.pending.settle(self)


def _nothing(*_: Any, **__: Any) -> None:
    """Instead of what is left out."""


def install() -> None:
    """From now on, workers that are made keep nothing."""
    for owner, name, replacement in (
        (Receiver, "_receive", _receive),
        (Receiver, "_resume", _resume),
        (Receiver, "_send", _send),
        (Sender, "hasty", _hasty),
        (Sender, "guaranteed", _guaranteed),
        (Sender, "answer", _answer),
        (Event, "on_ack", _on_ack),
        (Receipts, "start", _nothing),
        (Delivery, "open", _nothing),
        (durability, "make_spool", _nothing),
    ):
        setattr(owner, name, replacement)


if __name__ == "__main__":
    install()
    sys.exit(main())
