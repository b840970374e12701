"""The master: start the workers, then wait for a signal or a deadline and do what it asks, until all are gone.

Place: the serve command → HERE → master.fleet. Its signals are in master.signals, its deadlines in master.watch.
Rules: one thread, one wait (``await_signal``), no client traffic. A reload replaces everything or nothing: the new
sockets are bound and every new worker is READY before the first old one drains; otherwise the old ones stay. What
running workers can be given (``Generation.adopt``) replaces none of them.
Not here: what a worker does (worker), how settings are read (config).
"""

from __future__ import annotations

import gc
import logging
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator, MutableMapping
from itertools import chain

from server.errors import EXIT_BOOT, EXIT_DONE, EXIT_FOUND, PenstockError
from server.log import Level
from server.master import activation, signals, sockets
from server.master.fleet import Fleet
from server.master.generation import WORKER, Generation
from server.master.notify import Notifier
from server.master.signals import Order
from server.master.watch import DRAIN_GRACE_S, NEVER, Child, complaint
from server.scoreboard import ALL_SOCKETS, Scoreboard, State

ROWS = 768  # Three times the most workers that settings allow: serving, their successors, and some still draining.
BOOT_TICK_S = 0.02  # READY shows in shared memory alone; someone who boots is looked at this often.
TICK_S = 0.25
OVERSLEPT_S = 1.0  # Woken this much too late, the master was frozen, and so was everybody whose beat is old.

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
        self._load = load
        self._on_ready = on_ready
        self._notifier = Notifier(environ)
        self._environ = environ
        self._board = Scoreboard(ROWS)
        self._level = Level()
        self._incoming: Fleet | None = None
        self._leaving: list[Child] = []
        self._is_activated = False
        self._is_reload_due = False
        self._is_stopping = False
        self._exit_code = EXIT_DONE
        self._looked_at = 0.0
        self._excused_at = 0.0

    def run(self) -> int:
        """Serve until a signal or a failure ends it; the exit code of the process.

        Raises SettingsError or BindError before the first worker is forked.
        """
        signals.block()
        generation = self._prepare()
        activated = activation.take(self._environ)
        self._is_activated = activated is not None
        http = generation.config.http
        held = activated or sockets.bind(http.listen, http.backlog)
        self._current = Fleet(1, generation, held, self._board, _bind_own(generation))
        _logger.info("starting: %s", self._current)
        self._looked_at = time.monotonic()
        self._obey_early()
        while not (self._is_stopping and not any(self._children())):
            self._turn()
        self._notifier.close()
        _logger.info("stopped: exit code %d", self._exit_code)
        return self._exit_code

    def _turn(self) -> None:
        """Look at everybody, then wait for the next signal or deadline and obey it."""
        now = time.monotonic()
        self._level.look(self._board.notices.level)
        if not self._is_stopping:
            for fleet in self._fleets():
                fleet.fill(now, self._not_for(fleet))
        self._watch(now)
        self._settle()
        order = signals.await_signal(self._next_deadline())
        if order is not None and order is not Order.REAP:
            self._obey(order)
        self._reap()

    # Orders.

    def _obey_early(self) -> None:
        """What came while the settings were read. TERM then ends the service before the first worker is forked."""
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
            self._is_reload_due = True  # One that is under way is finished first; several make one.
        elif order is Order.MORE:
            self._grow()
        elif order is Order.FEWER:
            self._shrink()

    def _stop(self, exit_code: int, reason: str) -> None:
        """Drain everybody. The workers answer what the queues hold; our own descriptors must be closed by then."""
        if self._is_stopping:
            return
        self._is_stopping = True
        self._exit_code = exit_code
        level = logging.INFO if exit_code == EXIT_DONE else logging.ERROR
        _logger.log(level, "stopping: %s; drain_s is %g", reason, self._current.config.drain_s)
        self._notifier.stopping(f"Draining: {reason}")
        if self._incoming is not None:
            self._incoming.close(keep=self._current)
        self._current.close()
        now = time.monotonic()
        for child in self._children():
            child.drain(now, self._current.config.drain_s, ALL_SOCKETS)

    def _end(self) -> None:
        self._stop(EXIT_DONE, "told to end now")
        now = time.monotonic()
        for child in self._children():
            child.end(now, self._current.config.process.abort_s)

    def _grow(self) -> None:
        fleet = self._newest()
        if fleet.grow():
            _logger.info("one worker more: %d", len(fleet))
        else:
            _logger.warning("no worker more: process.max_workers is %d", fleet.config.process.max_workers)

    def _shrink(self) -> None:
        fleet = self._newest()
        was_one_fewer, child = fleet.shrink()
        if not was_one_fewer:
            _logger.warning("no worker fewer: one must remain")
            return
        _logger.info("one worker fewer: %d", len(fleet))
        if child is not None:
            self._let_go(child, fleet)

    # Reload.

    def _reload(self) -> None:
        """Read the settings and start their workers beside the old ones."""
        self._is_reload_due = False
        _logger.info("reloading")
        self._notifier.reloading()
        current = self._current
        try:
            generation = self._prepare()
            if current.generation.adopt(generation):
                generation.close()
                self._board.notices.note_reload("adopted")
                _logger.info("reloaded: only streams have changed, and the workers take them up")
                self._notifier.ready(f"Ready: {current}")
                return
            http = generation.config.http
            own = _bind_own(generation, current.own)
            held = current.sockets
            if not self._is_activated:
                try:
                    held = sockets.bind(http.listen, http.backlog, held)
                except PenstockError:
                    own.close(keep=current.own)
                    raise
        except PenstockError as error:
            self._refuse(str(error))
        except Exception:  # A bug in reading new settings must not take the old ones down.
            _logger.exception("unexpected error while reading the settings")
            self._refuse("unexpected error, see above")
        else:
            self._incoming = Fleet(current.number + 1, generation, held, self._board, own)

    def _refuse(self, reason: str) -> None:
        """Keep the old workers; drain those of the new ones that there are."""
        fleet, self._incoming = self._incoming, None
        if fleet is not None:
            fleet.close(keep=self._current)
            for child in list(fleet.children()):
                self._let_go(child, fleet, fleet.sockets.missing_in(self._current.sockets))
            fleet.generation.close()
        self._board.notices.note_reload("refused")
        _logger.error("reload refused, the old settings stay in force: %s", reason)
        self._notifier.ready(f"Reload refused: {reason.splitlines()[0]}")

    def _take_over(self, fleet: Fleet) -> None:
        """Every new worker is READY: the old ones drain, and addresses that are gone from the settings are closed."""
        old, self._current, self._incoming = self._current, fleet, None
        self._board.notices.note_reload("done")
        self._board.notices.level = ""  # Log settings are read again, too.
        self._level.look("")
        old.close(keep=fleet)
        for child in list(old.children()):
            self._let_go(child, old, old.sockets.missing_in(fleet.sockets))
        old.generation.close()

    # Looking after the workers.

    def _watch(self, now: float) -> None:
        """Note who became ready or drains by itself; abort who is past a deadline, kill who did not heed that."""
        if now - self._looked_at > TICK_S + OVERSLEPT_S:
            self._excused_at = now
        self._looked_at = now
        for fleet in self._fleets():
            for child in list(fleet.children()):
                if child.note_state(now) is State.DRAINING and not self._is_stopping:
                    _logger.info("%s drains by itself", child)
                    fleet.vacate(child, now)
                    child.drain_by = now + fleet.config.drain_s + DRAIN_GRACE_S
                    self._leaving.append(child)
        process = self._current.config.process
        for child in self._children():
            reason = complaint(child, process, now, self._excused_at)
            if reason is not None:
                _logger.error("%s %s: aborting it, its stack follows", child, reason)
                child.abort(now, process.abort_s)
            elif now >= child.kill_at:
                _logger.error("%s is still there: killing it", child)
                child.kill_at = now + process.abort_s
                child.signal_it(signal.SIGKILL)

    def _settle(self) -> None:
        """Say it when a generation has become ready; begin a reload that is due."""
        if self._is_stopping:
            return
        fleet = self._newest()
        if not fleet.has_been_ready and fleet.is_ready():
            fleet.has_been_ready = True
            if fleet is self._incoming:
                self._take_over(fleet)
            _logger.info("ready: %s", fleet)
            self._notifier.ready(f"Ready: {fleet}")
            if self._on_ready is not None:
                self._on_ready(fleet.generation, fleet.sockets.labels())
        if self._is_reload_due and self._incoming is None and self._current.has_been_ready:
            self._reload()

    def _reap(self) -> None:
        """Take leave of every child that has ended, in whatever state that found it."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            for child in list(self._children()):
                if child.pid == pid:
                    self._bury(child, status)

    def _bury(self, child: Child, status: int) -> None:
        now = time.monotonic()
        is_draining = child.note_state(now) is State.DRAINING
        self._board.release(child.row)
        how = signals.describe_end(status)
        is_told = self._is_stopping or is_draining or child in self._leaving
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
        if child in self._leaving:
            self._leaving.remove(child)
            _logger.info("%s has left: %s", child, how)
            return
        fleet = next(fleet for fleet in self._fleets() if child in fleet.children())
        if self._is_stopping or (is_draining and status == 0):
            _logger.info("%s has left: %s", child, how)
        else:
            _logger.error("%s died: %s", child, how)
        trouble = fleet.bury(child, os.waitstatus_to_exitcode(status), now)
        if trouble is None or self._is_stopping:
            return
        if fleet is self._incoming:
            self._refuse(f"{trouble} ({how})")
        elif not (fleet.has_been_ready and any(sibling.is_ready() for sibling in fleet.workers())):
            self._stop(EXIT_BOOT, f"{trouble} ({how})")
        # Otherwise siblings serve: the slot backs off, and what is wrong with it is in the log.

    def _let_go(self, child: Child, fleet: Fleet, last_call: int = 0) -> None:
        """Order a worker to drain that is no longer in a slot."""
        child.drain(time.monotonic(), fleet.config.drain_s, last_call)
        self._leaving.append(child)

    # Small questions.

    def _prepare(self) -> Generation:
        """Read the settings, and keep what that made out of the collector's way: workers share its pages."""
        gc.unfreeze()
        generation = self._load()
        gc.collect()
        gc.freeze()
        return generation

    def _fleets(self) -> list[Fleet]:
        return [self._current] if self._incoming is None else [self._current, self._incoming]

    def _newest(self) -> Fleet:
        return self._incoming or self._current

    def _children(self) -> Iterator[Child]:
        return chain(self._leaving, *(fleet.children() for fleet in self._fleets()))

    def _not_for(self, fleet: Fleet) -> list[socket.socket]:
        """Descriptors of ours that a worker of this fleet must not keep."""
        mine = fleet.sockets.sockets()
        every = chain(*(other.sockets.sockets() for other in self._fleets()))
        own = chain(*(other.own.sockets() for other in self._fleets() if other is not fleet))
        not_its = [one for one in (*every, *own) if one not in mine and one not in fleet.own.sockets()]
        return [*self._notifier.sockets, *not_its]

    def _next_deadline(self) -> float:
        now = time.monotonic()
        children = list(self._children())
        is_booting = any(not child.is_ready() for child in children)
        instants = [now + (BOOT_TICK_S if is_booting else TICK_S), self._notifier.ping(now)]
        instants += [child.next_deadline() for child in children]
        if not self._is_stopping:
            instants += [fleet.next_start() for fleet in self._fleets()]
        return min(instants, default=NEVER)


def _bind_own(generation: Generation, held: sockets.Sockets | None = None) -> sockets.Sockets:
    """The sockets of a generation's companions."""
    listen = [spec for role in generation.companions for spec in role.listen]
    return sockets.bind(listen, generation.config.http.backlog, held)
