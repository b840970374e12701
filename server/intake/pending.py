"""Count down the outcomes of one guaranteed request, then answer it once.

Place: sink, intake.delivery → HERE → intake.sending. Runs on the loop thread only.
Rule: a reply is sent exactly once, in whichever order acks, refusals and disconnects come in. A request and its events
reference each other until then (intake.sending): the garbage collector does not track them.
Not here: what an ack means (intake.delivery), which status is sent (intake.verdict).
"""

# hot path

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from server.compiled.attributes import mypyc_attr

if TYPE_CHECKING:
    from server.intake.event import Event

Settled = Callable[["Pending"], None]


@mypyc_attr(acyclic=True, free_list_len=1)
class Pending:
    """One request that waits for the outcome of ``left`` events. ``on_settled`` is called once, when none is left.
    ``began_s``: its receive time by the monotonic clock; 0: it is not measured."""

    __slots__ = ("began_s", "events", "failures", "left", "on_settled", "request", "spooled")

    def __init__(self, request: Any, events: list[Event], on_settled: Settled, began_s: float = 0.0) -> None:
        self.request = request
        self.events = events
        self.on_settled = on_settled
        self.began_s = began_s
        self.failures = 0
        self.spooled = 0
        self.left = 0

    def settle(self, event: Event) -> None:
        """Count the outcome of one event; the event holds it."""
        if event.verdict is not None:
            self.failures += 1
        elif event.is_spooled:
            self.spooled += 1
        self.left -= 1
        if self.left == 0:
            self.on_settled(self)
