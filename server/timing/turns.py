"""Share the time of one worker fairly among its clients: long jobs are done a piece at a time.

Place: http.around.decompress and intake.receive put jobs here; worker makes the one queue that both share.
Rules: start-time fair queueing (Goyal, Vin and Cheng, SIGCOMM 1996). A client has one line of jobs, however many
connections it has, and the line whose client has used the least time has the next turn. A new client starts with the
used time of the client that is being served, so it is next. One turn of the loop does one piece of one job.
``MAX_BEGUN`` jobs of a line take turns among themselves; the others begin after them, or are refused when they have
waited too long.
Not here: what a job does, what counts as one client (http.around.client_address).
"""

# hot path

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from heapq import heappop, heappush
from time import monotonic
from typing import Final, Protocol

TURN_S = 0.001  # Not Final: tests replace it, and mypyc would write it into the code.

MAX_BEGUN: Final = 4  # If all jobs of a client began at once, all would be late; and each holds memory.


class Job(Protocol):
    """A piece of work that takes more than one turn."""

    def is_wanted(self) -> bool:
        """Whether a client still waits for it. If not, it is dropped (``drop``)."""

    def is_late(self) -> bool:
        """Whether it has waited for so long that it is refused instead (``refuse``)."""

    def refuse(self) -> None:
        """Answer that it was not done."""

    def go_on(self, time_s: float) -> bool:
        """Work for ``time_s`` or a little longer. Returns whether all is done."""

    def on_bug(self) -> None:
        """Answer the request after an exception, which is being handled."""

    def drop(self) -> None:
        """Release what the job holds: it will not be finished."""


class _Line:
    """The jobs of one client. ``used_s`` is the client's used time, with the start value that it was given."""

    __slots__ = ("client", "jobs", "used_s")

    def __init__(self, client: str, used_s: float) -> None:
        self.client = client
        self.used_s = used_s
        self.jobs: deque[Job] = deque()


class Turns:
    """The queue of one worker. ``call_soon`` and ``clock`` are those of its loop, by default the running one's."""

    __slots__ = ("_call_soon", "_clock", "_is_due", "_jobs", "_lines", "_number", "_order", "_used_s")

    def __init__(
        self, call_soon: Callable[[Callable[[], None]], object] | None = None, clock: Callable[[], float] = monotonic
    ) -> None:
        self._call_soon = call_soon
        self._clock = clock
        self._lines: dict[str, _Line] = {}
        self._order: list[tuple[float, int, _Line]] = []  # A heap of all lines except the one that is being served.
        self._number = 0  # Orders lines with the same time by arrival.
        self._used_s = 0.0  # The used time of the line that was served last.
        self._jobs = 0
        self._is_due = False

    def has_any(self) -> bool:
        """Whether a job waits."""
        return self._jobs > 0

    def take(self, client: str, job: Job, *, is_begun: bool = False) -> None:
        """Do this job of ``client`` in later turns. One that ``is_begun`` continues another job, and goes first."""
        line = self._lines.get(client)
        if line is None:
            line = self._lines[client] = _Line(client, self._used_s)
            self._put(line)
        if is_begun:
            line.jobs.appendleft(job)
        else:
            line.jobs.append(job)
        self._jobs += 1
        self._call()

    def _put(self, line: _Line) -> None:
        self._number += 1
        heappush(self._order, (line.used_s, self._number, line))

    def _call(self) -> None:
        if self._order and not self._is_due:
            self._is_due = True
            (self._call_soon or asyncio.get_running_loop().call_soon)(self._turn)

    def _turn(self) -> None:
        self._is_due = False
        line = self._next()
        if line is None:
            return
        job = line.jobs.popleft()
        began_s = self._clock()
        is_done = True
        try:
            is_done = job.go_on(TURN_S)
        except Exception:
            job.on_bug()
        finally:
            line.used_s += self._clock() - began_s
            if is_done:
                self._jobs -= 1
            else:
                line.jobs.insert(MAX_BEGUN - 1, job)
            self._put(line)
            self._call()

    def _next(self) -> _Line | None:
        """Return the line whose turn it is. A line without jobs keeps its place until its turn, so that a client that
        returns at once has no advantage; it is removed when the others have had as much time."""
        while self._order:
            self._used_s, _, line = heappop(self._order)
            self._let_go(line, 0)
            self._let_go(line, MAX_BEGUN)  # The oldest of the jobs that have not begun.
            if line.jobs:
                return line
            del self._lines[line.client]
        return None

    def _let_go(self, line: _Line, at: int) -> None:
        """Drop jobs that no client waits for, and refuse late ones, from the place ``at`` of the line on."""
        jobs = line.jobs
        while len(jobs) > at:
            job = jobs[at]
            if not job.is_wanted():
                end = job.drop
            elif job.is_late():
                end = job.refuse
            else:
                return
            del jobs[at]
            self._jobs -= 1
            try:
                end()
            except Exception:
                job.on_bug()
