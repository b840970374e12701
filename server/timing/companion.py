"""The life of a companion of the workers: its signals, its beat, the level of its log, and its master.

Place: the processes of admin, fetch, canary and plausibility.sampling → HERE → master.generation's context, shared.row.
Rules: TERM drains, INT and QUIT drain without waiting. A companion whose master is gone drains too.
Not here: what a companion does, and how it drains; the life of workers (worker.life).
"""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from server.log import Level
from server.shared.row import State
from server.timing.timers import Timer, hand_over, watch

if TYPE_CHECKING:
    from server.master.generation import WorkerContext


class CompanionLife:
    """``stop`` is set when the companion has to drain, ``hurry`` when it must not wait for that.
    ``is_hurried_without_master``: both are set when the master is gone."""

    def __init__(
        self,
        context: WorkerContext,
        beat_s: float,
        logger: logging.Logger,
        *,
        is_hurried_without_master: bool = False,
    ) -> None:
        self._context = context
        self._beat_s = beat_s
        self._logger = logger
        self._is_hurried_without_master = is_hurried_without_master
        self._level = Level()
        self.stop = asyncio.Event()
        self.hurry = asyncio.Event()

    def begin(self, *looks: Callable[[], None]) -> None:
        """Hear signals, and beat; ``looks`` are called with each beat. The loop must run."""
        loop = asyncio.get_running_loop()
        watch(loop)
        loop.add_signal_handler(signal.SIGTERM, self.stop.set)
        for hurry in (signal.SIGINT, signal.SIGQUIT):
            loop.add_signal_handler(hurry, self._stop_now)
        Timer(loop, self._beat_s, self._beat, self._look_at_level, *looks, self._look_at_master).start()

    async def work(self, working: Coroutine[Any, Any, None]) -> None:
        """Show that the companion is ready, and run its work until it has to drain. Raises what the work raises: a bug
        ends the process, which is then replaced."""
        self._context.row.set_state(State.READY)
        task = asyncio.create_task(working)
        told = asyncio.create_task(self.stop.wait())
        done, _ = await asyncio.wait([task, told], return_when=asyncio.FIRST_COMPLETED)
        self._context.row.set_state(State.DRAINING)
        for each in done:
            each.result()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    def _stop_now(self) -> None:
        self.hurry.set()
        self.stop.set()

    def _beat(self) -> None:
        hand_over(self._context.row.counters)
        self._context.row.beat()

    def _look_at_level(self) -> None:
        self._level.look(self._context.row.notices.level)

    def _look_at_master(self) -> None:
        if self._context.is_orphan() and not self.stop.is_set():
            self._logger.warning("the master is gone: this process ends")
            if self._is_hurried_without_master:
                self.hurry.set()
            self.stop.set()
