"""Hold one shared memory map with a row for each worker, and everything else that the processes of a host share.

Place: made by the master before the first fork; a worker writes its row, the master and the admin child read all.
Rules: rows are claimed and released by the master alone. The counts of a worker outlive it: its sums are added to those
of all earlier workers when its row is released.
Not here: the content of a row (row), the response to a late beat (master.watch), metrics (server.metrics).
"""

from __future__ import annotations

import mmap
import os

from server.shared.examples import Examples, ExamplesPage
from server.shared.ledger import Ledger
from server.shared.lines import Lines, LinesPage
from server.shared.notices import Notices
from server.shared.rings import Rings
from server.shared.row import (  # fmt: skip
    CACHE_LINE_CELLS,
    CELL_BYTES,
    GENERATION,
    NOT_TAKING,
    ROW_CELLS,
    SLOT,
    STATE,
    SUM_CELLS,
    ProcessCount,
    State,
    WorkerRow,
)
from server.shared.stacks import Stacks

STREAM_COUNTS = 18  # Numbers of a stream's line.
# Number of lines of each kind that a worker may have: for streams, schemas and brokers.
MOST_STREAMS, MOST_SCHEMAS, MOST_BROKERS, MOST_CONSUMED = 2048, 1024, 128, 512
MOST_CHECKS, CHECK_CELLS = 1024, 4  # Of the checks in the background, in the order of intake.background.counts.
MOST_VERSIONS, VERSION_NAME_BYTES = 1024, 512  # Of schema versions in streams.
MOST_AGENTS, AGENT_NAME_BYTES = 256, 320  # Of programs that have sent invalid events.
CHECK_NAME_BYTES = 640  # A stream and a place in a schema.


class Kinds:
    """The counts by name: those of streams, schemas and brokers, of streams that consumers read, of checks in the
    background, which have examples, of schema versions in streams, and of senders of invalid events.

    A program that does not count something leaves its memory untouched, and so unused."""

    def __init__(self) -> None:
        # Invalid, errors, observed; then the invalid ones by type, in the order of intake.books.counts.
        self.streams = Lines(MOST_STREAMS, STREAM_COUNTS)
        self.schemas = Lines(MOST_SCHEMAS, 3)  # Validated in one decode, in one pass, by the reference.
        self.brokers = Lines(MOST_BROKERS, 6, 6)  # In the order of sink.kafka.statistics.
        self.consumed = Lines(MOST_CONSUMED, 3, 2)  # Deliveries, their bytes, events read; clients, their lag.
        self.checks = Lines(MOST_CHECKS, CHECK_CELLS, name_bytes=CHECK_NAME_BYTES)
        self.versions = Lines(MOST_VERSIONS, 1, name_bytes=VERSION_NAME_BYTES)
        self.agents = Lines(MOST_AGENTS, 1, name_bytes=AGENT_NAME_BYTES)
        self.examples = Examples()

    def every(self) -> tuple[Lines, ...]:
        return self.streams, self.schemas, self.brokers, self.consumed, self.checks, self.versions, self.agents


class SharedPages:
    """The pages of one worker; None if there are too many workers."""

    def __init__(self, kinds: Kinds, index: int) -> None:
        self.streams: LinesPage | None = kinds.streams.page(index)
        self.schemas: LinesPage | None = kinds.schemas.page(index)
        self.brokers: LinesPage | None = kinds.brokers.page(index)
        self.consumed: LinesPage | None = kinds.consumed.page(index)
        self.checks: LinesPage | None = kinds.checks.page(index)
        self.versions: LinesPage | None = kinds.versions.page(index)
        self.agents: LinesPage | None = kinds.agents.page(index)
        self.examples: ExamplesPage | None = kinds.examples.page(index)


class Scoreboard:
    """All rows, and the sums of the workers that are gone. An anonymous map: it is released with the last process.
    ``secret`` is known to the processes of this master alone."""

    def __init__(self, rows: int) -> None:
        self.secret = os.urandom(16).hex()
        self._rows: list[WorkerRow | None] = [None] * rows
        self._loads = CACHE_LINE_CELLS  # Cell 0 holds the number of rows ever in use, in a cache line of its own.
        self._first_row = self._loads + -(-rows // CACHE_LINE_CELLS) * CACHE_LINE_CELLS
        self._retired = self._first_row + rows * ROW_CELLS
        cells = self._retired + len(ProcessCount) + SUM_CELLS
        self.rings = Rings()
        self.ledger = Ledger()
        self.kinds = Kinds()
        self.notices = Notices()
        self.stacks = Stacks()
        self.cells = memoryview(mmap.mmap(-1, cells * CELL_BYTES)).cast("q")
        for index in range(rows):
            self.cells[self._loads + index] = NOT_TAKING

    def row_cell(self, index: int) -> int:
        return self._first_row + index * ROW_CELLS

    def load_cell(self, index: int) -> int:
        return self._loads + index

    def claim(self, slot: int, generation: int) -> WorkerRow | None:
        """Claim a clean row in state BOOTING that has just beaten; None when all are taken. Master only."""
        if None not in self._rows:
            return None
        index = self._rows.index(None)
        row = self._rows[index] = WorkerRow(self, index)
        at = self.row_cell(index)
        self.cells[at : at + ROW_CELLS] = memoryview(bytes(ROW_CELLS * CELL_BYTES)).cast("q")
        self.cells[at + SLOT] = slot
        self.cells[at + GENERATION] = generation
        self.cells[0] = max(self.cells[0], index + 1)
        row.set_state(State.BOOTING)
        return row

    def release(self, row: WorkerRow) -> None:
        """Add the counts of a worker that is gone to the sums, and free its row. Master only."""
        for cell, count in enumerate(row.summed(), self._retired):
            if count:
                self.cells[cell] += count
        self.ledger.retire(row.index)
        for kind in self.kinds.every():
            kind.retire(row.index)
        self.cells[self.row_cell(row.index) + STATE] = State.FREE
        self.cells[self.load_cell(row.index)] = NOT_TAKING
        self._rows[row.index] = None
        self.cells[0] = max((row.index + 1 for row in self._rows if row), default=0)

    def pages(self, index: int) -> SharedPages:
        """Return the pages for the counts by name of a row's worker."""
        return SharedPages(self.kinds, index)

    def least_load(self) -> int:
        """Return the smallest load of all workers that take connections; NOT_TAKING when none does."""
        in_use = self.cells[0]
        return min(self.cells[self._loads : self._loads + in_use].tolist(), default=NOT_TAKING)

    def live(self) -> list[WorkerRow]:
        """Return the rows of living workers, to read. They are made from the map, so rows that were claimed after the
        fork are among them."""
        rows = [WorkerRow(self, index) for index in range(self.cells[0])]
        return [row for row in rows if row.state is not State.FREE]

    def totals(self) -> list[int]:
        """Every counter summed over all workers that ever were, in the order of ``ProcessCount``."""
        return self._summed()[: len(ProcessCount)]

    def sums(self) -> list[int]:
        """Return the sums of metrics over all workers that ever were, in the
        order of their cells in server.metrics.table."""
        return self._summed()[len(ProcessCount) :]

    def _summed(self) -> list[int]:
        columns = [row.summed() for row in self.live()]
        columns.append(self.cells[self._retired : self._retired + len(ProcessCount) + SUM_CELLS].tolist())
        return [sum(column) for column in zip(*columns, strict=True)]
