"""The intake without what keeps events: no bounds, no books, no receipts, no spool. What it accepted may be lost.

Place: `python -m bench.peers.undurable serve -c FILE`, started by durability.
Rule: it is the intake, with the steps of its hot path that durability added taken out, and nothing made faster besides.
Not here: measuring. Nobody should serve with this.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from server import durability
from server.__main__ import main
from server.intake import verdict
from server.intake.delivery import Delivery
from server.intake.event import Event
from server.intake.pending import Pending
from server.intake.receipts import Receipts
from server.intake.receive import _HASTY, Receiver


def _receive(
    self: Receiver, request: Any, body: bytes, params: Mapping[str, str], is_hasty: bool, is_second: bool = False
) -> None:
    if self._closed:
        request.problem(503, "draining")
        return
    raws = self._split(request, body)
    if raws is None:
        return
    prepare, arrival = self._prepare, self._arrival(request, params)
    events = [prepare(index, raw, arrival) for index, raw in enumerate(raws)]
    if self._awaited and self._waits(request, is_second, self._receive, body, params, is_hasty):
        return
    self.counts.received += len(events)
    (_send_hasty if is_hasty else _send_guaranteed)(self, request, events)


def _send_hasty(self: Receiver, request: Any, events: list[Event]) -> None:
    submit = self._submit
    for event in events:
        if event.verdict is None:
            submit(event, event.on_ack)
        if event.verdict is not None or event.observed is not None:
            self._note(event)
    count = len(events)
    request.reply(202, _HASTY[count] if count < len(_HASTY) else verdict.hasty(count).phrase)


def _send_guaranteed(self: Receiver, request: Any, events: list[Event]) -> None:
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
        self._answer(pending)


def _answer(self: Receiver, pending: Pending) -> None:
    answer = verdict.failed(pending.events) if pending.failures else verdict.accepted(len(pending.events))
    pending.request.reply(answer.status, answer.phrase, answer.body)


def _on_ack(self: Event, error: Any, _message: Any) -> None:
    if error is not None:
        self.verdict = verdict.error("broker_timeout")
    if self.pending is not None:
        self.pending.settle(self)


def _nothing(*_: Any, **__: Any) -> None:
    """Instead of what is left out."""


if __name__ == "__main__":
    for owner, name, replacement in (
        (Receiver, "_receive", _receive),
        (Receiver, "_answer", _answer),
        (Event, "on_ack", _on_ack),
        (Receipts, "start", _nothing),
        (Delivery, "open", _nothing),
        (durability, "make_spool", _nothing),
    ):
        setattr(owner, name, replacement)
    sys.exit(main())
