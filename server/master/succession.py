"""Replace one generation by the next: the fleet that serves, the fleet that boots, and the children that leave.

Place: master.loop → HERE → master.fleet, master.sockets.
Rules: a reload replaces everything or nothing. The new sockets are bound and every new worker is READY before the first
old one drains; otherwise the old ones stay, and the new ones that exist are drained. Changes that running workers can
be given (``Generation.adopt``) replace no worker.
Not here: when a reload begins, and which children have died (master.loop); how settings are read (config).
"""

from __future__ import annotations

import gc
import logging
import socket
import time
from collections.abc import Callable, Iterator
from itertools import chain

from server.errors import PenstockError
from server.master import sockets
from server.master.fleet import Fleet
from server.master.generation import Generation
from server.master.notify import Notifier
from server.master.sockets import Sockets
from server.master.watch import Child
from server.shared.scoreboard import Scoreboard

_logger = logging.getLogger("master")


class Succession:
    """The fleets of the service: ``current`` serves, ``incoming`` boots, and the children in ``leaving`` have left
    their slots."""

    def __init__(self, load: Callable[[], Generation], board: Scoreboard, notifier: Notifier) -> None:
        self._load = load
        self._board = board
        self._notifier = notifier
        self._activated: Sockets | None = None
        self.current: Fleet
        self.incoming: Fleet | None = None
        self.leaving: list[Child] = []

    def open(self, activated: Sockets | None) -> None:
        """Read the settings and bind the sockets of the first generation. ``activated`` were handed over by a service
        manager, and take their place for good. Raises SettingsError or BindError."""
        self._activated = activated
        generation = self._prepare()
        self.current = Fleet(1, generation, self._bind(generation), self._board, _bind_own(generation))

    def reload(self) -> None:
        """Read the settings again, and start the workers of the new generation next to those that serve."""
        _logger.info("reloading")
        self._notifier.reloading()
        generation: Generation | None = None
        try:
            generation = self._prepare()
            is_adopted = self.current.generation.adopt(generation)
            if not is_adopted:
                self.incoming = self._follower(generation)
        except PenstockError as error:
            reason = str(error)
        except Exception:  # A bug in reading new settings must not take the old ones down.
            _logger.exception("unexpected error while reading the settings")
            reason = "unexpected error, see above"
        else:
            if is_adopted:
                self._note_adopted(generation)
            return
        if generation is not None:
            generation.close()
        self._note_refused(reason)

    def refuse(self, reason: str) -> None:
        """Keep the old workers, and drain the new ones that exist."""
        fleet, self.incoming = self.incoming, None
        if fleet is not None:
            fleet.close(keep=self.current)
            for child in list(fleet.children()):
                self.let_go(child, fleet, fleet.sockets.missing_in(self.current.sockets))
            fleet.generation.close()
        self._note_refused(reason)

    def take_over(self, fleet: Fleet) -> None:
        """Switch to a fleet whose workers are all READY: drain the old workers, and close addresses that are no longer
        in the settings."""
        old, self.current, self.incoming = self.current, fleet, None
        self._board.notices.note_reload("done")
        old.close(keep=fleet)
        for child in list(old.children()):
            self.let_go(child, old, old.sockets.missing_in(fleet.sockets))
        old.generation.close()

    def close(self) -> None:
        """Close all listening sockets of the master. The workers answer the connections in the queues."""
        if self.incoming is not None:
            self.incoming.close(keep=self.current)
        self.current.close()

    def let_go(self, child: Child, fleet: Fleet, last_call: int = 0) -> None:
        """Order a child that is no longer in a slot to drain."""
        child.drain(time.monotonic(), fleet.config.drain_s, last_call)
        self.leaving.append(child)

    def fleets(self) -> list[Fleet]:
        """Return the fleets whose slots are filled."""
        return [self.current] if self.incoming is None else [self.current, self.incoming]

    def newest(self) -> Fleet:
        return self.incoming or self.current

    def children(self) -> Iterator[Child]:
        """Yield all children that have not been reaped."""
        return chain(self.leaving, *(fleet.children() for fleet in self.fleets()))

    def not_for(self, fleet: Fleet) -> list[socket.socket]:
        """Return the descriptors of the master that a worker of this fleet must close."""
        mine = fleet.sockets.sockets()
        every = chain(*(other.sockets.sockets() for other in self.fleets()))
        own = chain(*(other.own.sockets() for other in self.fleets() if other is not fleet))
        not_its = [one for one in (*every, *own) if one not in mine and one not in fleet.own.sockets()]
        return [*self._notifier.sockets, *not_its]

    def _prepare(self) -> Generation:
        """Read the settings, and freeze the new objects for the garbage collector: workers share their pages."""
        gc.unfreeze()
        generation = self._load()
        gc.collect()
        gc.freeze()
        return generation

    def _bind(self, generation: Generation, held: Sockets | None = None) -> Sockets:
        """Bind the sockets of a generation's workers; sockets that were handed over stay in their place."""
        http = generation.config.http
        return self._activated or sockets.bind(http.listen, http.backlog, held)

    def _follower(self, generation: Generation) -> Fleet:
        """Make the fleet of the next generation, with its sockets. Raises PenstockError, and then nothing is bound."""
        current = self.current
        own = _bind_own(generation, current.own)
        try:
            held = self._bind(generation, current.sockets)
        except PenstockError:
            own.close(keep=current.own)
            raise
        return Fleet(current.number + 1, generation, held, self._board, own)

    def _note_adopted(self, generation: Generation) -> None:
        generation.close()
        self._board.notices.note_reload("adopted")
        _logger.info("reloaded: only streams have changed, and the running workers take them up")
        self._notifier.ready(f"Ready: {self.current}")

    def _note_refused(self, reason: str) -> None:
        self._board.notices.note_reload("refused")
        _logger.error("reload refused, the old settings stay in force: %s", reason)
        self._notifier.ready(f"Reload refused: {reason.splitlines()[0]}")


def _bind_own(generation: Generation, held: Sockets | None = None) -> Sockets:
    """Bind the sockets of a generation's companions."""
    listen = [spec for role in generation.companions for spec in role.listen]
    return sockets.bind(listen, generation.config.http.backlog, held)
