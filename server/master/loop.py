"""The master: start the workers, then wait for a signal or a deadline and do what it asks, until all are gone.

Place: the serve command → HERE → master.succession, master.fleet. Its signals are in master.signals, its deadlines in
master.watch.
Rules: one thread, one wait (``await_signal``), no client traffic.
Not here: how one generation follows another (master.succession), what a worker does (worker).
"""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Callable, MutableMapping

from server.errors import EXIT_BOOT, EXIT_DONE, EXIT_FOUND
from server.host import stdio
from server.log import Level
from server.master import activation, signals
from server.master.generation import WORKER, Generation
from server.master.notify import Notifier
from server.master.signals import Order
from server.master.succession import Succession
from server.master.watch import DRAIN_GRACE_S, Child, complaint
from server.shared.row import ALL_SOCKETS, State
from server.shared.scoreboard import Scoreboard
from server.timing import timers

ROWS = 768  # Three times the maximum of workers in the settings: those that serve, their successors, and draining ones.
BOOT_TICK_S = 0.02  # READY is only visible in shared memory, so the master looks this often while a child boots.
TICK_S = 0.25
OVERSLEPT_S = 1.0  # A master that wakes this much too late was frozen, and so were the children whose beats are old.

_logger = logging.getLogger("master")


class Master:
    """One service. ``load`` reads the settings, now and on every HUP, and raises PenstockError when they are bad.

    ``on_ready`` is told the generation and its addresses each time that one begins to serve.
    """

    def __init__(
        self,
        load: Callable[[], Generation],
        environ: MutableMapping[str, str] = os.environ,
        on_ready: Callable[[Generation, list[str]], None] | None = None,
    ) -> None:
        self._on_ready = on_ready
        self._notifier = Notifier(environ)
        self._environ = environ
        self._board = Scoreboard(ROWS)
        self._level = Level()
        self._succession = Succession(load, self._board, self._notifier)
        self._is_reload_due = False
        self._is_stopping = False
        self._exit_code = EXIT_DONE
        self._is_alone = False  # True when the kernel says that no child is left.
        self._deadline = 0.0
        self._looked_at = 0.0
        self._excused_at = 0.0

    def run(self) -> int:
        """Serve until a signal or a failure ends it. Returns the exit code of the process.

        Raises SettingsError or BindError before the first worker is forked.
        """
        signals.block()
        self._succession.open(activation.take(self._environ))
        _logger.info("starting: %s", self._succession.current)
        self._looked_at = time.monotonic()
        self._obey_early()
        while not (self._is_stopping and (self._is_alone or not any(self._succession.children()))):
            self._turn()
        self._notifier.close()
        _logger.info("stopped: exit code %d", self._exit_code)
        return self._exit_code

    def _turn(self) -> None:
        """Look after all children, then wait for the next signal or deadline and obey it."""
        for step in (self._look, self._fill, self._watch, self._settle):
            self._survive(step)
        self._deadline = time.monotonic() + TICK_S
        self._survive(self._set_deadline)
        order = signals.await_signal(self._deadline)
        if order is not None and order is not Order.REAP:
            self._survive(self._obey, order)
        self._survive(self._reap)

    def _survive(self, step: Callable[..., object], *arguments: object) -> None:
        """Run one step and log its errors. A bug, or a lack of the host, must not end the master, because nothing else
        looks after the children."""
        try:
            step(*arguments)
        except Exception:
            timers.failed(getattr(step, "__qualname__", "a step"))

    def _look(self) -> None:
        """Apply the log level that the admin process asks for, and publish the master's own counts."""
        self._level.look(self._board.notices.level)
        stdio.flush()
        self._board.notices.note_own(stdio.dropped(), timers.failures())

    def _fill(self) -> None:
        now = time.monotonic()
        if not self._is_stopping:
            for fleet in self._succession.fleets():
                fleet.fill(now, self._succession.not_for(fleet))

    # Orders.

    def _obey_early(self) -> None:
        """Obey orders that came while the settings were read. A TERM ends the service before any worker is forked."""
        while (order := signals.await_signal(0.0)) is not None:
            if order is not Order.REAP:
                self._obey(order)

    def _obey(self, order: Order) -> None:
        if order is Order.DRAIN:
            self._stop(EXIT_DONE, "told to drain")
        elif order is Order.END:
            self._end()
        elif self._is_stopping:
            return
        elif order is Order.RELOAD:
            self._is_reload_due = True  # A reload under way is finished first; several orders make one reload.
        elif order is Order.MORE:
            self._grow()
        elif order is Order.FEWER:
            self._shrink()

    def _stop(self, exit_code: int, reason: str) -> None:
        """Drain all children. The workers answer the connections in the queues, and for that the master's own
        descriptors must be closed."""
        if self._is_stopping:
            return
        self._is_stopping = True
        self._exit_code = exit_code
        level = logging.INFO if exit_code == EXIT_DONE else logging.ERROR
        config = self._succession.current.config
        _logger.log(level, "stopping: %s; drain_s is %g", reason, config.drain_s)
        self._notifier.stopping(f"Draining: {reason}")
        self._succession.close()
        now = time.monotonic()
        for child in self._succession.children():
            child.drain(now, config.drain_s, ALL_SOCKETS)

    def _end(self) -> None:
        self._stop(EXIT_DONE, "told to end now")
        now = time.monotonic()
        for child in self._succession.children():
            child.end(now, self._succession.current.config.process.abort_s)

    def _grow(self) -> None:
        fleet = self._succession.newest()
        if fleet.grow():
            _logger.info("one worker added: %d", len(fleet))
        else:
            _logger.warning("no worker added: process.max_workers is %d", fleet.config.process.max_workers)

    def _shrink(self) -> None:
        fleet = self._succession.newest()
        was_one_fewer, child = fleet.shrink()
        if not was_one_fewer:
            _logger.warning("no worker removed: one must remain")
            return
        _logger.info("one worker removed: %d", len(fleet))
        if child is not None:
            self._succession.let_go(child, fleet)

    # Looking after the workers.

    def _watch(self) -> None:
        """Note children that became ready or drain by themselves; abort those past a deadline, kill those that did not
        end by that."""
        now = time.monotonic()
        if now - self._looked_at > TICK_S + OVERSLEPT_S:
            self._excused_at = now
        self._looked_at = now
        for fleet in self._succession.fleets():
            for child in list(fleet.children()):
                if child.note_state(now) is State.DRAINING and not self._is_stopping:
                    _logger.info("%s drains without an order of the master", child)
                    fleet.vacate(child, now)
                    child.drain_by = now + fleet.config.drain_s + DRAIN_GRACE_S
                    self._succession.leaving.append(child)
        process = self._succession.current.config.process
        for child in self._succession.children():
            reason = complaint(child, process, now, self._excused_at)
            if reason is not None:
                _logger.error("%s %s: aborting it, its stack follows", child, reason)
                child.abort(now, process.abort_s)
            elif now >= child.kill_at:
                _logger.error("%s has not ended: killing it", child)
                child.kill_at = now + process.abort_s
                child.signal_it(signal.SIGKILL)

    def _settle(self) -> None:
        """Log that a generation has become ready; begin a reload that is due."""
        if self._is_stopping:
            return
        succession = self._succession
        fleet = succession.newest()
        if not fleet.has_been_ready and fleet.is_ready():
            fleet.has_been_ready = True
            if fleet is succession.incoming:
                succession.take_over(fleet)
                self._board.notices.level = ""  # Log settings are read again, too.
                self._level.look("")
            _logger.info("ready: %s", fleet)
            self._notifier.ready(f"Ready: {fleet}")
            if self._on_ready is not None:
                self._on_ready(fleet.generation, fleet.sockets.labels())
        if self._is_reload_due and succession.incoming is None and succession.current.has_been_ready:
            self._is_reload_due = False
            succession.reload()

    def _reap(self) -> None:
        """Reap every child that has ended, in any state."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                self._is_alone = True
                return
            self._is_alone = False
            if pid == 0:
                return
            for child in list(self._succession.children()):
                if child.pid == pid:
                    self._bury(child, status)

    def _bury(self, child: Child, status: int) -> None:
        now = time.monotonic()
        is_draining = child.note_state(now) is State.DRAINING
        if stacks := self._board.stacks.left_by(child.row.index):
            _logger.error("%s was ended by a fatal signal: the stacks of its threads", child, extra={"stacks": stacks})
        self._board.release(child.row)
        how = signals.describe_end(status)
        is_told = self._is_stopping or is_draining or child in self._succession.leaving
        if (
            self._is_stopping
            and status != 0
            and child.name == WORKER
            and child.is_ready()
            and self._exit_code == EXIT_DONE
        ):
            _logger.error("%s did not drain: %s. Events that it held may be lost", child, how)
            self._exit_code = EXIT_FOUND
        if not is_told:
            self._board.notices.note_death(child.cause_of_death(status))
        if child in self._succession.leaving:
            self._succession.leaving.remove(child)
            _logger.info("%s has left: %s", child, how)
            return
        fleet = next(fleet for fleet in self._succession.fleets() if child in fleet.children())
        if self._is_stopping or (is_draining and status == 0):
            _logger.info("%s has left: %s", child, how)
        else:
            _logger.error("%s died: %s", child, how)
        trouble = fleet.bury(child, os.waitstatus_to_exitcode(status), now)
        if trouble is None or self._is_stopping:
            return
        if fleet is self._succession.incoming:
            self._succession.refuse(f"{trouble} ({how})")
        elif not (fleet.has_been_ready and any(sibling.is_ready() for sibling in fleet.workers())):
            self._stop(EXIT_BOOT, f"{trouble} ({how})")
        # Otherwise siblings serve: the slot backs off, and the log holds the reason.

    def _set_deadline(self) -> None:
        """Set the instant of the next turn, if no signal comes before."""
        now = time.monotonic()
        children = list(self._succession.children())
        is_booting = any(not child.is_ready() for child in children)
        instants = [now + (BOOT_TICK_S if is_booting else TICK_S), self._notifier.ping(now)]
        instants += [child.next_deadline() for child in children]
        if not self._is_stopping:
            instants += [fleet.next_start() for fleet in self._succession.fleets()]
        self._deadline = min(instants)
