"""What one reading of the settings yields, and what a worker is told about itself.

Place: the serve command → HERE → master.loop (parent) and the worker (child).
Rule: a generation is made whole before any worker of it is forked; workers get it by fork, nothing is sent later.
Not here: how settings are read (config), what a worker does (worker).
"""

from __future__ import annotations

import os
import socket
from typing import Protocol

from server.config.settings import Config
from server.scoreboard import ALL_SOCKETS, Row


class WorkerContext:
    """A worker's place in the service."""

    __slots__ = ("generation", "master_pid", "row", "slot", "sockets")

    def __init__(self, slot: int, generation: int, row: Row, sockets: list[socket.socket], master_pid: int) -> None:
        self.slot = slot
        self.generation = generation
        self.row = row
        self.sockets = sockets
        self.master_pid = master_pid

    def is_orphan(self) -> bool:
        """True when the master is gone. To be asked on every beat; the worker then drains and leaves.

        Nobody follows, so what waits in the queues is now this worker's to answer.
        """
        if os.getppid() == self.master_pid:
            return False
        self.row.set_last_call(ALL_SOCKETS)
        return True


class Generation(Protocol):
    """One reading of the settings and everything that was prepared from it before the fork."""

    config: Config

    def run_worker(self, context: WorkerContext) -> int:
        """Be a worker, in the child. Returns its exit code: 0 when drained, 5 when it cannot boot."""
