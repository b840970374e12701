"""Accept connections from the sockets that the master holds, evenly with the other workers.

Place: kernel queue → HERE → http.protocol. Runs on the loop thread of a worker.
Rules: every worker accepts from the same queue, so a connection waits for no particular worker: it is answered as
long as one worker lives. A worker that holds more connections than the least loaded one lets that one go first, for
``POLITE_S`` and no longer. docs/decisions/0001-listening-sockets.md compares this with the alternatives, with figures.
Not here: binding (master.sockets), what a connection does (http.protocol), counting ``row.connections`` (http.server).
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections.abc import Callable, Sequence

from server.log import Limited
from server.shared.row import WorkerRow

POLITE_S = 0.001  # Waking and accepting takes a sibling some 50 µs; a loop turn under full load about 1 ms.
MARGIN = 4  # Connections ahead of the least loaded worker before waiting, plus 1/32 of its load.
BURST = 8  # Accepted per turn. After vain waits 1, 2, 4, then 8, so that a stuck sibling costs 1 ms per 8 connections.
PAUSE_S, PAUSE_MAX_S = 0.05, 1.0  # Time to the next attempt when out of descriptors or memory; it doubles.

_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})

_logger = logging.getLogger("listener")


class Listener:
    """Takes connections from ``sockets`` and gives each to a protocol of its own until ``stop``.

    ``accepted`` counts connections; ``errors`` those that could not be taken for lack of descriptors or memory;
    ``waits`` the turns in which a new connection was left to a worker that holds fewer.
    """

    __slots__ = (
        "_factory",
        "_is_stopped",
        "_limited",
        "_loop",
        "_max_connections",
        "_opening",
        "_patience",
        "_pause_s",
        "_row",
        "_sockets",
        "_timers",
        "accepted",
        "errors",
        "waits",
    )

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        sockets: Sequence[socket.socket],
        connection_factory: Callable[[], asyncio.BaseProtocol],
        row: WorkerRow,
        *,
        max_connections: int = 20_000,
    ) -> None:
        self._loop = loop
        self._sockets = list(sockets)
        self._factory = connection_factory
        self._row = row
        self._max_connections = max_connections
        self._limited = Limited(_logger)
        self._opening: dict[asyncio.Task[object], socket.socket] = {}
        self._timers: dict[int, asyncio.TimerHandle] = {}
        self._pause_s = PAUSE_S
        self._patience = 1
        self._is_stopped = True
        self.accepted = 0
        self.errors = 0
        self.waits = 0

    def start(self) -> None:
        """Begin to accept."""
        self._is_stopped = False
        for index in range(len(self._sockets)):
            self._listen(index)
        self._row.set_taking(True)

    def stop(self) -> None:
        """Accept no more, and close this process's descriptors of the sockets.

        Connections that wait in a queue are left to the siblings. On the master's last call they are accepted first,
        because they would be reset otherwise. Their protocols are made in the next turn of the loop.
        """
        if self._is_stopped:
            return
        self._is_stopped = True
        self._row.set_taking(False)
        for index, listening in enumerate(self._sockets):
            self._pause(index)
            if self._row.is_last_call(index):
                while self._accept(index):
                    pass
            listening.close()
        self._sockets.clear()

    def is_idle(self) -> bool:
        """True when every connection that was accepted has its protocol."""
        return not self._opening

    # The reader of one socket is listening, or paused with or without a timer.

    def _listen(self, index: int) -> None:
        self._loop.add_reader(self._sockets[index], self._on_readable, index)

    def _pause(self, index: int, for_s: float = 0.0) -> None:
        self._loop.remove_reader(self._sockets[index])
        timer = self._timers.pop(index, None)
        if timer is not None:
            timer.cancel()
        if for_s:
            self._timers[index] = self._loop.call_later(for_s, self._on_waited, index)

    def _on_readable(self, index: int) -> None:
        """Accept what waits in the queue, or let a less loaded worker go first."""
        if self._is_ahead():
            self.waits += 1
            self._pause(index, POLITE_S)
            return
        self._patience = 1
        self._take(index, 0)

    def _on_waited(self, index: int) -> None:
        """Accept some of what still waits after POLITE_S, however many connections this worker holds."""
        del self._timers[index]
        self._row.set_taking(True)
        self._listen(index)
        was_in_vain = self._take(index, self._patience)
        self._patience = min(self._patience * 2, BURST) if was_in_vain else 1

    def _take(self, index: int, regardless: int) -> bool:
        """Accept up to BURST connections, the first ``regardless`` of them without looking at the siblings.
        Returns whether there was one."""
        for taken in range(BURST):
            if self._row.load >= self._max_connections:
                self._on_full()
                return taken > 0
            if taken >= regardless and self._is_ahead():
                return taken > 0
            if not self._accept(index):
                return taken > 0
        return True

    def _is_ahead(self) -> bool:
        least = self._row.least_load()
        return self._row.load > least + MARGIN + (least >> 5)

    def _accept(self, index: int) -> bool:
        """Accept one connection. False: there is none, or none can be accepted now."""
        try:
            connection, _ = self._sockets[index].accept()
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno not in _EXHAUSTED:
                return True  # This one connection is gone (ECONNABORTED and kin, accept(2)): look for the next.
            self._on_exhausted(index, error)
            return False
        self._pause_s = PAUSE_S
        self.accepted += 1
        task = self._loop.create_task(self._loop.connect_accepted_socket(self._factory, connection))
        self._opening[task] = connection
        self._row.set_opening(len(self._opening))
        task.add_done_callback(self._on_opened)
        return True

    def _on_opened(self, task: asyncio.Task[object]) -> None:
        connection = self._opening.pop(task)
        self._row.set_opening(len(self._opening))
        if not task.cancelled() and (error := task.exception()) is not None:
            connection.close()
            self._limited.warning("open", "a connection could not be set up: %s", error)

    # The worker is full, or the host is out of resources.

    def _on_exhausted(self, index: int, error: OSError) -> None:
        """Out of descriptors or memory: a ready queue would spin, so look away for a while."""
        self.errors += 1
        self._limited.warning("exhausted", "cannot accept (%s); %d connections open", error.strerror, self._row.load)
        if not self._is_stopped:
            self._row.set_taking(False)
            self._pause(index, self._pause_s)
            self._pause_s = min(self._pause_s * 2, PAUSE_MAX_S)

    def _on_full(self) -> None:
        """Leave the queue to the siblings until some of max_connections have closed."""
        self._limited.warning(
            "full", "%d connections are open in this worker: it accepts no more for now", self._row.load
        )
        self._row.set_taking(False)
        for index in range(len(self._sockets)):
            self._pause(index, PAUSE_S)
