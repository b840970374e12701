"""The CPU time that checks in the background may take.

Place: intake.background.checks asks HERE before each check.
Rules: checks get ``SHARE`` of the CPU time of their worker, or ``LEAST`` of the time of the clock where that is more,
so that a worker with few events judges all of them. ``LEAST`` is small because a worker that waits for a core on a
busy host has little CPU time, and a hundredth of the clock would be a fifth of that. A check is never interrupted; the
time that a large event has taken beyond the grant is paid back, up to ``MOST_DEBT_S``, before the next one.
Not here: which events are checked.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

SHARE: Final = 0.01
LEAST: Final = 0.001
EVERY_S: Final = 0.025  # From one turn of checks to the next.
MOST_DEBT_S: Final = 0.01  # The first event may compile its schema; paid back in full, that would stop checks for long.
MOST_S: Final = 0.002  # No turn of the loop takes longer, but for one large event.

Clock = Callable[[], float]


class Budget:
    """The budget of one worker. ``spent_s`` is the CPU time that its checks have taken.

    ``wall_s`` is the time of the clock, ``process_s`` the CPU time of the process, ``thread_s`` that of the thread.
    """

    def __init__(
        self, wall_s: Clock = time.monotonic, process_s: Clock = time.process_time, thread_s: Clock = time.thread_time
    ) -> None:
        self._wall_s = wall_s
        self._process_s = process_s
        self._thread_s = thread_s
        self._wall_at, self._process_at = wall_s(), process_s()
        self._granted_s = MOST_S  # Below 0 after a large event.
        self._began_s = 0.0
        self.spent_s = 0.0

    def begin(self) -> None:
        """Begin a turn of checks."""
        wall, process = self._wall_s(), self._process_s()
        more_s = max(SHARE * (process - self._process_at), LEAST * (wall - self._wall_at))
        self._wall_at, self._process_at = wall, process
        self._granted_s = min(MOST_S, self._granted_s + more_s)
        self._began_s = self._thread_s()

    def has_time(self) -> bool:
        """Whether another check may begin in this turn. It takes 0.5 µs."""
        return self._thread_s() - self._began_s < self._granted_s

    def end(self) -> None:
        """End the turn."""
        used_s = self._thread_s() - self._began_s
        self._granted_s = max(-MOST_DEBT_S, self._granted_s - used_s)
        self.spent_s += used_s
