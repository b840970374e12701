"""Keep the children of one generation in slots: fork them, watch their readiness, replace them after a death.

Place: master.loop → HERE → master.child.
Rules: a slot holds one child that serves or boots; a child that drains has left its slot. A worker that cannot boot is
not tried endlessly: exit code 5, no READY in time, or ``BOOT_TRIES`` deaths while booting is a failure. A companion is
always tried again, with the same back-off, because the workers serve without it.
Not here: handling orders (master.loop), judging a running worker (master.watch).
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator
from itertools import chain

from server.errors import EXIT_BOOT
from server.host import cores
from server.master import child as child_process
from server.master.backoff import Backoff, Deaths
from server.master.generation import WORKER, Generation, Role, WorkerContext
from server.master.sockets import Sockets
from server.master.watch import NEVER, Child
from server.shared.scoreboard import Scoreboard

BOOT_TRIES = 3  # A stray kill -9 during boot must not end the service; three deaths during boot must.
ROW_WAIT_S = 0.5  # The wait for a row when draining workers hold all of them.

_logger = logging.getLogger("master")


class Slot:
    """A place for one child; its back-off outlives the children. A companion's index is negative."""

    __slots__ = ("backoff", "child", "failed_boots", "index", "role", "start_at")

    def __init__(self, index: int, role: Role, backoff_max_s: float) -> None:
        self.index = index
        self.role = role
        self.backoff = Backoff(backoff_max_s)
        self.child: Child | None = None
        self.start_at = 0.0
        self.failed_boots = 0


class Fleet:
    """All slots of a generation. ``has_been_ready`` stays true once every slot was READY at the same time."""

    def __init__(
        self, number: int, generation: Generation, sockets: Sockets, board: Scoreboard, own: Sockets | None = None
    ) -> None:
        """``own`` are the sockets of companions, which are apart from those of the workers."""
        process = generation.config.process
        self.number = number
        self.generation = generation
        self.config = generation.config
        self.sockets = sockets
        self.own = own or Sockets([])
        self.has_been_ready = False
        self._board = board
        self._deaths = Deaths(process.deaths_in_window, process.window_s)
        self._slots: list[Slot] = []
        self._companions = [
            Slot(-index, role, process.backoff_max_s) for index, role in enumerate(generation.companions, 1)
        ]
        for _ in range(min(worker_count(generation), process.max_workers)):
            self.grow()

    def __str__(self) -> str:
        count = "1 worker" if len(self) == 1 else f"{len(self)} workers"
        own = [f"; {role.name} on {', '.join(self._own_of(role).labels())}" for role in self._roles() if role.listen]
        return f"generation {self.number}, {count} on {', '.join(self.sockets.labels())}{''.join(own)}"

    def __len__(self) -> int:
        return len(self._slots)

    def close(self, keep: Fleet | None = None) -> None:
        """Close the listening sockets, except those that the fleet ``keep`` has too."""
        self.sockets.close(keep=keep.sockets if keep else None)
        self.own.close(keep=keep.own if keep else None)

    def children(self) -> Iterator[Child]:
        """Yield workers and companions."""
        return (slot.child for slot in self._every() if slot.child is not None)

    def workers(self) -> Iterator[Child]:
        return (slot.child for slot in self._slots if slot.child is not None)

    def is_ready(self) -> bool:
        """Whether every slot holds a worker that takes connections."""
        return all(slot.child is not None and slot.child.is_ready() for slot in self._slots)

    def grow(self) -> bool:
        """Add a slot, up to process.max_workers. Returns whether one was added."""
        if len(self._slots) >= self.config.process.max_workers:
            return False
        role = Role(WORKER, self.generation.run_worker)
        self._slots.append(Slot(len(self._slots), role, self.config.process.backoff_max_s))
        return True

    def shrink(self) -> tuple[bool, Child | None]:
        """Remove a slot, never the last. Returns whether one was removed, and the worker that must now drain."""
        if len(self._slots) == 1:
            return False, None
        return True, self._slots.pop().child

    def fill(self, now: float, not_inherited: list[socket.socket]) -> None:
        """Fork a child for each empty slot whose time has come."""
        for slot in self._every():
            if slot.child is None and now >= slot.start_at:
                slot.child = self._fork(slot, now, not_inherited)

    def next_start(self) -> float:
        """Return the instant at which the next empty slot is to be filled."""
        return min((slot.start_at for slot in self._every() if slot.child is None), default=NEVER)

    def vacate(self, child: Child, now: float) -> None:
        """Empty the slot of a child that drains by itself. The slot is filled at once unless the child's life was
        short."""
        slot = self._slot_of(child)
        slot.child = None
        slot.start_at = now + slot.backoff.after_death(child.served_s(now))

    def bury(self, child: Child, exit_code: int, now: float) -> str | None:
        """Plan the replacement of a child that died in its slot. Returns the reason when it must not be replaced."""
        slot = self._slot_of(child)
        slot.child = None
        served_s = child.served_s(now)
        slot.start_at = now + slot.backoff.after_death(served_s)
        if slot in self._companions:
            return None
        slot.failed_boots = 0 if child.is_ready() else slot.failed_boots + 1
        if not child.is_ready():
            if exit_code == EXIT_BOOT or child.is_boot_late:
                return "a worker cannot boot"
            if slot.failed_boots == BOOT_TRIES:
                return f"a worker died {BOOT_TRIES} times before it was ready"
        if self._deaths.is_loop(now, served_s):
            process = self.config.process
            return f"{process.deaths_in_window} workers died within {process.window_s:g} s"
        return None

    def _roles(self) -> list[Role]:
        return [slot.role for slot in self._companions]

    def _own_of(self, role: Role) -> Sockets:
        return Sockets([entry for entry in self.own.entries if entry.spec in role.listen])

    def _every(self) -> Iterator[Slot]:
        return chain(self._slots, self._companions)

    def _slot_of(self, child: Child) -> Slot:
        return next(slot for slot in self._every() if slot.child is child)

    def _fork(self, slot: Slot, now: float, not_inherited: list[socket.socket]) -> Child | None:
        row = self._board.claim(slot.index, self.number)
        if row is None:
            slot.start_at = now + ROW_WAIT_S
            return None
        sockets, others = self.sockets.sockets(), self.own.sockets()
        if slot in self._companions:
            own = self._own_of(slot.role).sockets()
            sockets, others = own, [*sockets, *(one for one in others if one not in own)]
        not_inherited = [*not_inherited, *others]
        context = WorkerContext(slot.index, self.number, row, sockets, os.getpid(), slot.role.name)
        try:
            pid = child_process.fork(slot.role.run, context, not_inherited)
        except OSError as error:  # The host lacks processes or memory; a later attempt may succeed.
            _logger.error("cannot fork a %s: %s", slot.role.name, error.strerror)
            self._board.release(row)
            slot.start_at = now + max(ROW_WAIT_S, slot.backoff.after_death(0.0))
            return None
        row.pid = pid
        return Child(pid, row, slot.index, self.number, now + self.config.process.boot_s, slot.role.name)


def worker_count(generation: Generation) -> int:
    """Return the number of workers by the settings; ``auto`` is one for each core that this process may use."""
    workers = generation.config.workers
    return cores.usable() if workers == "auto" else workers
