"""Timers and tasks of a process, which no exception ends.

Place: HERE is used by every module with a timer or a task, in every process.
Rules: an unexpected exception in a timer or a task is counted and logged with its stack (at most once in a while for
each), and the timer or task runs again at the next time. ``Timer`` does this for work at a fixed interval; tasks with
intervals of their own call ``failed`` where they catch; ``watch`` covers all other callbacks of a loop. The count is a
metric with an alert. Timers fire at whole multiples of their intervals on the clock of the loop, so that those whose
intervals divide one another fire together: to wake an idle process costs more than what is then done.
Not here: exceptions in a request, which has to be answered (http.server), the cells for the count (row, notices).
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from server.host import stdio
from server.log import Limited
from server.shared.row import ProcessCount

if TYPE_CHECKING:
    import asyncio

_logger = logging.getLogger("timers")
_limited = Limited(_logger)


class _Failures:
    """The number of failures in this process since its fork."""

    count = 0


def failed(name: str) -> None:
    """Count and log the exception being handled, which has ended one run of ``name``. Names are constants of the
    code."""
    _Failures.count += 1
    _limited.warning(
        name, "%s failed and will run again: this is a bug, or the host lacks a resource\n%s", name, _stack()
    )


def _stack() -> str:
    return traceback.format_exc().rstrip()


def failures() -> int:
    """Return the number of failures in this process."""
    return _Failures.count


def begin_child() -> None:
    """Start counting from 0 after a fork: the parent reports its own count."""
    _Failures.count = 0


def hand_over(counters: list[int]) -> None:
    """Write the counts that every process has into its row of the scoreboard. Called on its beat."""
    stdio.flush()
    counters[ProcessCount.LOG_LINES_DROPPED] = stdio.dropped()
    counters[ProcessCount.TASK_FAILURES] = failures()


class _Handle(Protocol):
    def cancel(self) -> None: ...


class Loop(Protocol):
    """The part of an event loop that a timer uses."""

    def time(self) -> float: ...
    def call_later(self, delay: float, callback: Callable[[], object], /) -> _Handle: ...


def to_multiple(now_s: float, every_s: float) -> float:
    """Return the seconds from ``now_s`` to the next multiple of an interval. Both are taken in whole milliseconds,
    uvloop's grain: a fraction would be rounded to 0 or to another instant."""
    now_ms, every_ms = round(now_s * 1000), max(1, round(every_s * 1000))
    return (every_ms - now_ms % every_ms) / 1000


class Timer:
    """Calls ``functions`` in order, at once and then at every multiple of ``every_s`` until ``cancel``. A failure of
    one affects neither the others nor the next time. ``due_s`` is when it is next called, or was due while it is."""

    __slots__ = ("_every_s", "_functions", "_handle", "_is_calling", "_is_over", "_loop", "due_s")

    def __init__(self, loop: Loop, every_s: float, *functions: Callable[[], object]) -> None:
        """``functions`` must be bound methods, not lambdas: their names go into the log."""
        self._loop = loop
        self._every_s: float | None = every_s
        self._functions = functions
        self._handle: _Handle | None = None
        self._is_calling = self._is_over = False
        self.due_s = loop.time()

    def start(self) -> None:
        """Call the functions now, and schedule the next time."""
        self._is_calling = True
        for function in self._functions:
            try:
                function()
            except Exception:  # The next time must come after any exception.
                failed(getattr(function, "__qualname__", "a timer"))
        self._is_calling = False
        if not self._is_over:
            self._schedule()

    def pace(self, every_s: float | None) -> None:
        """Call the functions at every multiple of ``every_s`` from now on; None: not until this is called again. One of
        them may call it."""
        self._every_s = every_s
        if not self._is_over and not self._is_calling:
            self._schedule()

    def hurry(self, every_s: float) -> None:
        """Call the functions now, and then at every multiple of ``every_s``. None of them may call this."""
        self._every_s = every_s
        if not self._is_over:
            self.start()

    def _schedule(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
        if self._every_s is None:
            return
        now_s = self._loop.time()
        delay_s = to_multiple(now_s, self._every_s)
        self.due_s = round(now_s, 3) + delay_s
        self._handle = self._loop.call_later(delay_s, self.start)

    def cancel(self) -> None:
        """Stop: the functions are not called again."""
        self._is_over = True
        if self._handle is not None:
            self._handle.cancel()


def watch(loop: asyncio.AbstractEventLoop) -> None:
    """Count and log the exceptions of callbacks and tasks of the loop that do not catch them themselves."""
    loop.set_exception_handler(_on_exception)


def _on_exception(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    error = context.get("exception")
    if not isinstance(error, Exception):
        loop.default_exception_handler(context)
        return
    _Failures.count += 1
    stack = "".join(traceback.format_exception(error)).rstrip()
    _limited.warning("loop", "a callback or a task failed: %s\n%s", context.get("message", ""), stack)
