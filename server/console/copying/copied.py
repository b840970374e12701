"""An event of a request that is copied: it notes where the broker has it, also after the answer.

Place: console.copying.tap puts it in the place of intake.event.Event → the sink → HERE → console.copying.tap.
Rule: events that are not copied stay what they are, so the console costs them nothing.
Not here: what an outcome means (intake.delivery).
"""

from __future__ import annotations

import time
from typing import Any, Protocol

from server.compiled.attributes import mypyc_attr
from server.console.copying import copies
from server.intake.event import Event


class OutcomeTaker(Protocol):
    """Told of outcomes that came after the copy was made."""

    def on_outcome(self, event: CopiedEvent, verdict: str) -> None: ...


@mypyc_attr(acyclic=True)
class CopiedEvent(Event):
    """An event whose outcome is shown.

    ``copy_number`` is 0 until the copy is made. ``partition`` and ``offset`` are -1 while they are not known, and for
    sinks that have none; ``ack_ms`` is 0 until there is an outcome. ``request_id`` and ``test`` are of its request.
    """

    __slots__ = ("ack_ms", "began_ns", "copy_number", "offset", "partition", "request_id", "taker", "test")

    def __init__(self, event: Event, taker: OutcomeTaker, began_ns: int, request_id: str, test: str) -> None:
        super().__init__(
            event.index, event.value, event.verdict, event.observed, event.route, event.pending, event.topic, event.key,
            event.timestamp_ms, event.headers, event.number,
        )  # fmt: skip
        self.is_spooled = event.is_spooled
        self.unfetched = event.unfetched
        self.shown = event.shown
        self.taker = taker
        self.began_ns = began_ns
        self.request_id = request_id
        self.test = test
        self.copy_number = 0
        self.partition = -1
        self.offset = -1
        self.ack_ms = 0.0

    def on_ack(self, error: Any, message: Any) -> None:
        """Receive the sink's outcome, as every event does."""
        if error is None:
            if message is not None:
                self.partition, self.offset = message.partition(), message.offset()
            self._note(copies.ACCEPTED)
        Event.on_ack(self, error, message)

    def on_kept(self, error_type: str | None) -> None:
        """Receive the spool's outcome, as every event does."""
        if error_type is None:
            self._note(copies.SPOOLED)
        Event.on_kept(self, error_type)

    def _note(self, verdict: str) -> None:
        self.ack_ms = (time.perf_counter_ns() - self.began_ns) / 1e6
        if self.copy_number:
            self.taker.on_outcome(self, verdict)
