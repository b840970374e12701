"""The words of a snapshot: how far a stream was read, and the number of events that became rows, or were not written.

Place: landing → HERE → the summary of a snapshot, which tables reads and writes.
Rules: the offsets in a summary are the only truth about what was read. They are committed by the same commit as the
rows, so neither can be without the other. Each partition's offset is that of the next event. The counts are totals:
``consumed`` = ``rows`` + ``canaries`` + ``duplicates`` + ``rejected``.
Not here: when a snapshot is made (landing).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec
from msgspec import Struct, field

PREFIX: Final = "penstock."
COMPACTED: Final = PREFIX + "compacted"  # Rows of one table that a merge dropped, because others were the same event.
EXPIRED: Final = PREFIX + "expired"  # Rows of one table in hours that were dropped.
COUNTS: Final = ("consumed", "rows", "canaries", "duplicates", "rejected")


class Head(Struct):
    """Offsets by partition, and totals."""

    offsets: dict[str, int] = field(default_factory=dict)
    consumed: int = 0
    rows: int = 0
    canaries: int = 0
    duplicates: int = 0
    rejected: int = 0

    @property
    def is_conserved(self) -> bool:
        """Whether every event that was read is accounted for."""
        return self.consumed == self.rows + self.canaries + self.duplicates + self.rejected

    def as_summary(self) -> dict[str, str]:
        """Return the properties of a snapshot's summary."""
        counts = {PREFIX + name: str(getattr(self, name)) for name in COUNTS}
        return {PREFIX + "offsets": msgspec.json.encode(self.offsets, order="sorted").decode(), **counts}


def head_of(summary: Mapping[str, str]) -> Head | None:
    """Read a summary; None if it is that of another program, or of a table without offsets."""
    offsets = summary.get(PREFIX + "offsets")
    if offsets is None:
        return None
    counts = [int(summary.get(PREFIX + name, 0)) for name in COUNTS]
    return Head(msgspec.json.decode(offsets, type=dict[str, int]), *counts)


def newest(heads: list[Head]) -> Head:
    """Return the head that was committed last: offsets never go back, and each head has all of them."""
    return max(heads, key=lambda head: (sum(head.offsets.values()), head.consumed), default=Head())
