"""Follow the state of one child, and find out whether it must be aborted.

Place: scoreboard → HERE → master.fleet. The caller passes the time; only ``signal_it`` touches the process.
Rules: every state has a deadline, an instant. Past it the child gets ABRT, which dumps its stacks, and ``abort_s``
later KILL, which also ends a stopped one. The age of a beat counts only from when the master itself last woke late:
after a freeze of the whole machine all children are late and none is stuck.
Not here: replacing it (master.fleet).
"""

from __future__ import annotations

import contextlib
import os
import signal

from server.config.settings import ProcessSettings
from server.master.generation import WORKER
from server.shared.row import State, WorkerRow

NEVER = float("inf")
DRAIN_GRACE_S = 2.0  # The worker keeps drain_s itself, from when it reads the signal; this is its time to exit.
IGNORED_AFTER_BEATS = 3  # Siblings wait 1 ms for a worker with fewer connections, but not for one this late.


class Child:
    """A child from fork to reap: a worker, or a companion."""

    __slots__ = (
        "boot_by", "drain_by", "generation", "is_boot_late", "kill_at", "name", "pid", "ready_at", "row", "slot",
    )  # fmt: skip

    def __init__(
        self, pid: int, row: WorkerRow, slot: int, generation: int, boot_by: float, name: str = WORKER
    ) -> None:
        self.name = name
        self.pid = pid
        self.row = row
        self.slot = slot
        self.generation = generation
        self.boot_by = boot_by
        self.drain_by = NEVER
        self.kill_at = NEVER
        self.ready_at: float | None = None
        self.is_boot_late = False

    def __str__(self) -> str:
        place = f"slot {self.slot}, " if self.name == WORKER else ""
        return f"{self.name} {self.pid} ({place}generation {self.generation})"

    def is_ready(self) -> bool:
        return self.ready_at is not None

    def note_state(self, now: float) -> State:
        """Read the state, and note the instant at which READY was first seen."""
        state = self.row.state
        if self.ready_at is None and state in (State.READY, State.DRAINING):
            self.ready_at = now
            self.boot_by = NEVER
        return state

    def cause_of_death(self, status: int) -> str:
        """Return one of notices.DEATHS, for a child that ended without an order."""
        if self.kill_at != NEVER:
            return "not_booted" if self.is_boot_late else "stuck"
        if not self.is_ready():
            return "not_booted"
        return "killed" if os.WIFSIGNALED(status) else "crashed"

    def served_s(self, now: float) -> float:
        return now - self.ready_at if self.ready_at is not None else 0.0

    def signal_it(self, number: signal.Signals) -> None:
        """Send a signal. The child is not reaped yet, so the pid is its own, unless a bug kept it from being buried."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def drain(self, now: float, drain_s: float, last_call: int = 0) -> None:
        """Order the child to drain; ``last_call`` names the sockets whose queues no other worker will empty."""
        self.row.set_last_call(last_call)
        self.boot_by = NEVER
        self.drain_by = min(self.drain_by, now + drain_s + DRAIN_GRACE_S)
        self.signal_it(signal.SIGTERM)

    def end(self, now: float, abort_s: float) -> None:
        """Order the child to end now."""
        self.kill_at = min(self.kill_at, now + abort_s)
        self.signal_it(signal.SIGINT)

    def abort(self, now: float, abort_s: float) -> None:
        self.kill_at = now + abort_s
        self.boot_by = self.drain_by = NEVER
        self.signal_it(signal.SIGABRT)

    def next_deadline(self) -> float:
        return min(self.boot_by, self.drain_by, self.kill_at)


def complaint(child: Child, process: ProcessSettings, now: float, excused_at: float) -> str | None:
    """Return why this child must be aborted, or None. Also hides a late worker's load from its siblings."""
    if child.kill_at != NEVER:
        return None  # It is already ending.
    if now >= child.boot_by:
        child.is_boot_late = True
        return f"is not ready after {process.boot_s:g} s"
    if now >= child.drain_by:
        return "has not drained in time"
    if not child.is_ready():
        return None  # It may compile for longer than late_s; boot_by bounds it.
    late_s = now - max(child.row.beat_ns / 1e9, excused_at)
    if late_s > IGNORED_AFTER_BEATS * process.beat_s:
        child.row.ignore_load()
    return f"has given no beat for {late_s:.1f} s" if late_s >= process.late_s else None
