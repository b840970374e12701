"""The stop of a run: when it was asked for, and how long a broker that is away may hold it up.

Place: signals → HERE → embedded.run, kafka_input, outputs.
Rules: a wait for a broker is cut into slices, because a signal is seen only between two calls of librdkafka. After
``drain_s`` nothing waits any more: what is not acked is not committed, and the next run reads it again.
Not here: what is committed (run).
"""

from __future__ import annotations

import signal
import time
from types import FrameType
from typing import Final

SLICE_S: Final = 0.2


class GivenUpError(Exception):
    """A broker did not answer within the time that a stop leaves."""


class Stop:
    """Set by TERM or INT, or by ``ask``. ``drain_s`` is the time that brokers have from then on."""

    def __init__(self, drain_s: float = 0.0) -> None:
        self._drain_s = drain_s
        self._asked_at: float | None = None

    @property
    def is_asked(self) -> bool:
        """Whether the run has to end."""
        return self._asked_at is not None

    def ask(self, _number: int = 0, _frame: FrameType | None = None) -> None:
        """End the run after the next commit. The first time counts."""
        if self._asked_at is None:
            self._asked_at = time.monotonic()

    def may_wait(self) -> bool:
        """Whether a wait for a broker may go on."""
        return self._asked_at is None or time.monotonic() < self._asked_at + self._drain_s

    def listen(self) -> None:
        """Take the signals of this process."""
        signal.signal(signal.SIGTERM, self.ask)
        signal.signal(signal.SIGINT, self.ask)
