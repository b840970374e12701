"""One event on its way through the intake.

Place: intake.pipeline makes it, the sink takes it as a record, intake.pending hears of it.
Rule: ``value`` is what the client sent plus what was filled in, byte for byte; it is never encoded anew as a whole.
Not here: who decides (intake.pipeline).
"""

# hot path

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from server.intake.pending import Pending
    from server.intake.route import Route
    from server.intake.verdict import Verdict


class Event:
    """A record for the sink (topic, value, key, timestamp_ms, headers) and where it stands in its request.

    ``verdict`` None means that nothing speaks against it. ``observed`` holds a verdict that does not count: the
    stream is in ``validation: observe``.
    """

    __slots__ = (
        "headers",
        "index",
        "key",
        "observed",
        "pending",
        "route",
        "timestamp_ms",
        "topic",
        "value",
        "verdict",
    )

    def __init__(self, index: int, value: bytes) -> None:
        self.index = index
        self.value = value
        self.verdict: Verdict | None = None
        self.observed: Verdict | None = None
        self.route: Route | None = None
        self.pending: Pending | None = None
        self.topic = ""
        self.key: bytes | None = None
        self.timestamp_ms = 0
        self.headers: list[tuple[str, bytes]] = []

    def on_ack(self, error: Any, _message: Any) -> None:
        """Pass on what the sink says of this event of a guaranteed request."""
        assert self.pending is not None
        self.pending.settle(self, error)
