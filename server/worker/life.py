"""The life of a worker of any program: its signals, its beat, its lag, the level of its log, and its master.

Place: worker.process, eventstreams.worker → HERE → master.generation's context, shared.row.
Rules: TERM drains, INT and QUIT drain without waiting; a worker whose master is gone drains too. A function of the beat
that fails keeps no other from being called.
Not here: what a program serves, and how it drains.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from server.log import Level
from server.shared.row import State
from server.timing.timers import Timer, watch

if TYPE_CHECKING:
    from server.master.generation import WorkerContext

LAG_BEATS: Final = 20  # 10 s of beats: a scrape every 10 s sees every stall.


class WorkerLife:
    """``stop`` is set when the worker has to drain; ``lags_s`` are the seconds by which the last beats came late."""

    def __init__(self, context: WorkerContext, beat_s: float, logger: logging.Logger) -> None:
        self._context = context
        self._row = context.row
        self._beat_s = beat_s
        self._logger = logger
        self._is_hurried = False
        self._level = Level()
        self._beats: Timer | None = None
        self.stop = asyncio.Event()
        self.lags_s = deque([0.0], LAG_BEATS)

    def hear_signals(self, loop: asyncio.AbstractEventLoop) -> None:
        """Drain at a signal, and count the failures of callbacks of the loop."""
        watch(loop)
        loop.add_signal_handler(signal.SIGTERM, self.stop.set)
        for hurry in (signal.SIGINT, signal.SIGQUIT):
            loop.add_signal_handler(hurry, self.stop_now)

    def stop_now(self) -> None:
        """Drain without waiting."""
        self._is_hurried = True
        self.stop.set()

    def drain_s(self, seconds: float) -> float:
        """Return how long the drain may take, of the ``seconds`` that the settings give."""
        return 0.0 if self._is_hurried else seconds

    def begin_to_beat(self, loop: asyncio.AbstractEventLoop, *functions: Callable[[], object]) -> None:
        """Call these functions on every beat, the first time at once."""
        own = (self._look_at_level, self._look_at_master)
        self._beats = Timer(loop, self._beat_s, self._note_lag, *functions, *own)
        self._beats.start()

    def unready(self) -> str | None:
        """Return why the worker is not ready; None if it is."""
        state = self._row.state
        return None if state is State.READY else state.name.lower()

    def _note_lag(self) -> None:
        """Note by how much a beat came late: any other timer would have waited as long."""
        assert self._beats is not None
        self.lags_s.append(max(0.0, asyncio.get_running_loop().time() - self._beats.due_s))

    def _look_at_level(self) -> None:
        self._level.look(self._row.notices.level)

    def _look_at_master(self) -> None:
        if self._context.is_orphan() and not self.stop.is_set():
            self._logger.warning("the master is gone: draining")
            self.stop.set()
