"""One worker's row of the shared map: its state, its counts, and the layout of its cells.

Place: scoreboard makes one for each child → HERE ← the child writes, the master and the admin process read.
Rules: a cell is one aligned 64-bit integer with one writer, so no reader ever sees half of it and no lock is needed.
The worker writes the cells of its row, except ``last_call`` and the clearing of rows, which the master does.
Counts are plain ints in the worker and reach the map on the beat: ``kill -9`` loses those of one beat at most.
Not here: the map, and the sums of workers that are gone (scoreboard).
"""

from __future__ import annotations

import time
from array import array
from collections.abc import Iterable
from enum import IntEnum, unique
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from server.shared.ledger import Account
    from server.shared.notices import Notices
    from server.shared.rings import Ring, Rings
    from server.shared.scoreboard import Scoreboard, SharedPages

NOT_TAKING = 1 << 62  # The load of a worker that takes no connections; it is never the smallest.
ALL_SOCKETS = (1 << 62) - 1
CELL_BYTES = 8
CACHE_LINE_CELLS = 8


@unique
class State(IntEnum):
    """The state of a worker, as it reports it."""

    FREE = 0
    BOOTING = 1
    READY = 2
    DRAINING = 3


BOOTING, READY, DRAINING = State.BOOTING, State.READY, State.DRAINING


@unique
class ProcessCount(IntEnum):
    """Counts that every process with a row has, a worker or a companion. The counts of workers alone are in the room
    metrics."""

    LOG_LINES_DROPPED = 0  # Lines dropped because standard error was not read.
    TASK_FAILURES = 1  # Unexpected exceptions in timers and tasks.


# Cells of a row, before its counters.
STATE, _PID, SLOT, GENERATION, _BEAT_NS, _CONNECTIONS, _LAST_CALL, _STREAMS, _STREAMS_MS = range(9)
_COUNTERS = 10
_COUNTERS_END = _COUNTERS + len(ProcessCount)
# server.metrics.table assigns the cells of these; the master only adds up the sums.
SUM_CELLS = 1024
GAUGE_CELLS = 32
_SUMS = _COUNTERS_END
_GAUGES = _SUMS + SUM_CELLS
_GAUGES_END = _GAUGES + GAUGE_CELLS
ROW_CELLS = -(-_GAUGES_END // CACHE_LINE_CELLS) * CACHE_LINE_CELLS  # Rows share no cache line.


class WorkerRow:
    """One worker's cells. The master holds it from ``claim`` to ``release``, the worker inherits it by fork."""

    __slots__ = ("_at", "_board", "_cells", "_connections", "_is_taking", "_load_at", "_opening", "counters", "index")

    def __init__(self, board: Scoreboard, index: int) -> None:
        self._board = board
        self._cells = board.cells
        self._at = board.row_cell(index)
        self._load_at = board.load_cell(index)
        self._connections = 0
        self._opening = 0
        self._is_taking = False
        self.index = index
        self.counters = [0] * len(ProcessCount)

    # Written by the worker.

    def set_state(self, state: State) -> None:
        """Report the state of this worker. READY means that it takes connections. This counts as a beat."""
        self._cells[self._at + STATE] = state
        self.beat()

    def beat(self) -> None:
        """Report that the loop turns, and copy the counters. The worker's own loop calls this."""
        cells, at = self._cells, self._at
        for cell, count in enumerate(self.counters, at + _COUNTERS):
            cells[cell] = count
        self._publish()  # The master hides the load of a late worker; this shows it again.
        cells[at + _BEAT_NS] = time.monotonic_ns()

    def set_streams(self, digest_head: int, since_ms: int) -> None:
        """Report which snapshot of the streams is used, and since when (milliseconds since 1970)."""
        self._cells[self._at + _STREAMS] = digest_head
        self._cells[self._at + _STREAMS_MS] = since_ms

    @property
    def connections(self) -> int:
        """Open connections of this worker, as its HTTP server counts them."""
        return self._cells[self._at + _CONNECTIONS]

    @connections.setter
    def connections(self, count: int) -> None:
        self._connections = count
        self._cells[self._at + _CONNECTIONS] = count
        self._publish()

    @property
    def load(self) -> int:
        """Open connections and those accepted that have no protocol yet."""
        return self._connections + self._opening

    def set_opening(self, count: int) -> None:
        """Report how many accepted connections have no protocol yet (listener only)."""
        self._opening = count
        self._publish()

    def set_taking(self, is_taking: bool) -> None:
        """Report whether siblings may leave connections to this worker (listener only)."""
        self._is_taking = is_taking
        self._publish()

    def _publish(self) -> None:
        self._cells[self._load_at] = self._connections + self._opening if self._is_taking else NOT_TAKING

    def least_load(self) -> int:
        """Return the smallest load of all workers that take connections, this one included."""
        return self._board.least_load()

    def write_books(self, accounts: Iterable[Account]) -> None:
        """Write the outcomes of accepted events, stream by stream."""
        self._board.ledger.write(self.index, accounts)

    def write_metrics(self, sums: array[int], gauges: array[int]) -> None:
        """Write the cells that server.metrics.table lays out."""
        at = self._at
        self._cells[at + _SUMS : at + _SUMS + len(sums)] = memoryview(sums)
        self._cells[at + _GAUGES : at + _GAUGES + len(gauges)] = memoryview(gauges)

    def pages(self) -> SharedPages:
        """Return the pages for this worker's counts by name."""
        return self._board.pages(self.index)

    def ring(self) -> Ring:
        """Return the ring in which this worker writes receipts."""
        return self._board.rings.ring(self.index)

    # Written by the master.

    def set_last_call(self, sockets: int) -> None:
        """Name the listening sockets (bit n is the n-th) from which no worker accepts after this one."""
        self._cells[self._at + _LAST_CALL] = sockets

    def ignore_load(self) -> None:
        """Hide the load of a late worker, so that no sibling waits for it; its next beat shows it again."""
        self._cells[self._load_at] = NOT_TAKING

    # Read by all processes.

    def is_last_call(self, socket_index: int) -> bool:
        """Whether no other worker will answer the connections in this socket's queue."""
        return bool(self._cells[self._at + _LAST_CALL] >> socket_index & 1)

    @property
    def rings(self) -> Rings:
        """The receipts of all workers."""
        return self._board.rings

    @property
    def notices(self) -> Notices:
        """The master's counts and the log level."""
        return self._board.notices

    @property
    def board(self) -> Scoreboard:
        """The scoreboard of all processes, to read."""
        return self._board

    @property
    def state(self) -> State:
        return State(self._cells[self._at + STATE])

    @property
    def beat_ns(self) -> int:
        """When the worker last beat, on the monotonic clock (one for all processes of the machine)."""
        return self._cells[self._at + _BEAT_NS]

    @property
    def streams(self) -> tuple[int, int]:
        """The values of ``set_streams``; (0, 0) before it was called."""
        return self._cells[self._at + _STREAMS], self._cells[self._at + _STREAMS_MS]

    @property
    def slot(self) -> int:
        return self._cells[self._at + SLOT]

    @property
    def generation(self) -> int:
        return self._cells[self._at + GENERATION]

    @property
    def pid(self) -> int:
        return self._cells[self._at + _PID]

    @pid.setter
    def pid(self, pid: int) -> None:
        self._cells[self._at + _PID] = pid

    def counted(self) -> list[int]:
        """The counters as of the last beat, in the order of ``ProcessCount``."""
        return self._cells[self._at + _COUNTERS : self._at + _COUNTERS_END].tolist()

    def summed(self) -> list[int]:
        """The counters and the sums of metrics."""
        return self._cells[self._at + _COUNTERS : self._at + _GAUGES].tolist()

    def gauges(self) -> list[int]:
        """The gauges of metrics, as of the last beat."""
        return self._cells[self._at + _GAUGES : self._at + _GAUGES_END].tolist()
