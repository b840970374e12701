"""What the intake counts: plain integers of one worker.

Place: intake.receive adds; worker copies them to the scoreboard on the beat.
Rule: each of ``by_type`` was not accepted, or was and its sender was told that it failed.
Not here: what became of accepted events (intake.tally), HTTP's own counters.
"""

# hot path

from __future__ import annotations

from server.intake.verdict import ERROR_TYPES, INVALID_TYPES


class Counts:
    """``received`` events of well-formed requests; ``refused_hasty`` ones of hasty requests that neither the sink nor
    the spool took; ``observed`` accepted ones that are invalid; ``refused_full``, ``refused_draining`` and
    ``refused_many`` (of more events than are taken) requests turned away."""

    __slots__ = (
        "by_type",
        "observed",
        "received",
        "refused_draining",
        "refused_full",
        "refused_hasty",
        "refused_many",
    )

    def __init__(self) -> None:
        self.received = 0
        self.observed = 0
        self.refused_hasty = 0
        self.refused_full = 0
        self.refused_draining = 0
        self.refused_many = 0
        self.by_type = dict.fromkeys(sorted(INVALID_TYPES | ERROR_TYPES), 0)
