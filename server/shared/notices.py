"""Share the master's own counts, and the log level for all processes of the host, in a few cells.

Place: made by the scoreboard before the first fork; the master counts, server.admin reads, and asks for a log level.
Rules: a cell is one aligned 64-bit integer with one writer; the log level has two, of which the later counts.
Not here: the state of a child (scoreboard), the effects of a log level (server.log).
"""

from __future__ import annotations

import mmap
import time
from typing import Final

# Deaths of child processes that had not been ordered to end.
DEATHS: Final = ("crashed", "killed", "stuck", "not_booted")
RELOADS: Final = ("done", "adopted", "refused")
LEVELS: Final = ("", "debug", "info", "warning", "error")  # The first stands for the level of the settings.

_LEVEL, _STARTED_MS, _RELOADED_MS, _DEATHS = range(4)
_RELOADS = _DEATHS + len(DEATHS)
_LOG_LINES_DROPPED = _RELOADS + len(RELOADS)
_TASK_FAILURES = _LOG_LINES_DROPPED + 1
_END = _TASK_FAILURES + 1


class Notices:
    """The shared cells of the master and of the log level."""

    def __init__(self) -> None:
        self._cells = memoryview(mmap.mmap(-1, _END * 8)).cast("q")
        self._cells[_STARTED_MS] = self._cells[_RELOADED_MS] = time.time_ns() // 1_000_000

    def note_death(self, cause: str) -> None:
        """Count a child that ended without an order. Master only."""
        self._cells[_DEATHS + DEATHS.index(cause)] += 1

    def note_reload(self, outcome: str) -> None:
        """Count a reload by its outcome. Master only."""
        self._cells[_RELOADS + RELOADS.index(outcome)] += 1
        if outcome != "refused":
            self._cells[_RELOADED_MS] = time.time_ns() // 1_000_000

    def note_own(self, log_lines_dropped: int, task_failures: int) -> None:
        """Publish the master's own counts, as the other processes do in their rows. Master only."""
        self._cells[_LOG_LINES_DROPPED] = log_lines_dropped
        self._cells[_TASK_FAILURES] = task_failures

    @property
    def log_lines_dropped(self) -> int:
        """The master's count of dropped log lines."""
        return self._cells[_LOG_LINES_DROPPED]

    @property
    def task_failures(self) -> int:
        """The master's count of failed tasks."""
        return self._cells[_TASK_FAILURES]

    def deaths(self) -> dict[str, int]:
        return {cause: self._cells[_DEATHS + at] for at, cause in enumerate(DEATHS)}

    def reloads(self) -> dict[str, int]:
        return {outcome: self._cells[_RELOADS + at] for at, outcome in enumerate(RELOADS)}

    @property
    def started_s(self) -> float:
        """Return when the service began, in seconds since 1970."""
        return self._cells[_STARTED_MS] / 1000

    @property
    def reloaded_s(self) -> float:
        """Return when the settings in force were read."""
        return self._cells[_RELOADED_MS] / 1000

    @property
    def level(self) -> str:
        """Return the lowest log level that is written, for all processes; "": that of the settings."""
        return LEVELS[self._cells[_LEVEL]]

    @level.setter
    def level(self, level: str) -> None:
        self._cells[_LEVEL] = LEVELS.index(level)
