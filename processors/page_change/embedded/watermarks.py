"""The watermark over all partitions: up to which time every event has arrived.

Place: embedded.inputs → HERE → consolidator.
Rules: the watermark is the minimum over all partitions and never falls. A partition that was read to its end counts as
the wall clock of that look, so that an idle one holds nothing up; one that lags always does. No timeout takes a slow
partition for an idle one.
Not here: reading (inputs).
"""

from __future__ import annotations

from processors.page_change.consolidator import FOREVER
from processors.page_change.embedded.inputs import shown


class Watermarks:
    """``newest`` has the largest time of each partition."""

    def __init__(self, disorder_ms: int, newest: dict[str, int]) -> None:
        self._disorder_ms = disorder_ms
        self.newest = dict(newest)
        self._ended_at: dict[str, int] = {}

    def note(self, partition: str, newest: int, ended_at: int | None) -> None:
        """Note what was read of a partition."""
        if newest > self.newest.get(partition, -1):
            self.newest[partition] = newest
        if ended_at is None:
            self._ended_at.pop(partition, None)
        else:
            self._ended_at[partition] = ended_at

    def value(self, partitions: list[str]) -> int:
        """Return the watermark; -1 if a partition has not been read yet."""
        if not partitions:
            return -1
        return min(self._of(partition) for partition in partitions)

    def times(self, partitions: list[str]) -> dict[str, int]:
        """Return the time that each of these partitions has reached, by the name to show: of its newest record, or of
        the look at its end."""
        reached = {name: self.newest[name] for name in partitions if name in self.newest}
        return {shown(name): max(at, self._ended_at.get(name, at)) for name, at in reached.items()}

    def least_ahead(self, partitions: list[str]) -> str | None:
        """Return the partition that holds the watermark up, unless all were read to their ends."""
        unread = [partition for partition in partitions if partition not in self._ended_at]
        return min(unread, key=lambda partition: self.newest.get(partition, -1), default=None)

    def _of(self, partition: str) -> int:
        newest = max(self.newest.get(partition, -FOREVER), self._ended_at.get(partition, -FOREVER))
        return max(newest - self._disorder_ms, -1)
