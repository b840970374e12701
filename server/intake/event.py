"""One event on its way through the intake.

Place: intake.pipeline makes it, the sink takes it as a record, intake.pending hears its outcome.
Rules: ``value`` is the client's JSON plus the fields that were filled in; numbers and strings are never encoded again.
The garbage collector does not track compiled events, so code that makes a reference cycle with one must break it.
Not here: the decisions about it (intake.pipeline).
"""

# hot path

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from server.compiled.attributes import mypyc_attr
from server.record import Record

if TYPE_CHECKING:  # These modules import this one.
    from server.intake.pending import Pending
    from server.intake.route import Route
    from server.intake.verdict import Verdict
    from server.schemas.repository import Unfetched

_NO_HEADERS: list[tuple[str, bytes]] = []  # Nobody appends to the headers of an event.


@mypyc_attr(acyclic=True, free_list_len=1)
class Event(Record):
    """A record for the sink (topic, value, key, timestamp_ms, headers), and its state within its request.

    ``verdict`` None means that the event is acceptable. ``observed`` is a verdict that does not count, because the
    stream has ``validation: observe``. ``route`` is None until it is found; an event without a verdict has a route. Its
    type does not say so, because an assertion in every callback would cost an event 1 %.
    ``unfetched`` is the schema that the event names, if that has to be fetched first. ``pending`` is set while a
    request waits for the outcome. ``number`` is the order of acceptance among all events of this worker and of earlier
    workers; ``is_spooled`` events wait on disk. ``shown`` is what error events and the console tell of an event with a
    verdict, where that is not its value (intake.private).
    """

    __slots__ = (
        "index", "is_spooled", "number", "observed", "pending", "route", "shown", "unfetched", "verdict",
    )  # fmt: skip

    def __init__(
        self,
        index: int,
        value: bytes,
        verdict: Verdict | None = None,
        observed: Verdict | None = None,
        route: Any = None,  # A Route
        pending: Pending | None = None,
        topic: str = "",
        key: bytes | None = None,
        timestamp_ms: int = 0,
        headers: list[tuple[str, bytes]] | None = None,
        number: int = 0,
    ) -> None:
        super().__init__(topic, value, key, timestamp_ms, _NO_HEADERS if headers is None else headers)
        self.index = index
        self.verdict = verdict
        self.observed = observed
        self.route = route
        self.pending = pending
        self.number = number
        self.is_spooled = False
        self.unfetched: Unfetched | None = None
        self.shown: bytes | None = None

    def __call__(self, error: Any, message: Any) -> None:
        """Do the same as ``on_ack``: the event itself is what a sink calls, since a bound method of each would be one
        more object, which the garbage collector tracks until the outcome comes."""
        self.on_ack(error, message)

    def is_awaited(self) -> bool:
        """Whether a request waits for the outcome."""
        return self.pending is not None

    def on_ack(self, error: Any, _message: Any) -> None:
        """Receive the sink's outcome of this event."""
        route: Route = self.route
        tally = route.tally
        if error is not None:
            tally.books.on_failed(self, error)
            return
        tally.delivered += 1
        if self.number <= tally.doubt_to:
            tally.books.doubted -= 1
        if self.pending is not None:
            self.pending.settle(self)

    def on_kept(self, error_type: str | None) -> None:
        """Receive the spool's outcome of this event."""
        route: Route = self.route
        route.tally.books.on_kept(self, error_type)
