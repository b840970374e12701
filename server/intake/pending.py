"""Count down the acks of one guaranteed request, then answer it once.

Place: sink → HERE → intake.receive. Runs on the loop thread only.
Rule: a reply is sent exactly once, whatever order acks, refusals and disconnects come in.
Not here: what an ack means (sink.base), which status is sent (intake.verdict).
"""

# hot path

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from server.intake import verdict

if TYPE_CHECKING:
    from server.intake.event import Event

Settled = Callable[["Pending"], None]


class Pending:
    """One request that waits for the acks of ``left`` events.

    ``classify`` names the ``error_type`` of a failed ack; ``on_settled`` is called once, when none is left.
    """

    __slots__ = ("_classify", "_on_settled", "events", "failures", "left", "request")

    def __init__(self, request: Any, events: list[Event], classify: Callable[[Any], str], on_settled: Settled) -> None:
        self.request = request
        self.events = events
        self.failures = 0
        self.left = 0
        self._classify = classify
        self._on_settled = on_settled

    def settle(self, event: Event, error: Any) -> None:
        """Hear what became of one event that the sink had taken."""
        if error is not None:
            event.verdict = verdict.error(self._classify(error))
            self.failures += 1
        self.left -= 1
        if self.left == 0:
            self._on_settled(self)
