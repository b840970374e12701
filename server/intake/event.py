"""One event on its way through the intake.

Place: intake.pipeline makes it, the sink takes it as a record, intake.pending hears of it.
Rules: ``value`` is what the client sent plus what was filled in; numbers and strings are never written anew. The
garbage collector does not see it (measured: bench worker, hasty 0.93 and 0.96, guaranteed 0.93 and 0.98 of before), so
whoever makes a circle of it breaks it.
Not here: who decides (intake.pipeline).
"""

# hot path

from __future__ import annotations

from typing import Any

from msgspec import Struct


class Event(Struct, eq=False, gc=False):
    """A record for the sink (topic, value, key, timestamp_ms, headers) and where it stands in its request.

    ``verdict`` (a Verdict) None means that nothing speaks against it. ``observed`` is one that does not count: the
    stream is in ``validation: observe``. ``route`` is set once there is one, ``pending`` while somebody waits. They
    are not named as types here because their modules import this one. ``number`` is the order of acceptance among all
    events of this worker and of those before it; ``is_spooled`` ones wait on disk.
    """

    index: int
    value: bytes
    verdict: Any = None
    observed: Any = None
    route: Any = None
    pending: Any = None
    topic: str = ""
    key: bytes | None = None
    timestamp_ms: int = 0
    headers: list[tuple[str, bytes]] = []
    number: int = 0
    is_spooled: bool = False

    def on_ack(self, error: Any, _message: Any) -> None:
        """Hear what the sink says of this event."""
        if error is not None:
            self.route.tally.on_failed(self, error)
            return
        self.route.tally.delivered += 1
        if self.pending is not None:
            self.pending.settle(self)

    def on_kept(self, error_type: str | None) -> None:
        """Hear what the spool says of it."""
        self.route.tally.on_kept(self, error_type)
