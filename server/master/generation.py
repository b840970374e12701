"""Declare the interface between the master and a generation, and the context that a child is given.

Place: the serve command → HERE → master.loop (parent) and the worker (child).
Rule: a generation is complete before any child of it is forked; children get it by fork.
Not here: how settings are read (config), what a worker does (worker), what a companion does (fetch.process).
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from server.config.settings import Config
from server.shared.row import ALL_SOCKETS, WorkerRow

WORKER = "worker"


class WorkerContext:
    """The place of a worker, or of a companion, in the service. A companion's slot is negative, and its sockets are
    those of its role."""

    __slots__ = ("generation", "master_pid", "name", "row", "slot", "sockets")

    def __init__(
        self,
        slot: int,
        generation: int,
        row: WorkerRow,
        sockets: list[socket.socket],
        master_pid: int,
        name: str = WORKER,
    ) -> None:
        self.name = name
        self.slot = slot
        self.generation = generation
        self.row = row
        self.sockets = sockets
        self.master_pid = master_pid

    def is_orphan(self) -> bool:
        """Whether the master is gone. A worker asks on every beat, and then drains and exits.

        No worker follows, so this one must answer the connections that wait in the queues.
        """
        if os.getppid() == self.master_pid:
            return False
        self.row.set_last_call(ALL_SOCKETS)
        return True


class Role(NamedTuple):
    """The role of a child: its name in the log, and the function that it runs, which returns the exit code. ``listen``
    are addresses of the role, whose sockets no other child is given."""

    name: str
    run: Callable[[WorkerContext], int]
    listen: tuple[str, ...] = ()


class Generation(Protocol):
    """One reading of the settings and everything that was prepared from it before the fork.

    ``companions`` are children that a generation has once, next to its workers. They beat, drain and are replaced as
    workers are, but the master does not wait for them: a generation serves without them, and their deaths end nothing.
    """

    config: Config

    @property
    def companions(self) -> Sequence[Role]: ...

    def run_worker(self, context: WorkerContext) -> int:
        """Be a worker, in the child. Returns its exit code: 0 when drained, 5 when it cannot boot."""

    def adopt(self, newer: object) -> bool:
        """Take over the changes of a newer generation if running workers can be given all of them. Returns whether they
        can."""

    def close(self) -> None:
        """Release everything that the master holds for children, when no more of them will be forked."""
