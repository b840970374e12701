"""What the intake counts: plain integers of one worker.

Place: intake.receive adds; worker copies them to the scoreboard on the beat.
Rule: ``accepted = delivered + failed`` + what the sink still holds, for clients' events; each of ``by_type`` was not
accepted, or was and failed.
Not here: HTTP's own counters.
"""

# hot path

from __future__ import annotations

from server.intake.verdict import ERROR_TYPES, INVALID_TYPES


class Counts:
    """``received`` events of well-formed requests; ``accepted`` taken by the sink; ``dropped`` hasty ones it would
    not take; ``failed`` accepted ones that it could not deliver; ``observed`` accepted ones that are invalid;
    ``refused_full`` and ``refused_draining`` requests turned away."""

    __slots__ = (
        "accepted",
        "by_type",
        "delivered",
        "dropped",
        "failed",
        "observed",
        "received",
        "refused_draining",
        "refused_full",
    )

    def __init__(self) -> None:
        self.received = 0
        self.accepted = 0
        self.delivered = 0
        self.failed = 0
        self.dropped = 0
        self.observed = 0
        self.refused_full = 0
        self.refused_draining = 0
        self.by_type = dict.fromkeys(sorted(INVALID_TYPES | ERROR_TYPES), 0)
