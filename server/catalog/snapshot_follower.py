"""Read each new snapshot in a worker, in slices, while events are served with the old one.

Place: catalog.publication → HERE → worker, which swaps the snapshots.
Rules: no slice of the work takes much longer than ``SLICE_S``, and the loop serves between two of them. The new
snapshot replaces the old one whole, in one call. A newer one that comes meanwhile is read afterwards.
Not here: what uses a snapshot (worker).
"""

from __future__ import annotations

import gc
import logging
import time
from collections.abc import Callable
from typing import Any

from server.catalog.publication import Publication
from server.catalog.snapshot import Reading, Snapshot
from server.timing import timers

CallLater = Callable[..., Any]

SLICE_S = 0.001  # With pauses of 4 ms this takes a fifth of a worker's time: 10,000 streams take about a second.
PAUSE_S = 0.004

_logger = logging.getLogger("streams")


class SnapshotFollower:
    """Follows the publication: ``look`` is called on every beat, and calls ``use`` with each new snapshot."""

    def __init__(
        self,
        publication: Publication,
        snapshot: Snapshot,
        topic_prefix: str,
        use: Callable[[Snapshot], None],
    ) -> None:
        self._publication = publication
        self._snapshot = snapshot
        self._topic_prefix = topic_prefix
        self._use = use
        self._number = 0
        self._reading: Reading | None = None

    def catch_up(self) -> None:
        """Read at once a snapshot that was published before this worker was forked."""
        if self._publication.number != self._number:
            self._begin()
            while self._reading is not None:
                self._read(float("inf"))

    def look(self, call_later: CallLater) -> None:
        """Begin to read a new snapshot, if there is one. ``call_later`` is the loop's."""
        if self._publication.number != self._number and self._reading is None:
            self._begin()
            call_later(0.0, self._slice, call_later)

    def _begin(self) -> None:
        self._number, text = self._publication.read()
        self._reading = Reading(text, self._topic_prefix, self._snapshot)

    def _slice(self, call_later: CallLater) -> None:
        try:
            self._read(time.perf_counter() + SLICE_S)
        except Exception:  # After a bug, the next snapshot must still be followed.
            self._reading = None
            timers.failed("Following._slice")
            _logger.error("a snapshot of streams could not be taken up; the previous one stays in force")
        if self._reading is not None:
            call_later(PAUSE_S, self._slice, call_later)

    def _read(self, until: float) -> None:
        assert self._reading is not None
        snapshot = self._reading.go_on(until)
        gc.freeze()  # The new objects stay; a full collection over 10,000 streams would stop the loop for 50 ms.
        if snapshot is None:
            return
        self._reading = None
        self._snapshot = snapshot
        self._use(snapshot)
