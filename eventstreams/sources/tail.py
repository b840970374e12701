"""The thread of a live reader: its start, and its end.

Place: sources.kafka, sources.sqlite → HERE; the contract is sources.base.Tail.
Rule: ``_is_over`` is set first and looked at after every wait, so that the thread ends within its longest one.
Not here: what is read.
"""

from __future__ import annotations

import threading
from typing import Final

from eventstreams.sources.base import OnLost, OnRecords

JOIN_S: Final = 3.0


class TailThread:
    """A live reader with a thread. ``_run`` is what it does until ``_is_over`` is set; ``_on_records`` and ``_on_lost``
    are called on it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_over = threading.Event()
        self._thread: threading.Thread | None = None
        self._on_records: OnRecords
        self._on_lost: OnLost

    def start(self, on_records: OnRecords, on_lost: OnLost) -> None:
        """Begin the thread."""
        self._on_records, self._on_lost = on_records, on_lost
        self._thread = threading.Thread(target=self._run, name="tail", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread, and wait for it for a short time."""
        self._is_over.set()
        self._wake()
        if self._thread is not None:
            self._thread.join(JOIN_S)

    def _wake(self) -> None:
        """End a wait of the thread for something other than ``_is_over``."""

    def _run(self) -> None:
        raise NotImplementedError
