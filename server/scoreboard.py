"""One shared memory map with a row for each worker process: state, beat, load, counters.

Place: made by the master before the first fork; a worker writes its row, the master and the admin child read all.
Rules: a cell is one aligned 64-bit integer with one writer, so no reader ever sees half of it and nobody locks.
A row's cells belong to its worker, but for ``last_call`` and the clearing of rows, which belong to the master.
Counters are plain ints in the worker and reach the map on the beat: ``kill -9`` loses the counts of one beat at most.
Not here: what follows from a late beat (master.watch), metric names (metrics).
"""

from __future__ import annotations

import mmap
import time
from array import array
from collections.abc import Iterable
from enum import IntEnum, unique

from server.ledger import Account, Ledger
from server.lines import Lines, LinesPage
from server.notices import Notices
from server.rings import Ring, Rings
from server.stacks import Stacks

NOT_TAKING = 1 << 62  # The load of a worker that takes no connections: never the smallest.
ALL_SOCKETS = (1 << 62) - 1
_CELL_BYTES = 8
_CACHE_LINE_CELLS = 8


@unique
class State(IntEnum):
    """What a worker says of itself."""

    FREE = 0
    BOOTING = 1
    READY = 2
    DRAINING = 3


BOOTING, READY, DRAINING = State.BOOTING, State.READY, State.DRAINING


@unique
class Counter(IntEnum):
    """Everything a worker counts. Sums only: what goes up and down is a cell of its own."""

    CONNECTIONS = 0
    CONNECTIONS_LOST = 1  # A client went away before its answer.
    ACCEPT_ERRORS = 2  # Out of descriptors or memory.
    ACCEPT_WAITS = 3  # Turns in which a new connection was left to a worker that holds fewer.
    REQUESTS = 4  # Whole ones; what is refused half-way is in the next three alone.
    REQUESTS_REFUSED = 5  # Answered 503, come back later: full, draining, not ready, or the sink took nothing.
    REQUESTS_BAD = 6  # Answered 4xx, but for 408.
    REQUESTS_TIMED_OUT = 7  # Answered 408: a head or a body stalled.
    BODY_BYTES = 8  # Of the bodies of REQUESTS.
    EVENTS_RECEIVED = 9
    EVENTS_ACCEPTED = 10
    EVENTS_INVALID = 11
    EVENTS_ERROR = 12
    EVENTS_DELIVERED = 13
    EVENTS_FAILED = 14
    EVENTS_SPOOLED = 15
    EVENTS_REFUSED_HASTY = 16  # Not accepted: neither the sink nor the spool took them.
    ERROR_EVENTS = 17
    ERROR_EVENTS_SUPPRESSED = 18
    CALLBACK_ERRORS = 19  # Exceptions of ours that were caught at the top of a connection or request.
    EVENTS_REPLAYED = 20  # Out of the spool, delivered; those of earlier workers are among them.
    EVENTS_GIVEN_UP = 21  # Out of the spool, too large for their topic.
    EVENTS_NOT_SPOOLED = 22  # The spool had no room.
    SPOOL_FAILURES = 23  # Commits that the disk did not take; each is tried again.
    PRODUCERS_REPLACED = 24  # After a fatal error.
    EVENTS_ONE_DECODE = 25  # Judged and read in one decode,
    EVENTS_ONE_PASS = 26  # … filled in first, and then judged by their schema's type,
    EVENTS_REFERRED = 27  # … or by the reference. Error events are among them.


# Cells of a row, before its counters.
_STATE, _PID, _SLOT, _GENERATION, _BEAT_NS, _CONNECTIONS, _LAST_CALL, _STREAMS, _STREAMS_MS = range(9)
_COUNTERS = 10
_COUNTERS_END = _COUNTERS + len(Counter)
# What the master only sums up, or not even that: their meaning is in server.sheet.
SUM_CELLS = 1024
GAUGE_CELLS = 32
_SUMS = _COUNTERS_END
_GAUGES = _SUMS + SUM_CELLS
_GAUGES_END = _GAUGES + GAUGE_CELLS
_ROW_CELLS = -(-_GAUGES_END // _CACHE_LINE_CELLS) * _CACHE_LINE_CELLS  # Rows share no cache line.

# Lines of each kind that a worker may have: a line of a stream, of a schema, of a broker.
MOST_STREAMS, MOST_SCHEMAS, MOST_BROKERS = 2048, 1024, 128


class Kinds:
    """What is counted by names: those of streams, schemas and brokers."""

    def __init__(self) -> None:
        self.streams = Lines(MOST_STREAMS, 3)  # Invalid, errors, observed.
        self.schemas = Lines(MOST_SCHEMAS, 3)  # Judged in one decode, in one pass, by the reference.
        self.brokers = Lines(MOST_BROKERS, 6, 6)  # As sink.kafka_statistics says.

    def every(self) -> tuple[Lines, ...]:
        return self.streams, self.schemas, self.brokers


class Pages:
    """One worker's pages of them; None where there are too many workers."""

    def __init__(self, kinds: Kinds, index: int) -> None:
        self.streams: LinesPage | None = kinds.streams.page(index)
        self.schemas: LinesPage | None = kinds.schemas.page(index)
        self.brokers: LinesPage | None = kinds.brokers.page(index)


class Row:
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
        self.counters = [0] * len(Counter)

    # The worker writes.

    def set_state(self, state: State) -> None:
        """Say how far this worker is. READY means that it takes connections; it counts as a beat."""
        self._cells[self._at + _STATE] = state
        self.beat()

    def beat(self) -> None:
        """Say that the loop turns, and hand over the counters. Called from the worker's own loop."""
        cells, at = self._cells, self._at
        for cell, count in enumerate(self.counters, at + _COUNTERS):
            cells[cell] = count
        self._publish()  # The master takes the load of a late worker away: this gives it back.
        cells[at + _BEAT_NS] = time.monotonic_ns()

    def set_streams(self, digest_head: int, since_ms: int) -> None:
        """Which snapshot of the streams is served with, and since when (milliseconds since 1970)."""
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
        """Connections accepted, whose protocol has not been made yet (listener only)."""
        self._opening = count
        self._publish()

    def set_taking(self, is_taking: bool) -> None:
        """Whether siblings may leave connections to this worker (listener only)."""
        self._is_taking = is_taking
        self._publish()

    def _publish(self) -> None:
        self._cells[self._load_at] = self._connections + self._opening if self._is_taking else NOT_TAKING

    def least_load(self) -> int:
        """The smallest load of all workers that take connections, this one included."""
        return self._board.least_load()

    def write_books(self, accounts: Iterable[Account]) -> None:
        """Hand over what became of accepted events, stream by stream."""
        page = self._board.ledger.page(self.index)
        if page is not None:
            page.write(accounts)

    def write_sheet(self, sums: array[int], gauges: array[int]) -> None:
        """Hand over what has a meaning by server.sheet."""
        at = self._at
        self._cells[at + _SUMS : at + _SUMS + len(sums)] = memoryview(sums)
        self._cells[at + _GAUGES : at + _GAUGES + len(gauges)] = memoryview(gauges)

    def pages(self) -> Pages:
        """What this worker counts by names."""
        return Pages(self._board.kinds, self.index)

    def ring(self) -> Ring:
        """Where this worker notes what became of requests."""
        return self._board.rings.ring(self.index)

    # The master writes.

    def set_last_call(self, sockets: int) -> None:
        """Name the listening sockets (bit n is the n-th) that nobody accepts from after this worker."""
        self._cells[self._at + _LAST_CALL] = sockets

    def ignore_load(self) -> None:
        """Take the load of a late worker away, so that nobody waits for it; its next beat gives it back."""
        self._cells[self._load_at] = NOT_TAKING

    # Everybody reads.

    def is_last_call(self, socket_index: int) -> bool:
        """True when what waits in this socket's queue is answered by this worker or by nobody."""
        return bool(self._cells[self._at + _LAST_CALL] >> socket_index & 1)

    @property
    def rings(self) -> Rings:
        """What all workers have noted."""
        return self._board.rings

    @property
    def notices(self) -> Notices:
        """What the master tells."""
        return self._board.notices

    @property
    def board(self) -> Scoreboard:
        """Of all processes: for whoever only reads."""
        return self._board

    @property
    def state(self) -> State:
        return State(self._cells[self._at + _STATE])

    @property
    def beat_ns(self) -> int:
        """When the worker last beat, on the monotonic clock (one for all processes of the machine)."""
        return self._cells[self._at + _BEAT_NS]

    @property
    def streams(self) -> tuple[int, int]:
        """What ``set_streams`` said: (0, 0) before."""
        return self._cells[self._at + _STREAMS], self._cells[self._at + _STREAMS_MS]

    @property
    def slot(self) -> int:
        return self._cells[self._at + _SLOT]

    @property
    def generation(self) -> int:
        return self._cells[self._at + _GENERATION]

    @property
    def pid(self) -> int:
        return self._cells[self._at + _PID]

    @pid.setter
    def pid(self, pid: int) -> None:
        self._cells[self._at + _PID] = pid

    def counted(self) -> list[int]:
        """The counters as of the last beat, in the order of ``Counter``."""
        return self._cells[self._at + _COUNTERS : self._at + _COUNTERS_END].tolist()

    def summed(self) -> list[int]:
        """Counters and the sums of the sheet."""
        return self._cells[self._at + _COUNTERS : self._at + _GAUGES].tolist()

    def gauges(self) -> list[int]:
        """What goes up and down, as of the last beat."""
        return self._cells[self._at + _GAUGES : self._at + _GAUGES_END].tolist()


class Scoreboard:
    """All rows, and the sums of the workers that are gone. An anonymous map: it dies with the last process."""

    def __init__(self, rows: int) -> None:
        self._rows: list[Row | None] = [None] * rows
        self._loads = _CACHE_LINE_CELLS  # Cell 0: how many rows are in use at most; its cache line is its own.
        self._first_row = self._loads + -(-rows // _CACHE_LINE_CELLS) * _CACHE_LINE_CELLS
        self._retired = self._first_row + rows * _ROW_CELLS
        cells = self._retired + len(Counter) + SUM_CELLS
        self.rings = Rings()
        self.ledger = Ledger()
        self.kinds = Kinds()
        self.notices = Notices()
        self.stacks = Stacks()
        self.cells = memoryview(mmap.mmap(-1, cells * _CELL_BYTES)).cast("q")
        for index in range(rows):
            self.cells[self._loads + index] = NOT_TAKING

    def row_cell(self, index: int) -> int:
        return self._first_row + index * _ROW_CELLS

    def load_cell(self, index: int) -> int:
        return self._loads + index

    def claim(self, slot: int, generation: int) -> Row | None:
        """A clean row in state BOOTING that has just beaten, or None when all are taken. Master only."""
        if None not in self._rows:
            return None
        index = self._rows.index(None)
        row = self._rows[index] = Row(self, index)
        at = self.row_cell(index)
        self.cells[at : at + _ROW_CELLS] = memoryview(bytes(_ROW_CELLS * _CELL_BYTES)).cast("q")
        self.cells[at + _SLOT] = slot
        self.cells[at + _GENERATION] = generation
        self.cells[0] = max(self.cells[0], index + 1)
        row.set_state(State.BOOTING)
        return row

    def release(self, row: Row) -> None:
        """Keep the counts of a worker that is gone and free its row. Master only."""
        for cell, count in enumerate(row.summed(), self._retired):
            if count:
                self.cells[cell] += count
        self.ledger.retire(row.index)
        for kind in self.kinds.every():
            kind.retire(row.index)
        self.cells[self.row_cell(row.index) + _STATE] = State.FREE
        self.cells[self.load_cell(row.index)] = NOT_TAKING
        self._rows[row.index] = None
        self.cells[0] = max((row.index + 1 for row in self._rows if row), default=0)

    def least_load(self) -> int:
        """The smallest load of all workers that take connections; NOT_TAKING when none does."""
        in_use = self.cells[0]
        return min(self.cells[self._loads : self._loads + in_use].tolist(), default=NOT_TAKING)

    def live(self) -> list[Row]:
        """Rows of living workers. For whoever only reads: made from the map, whatever was claimed since the fork."""
        rows = [Row(self, index) for index in range(self.cells[0])]
        return [row for row in rows if row.state is not State.FREE]

    def totals(self) -> list[int]:
        """Every counter summed over all workers that ever were, in the order of ``Counter``."""
        return self._summed()[: len(Counter)]

    def sheet(self) -> list[int]:
        """The same of the sums of the sheet, in the order of server.sheet."""
        return self._summed()[len(Counter) :]

    def _summed(self) -> list[int]:
        columns = [row.summed() for row in self.live()]
        columns.append(self.cells[self._retired : self._retired + len(Counter) + SUM_CELLS].tolist())
        return [sum(column) for column in zip(*columns, strict=True)]
