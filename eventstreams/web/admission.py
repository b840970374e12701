"""Count open streams of all workers together: of each client address, and of all.

Place: the master makes the memory before the first fork; start admits a client → HERE ← client, when it is gone.
Rules: a worker writes its own row alone, so a worker that dies takes its counts along. A new stream is admitted under a
lock that the kernel releases with its holder; a lock that is not free at once is done without, since a limit that is
passed by one is better than a loop that waits. An address counts in two of many cells, found by a keyed hash, and the
smaller counts: chance alone makes two addresses share both.
Not here: which address a client has (server.http.around.client_address).
"""

from __future__ import annotations

import fcntl
import hashlib
import mmap
import os
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from server.shared.row import WorkerRow

CELLS: Final = 8_192  # Of each of two hashes.
ROW_CELLS: Final = 1 + 2 * CELLS  # The first counts all.
CELL_BYTES: Final = 4
_FLAGS: Final = mmap.MAP_SHARED | mmap.MAP_ANONYMOUS | getattr(mmap, "MAP_NORESERVE", 0x4000)

Refused = Literal["full", "address"]


class AdmissionMemory:
    """The memory of all rows of a master. It lasts as long as the master, over all of its generations."""

    def __init__(self, rows: int) -> None:
        self.key = os.urandom(16)
        self.lock_fd = os.memfd_create("penstock-admission")
        self.cells = memoryview(mmap.mmap(-1, rows * ROW_CELLS * CELL_BYTES, flags=_FLAGS)).cast("I")


class Admission:
    """The counts as one worker uses them. A limit of 0 for an address means none."""

    def __init__(self, memory: AdmissionMemory, row: WorkerRow, most: int, most_per_address: int) -> None:
        self._memory = memory
        self._row = row
        self._at = row.index * ROW_CELLS
        self._most = most
        self._most_per_address = most_per_address
        memory.cells[self._at : self._at + ROW_CELLS] = memoryview(bytes(ROW_CELLS * CELL_BYTES)).cast("I")

    def admit(self, holder: str) -> Refused | None:
        """Count one more stream of this holder, "" for one without a limit; or say which limit is reached."""
        is_locked = self._lock()
        try:
            if self._sum(0) >= self._most:
                return "full"
            places = self._places(holder)
            if places and min(map(self._sum, places)) >= self._most_per_address:
                return "address"
            for place in (0, *places):
                self._memory.cells[self._at + place] += 1
            return None
        finally:
            if is_locked:
                fcntl.lockf(self._memory.lock_fd, fcntl.LOCK_UN)

    def release(self, holder: str) -> None:
        """Count a stream out."""
        for place in (0, *self._places(holder)):
            self._memory.cells[self._at + place] -= 1

    def total(self) -> int:
        """Return the number of open streams of all workers."""
        return self._sum(0)

    def _lock(self) -> bool:
        try:
            fcntl.lockf(self._memory.lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

    def _places(self, holder: str) -> tuple[int, ...]:
        if not holder or not self._most_per_address:
            return ()
        digest = hashlib.blake2b(holder.encode(), key=self._memory.key, digest_size=8).digest()
        first, second = (int.from_bytes(part, "big") % CELLS for part in (digest[:4], digest[4:]))
        return 1 + first, 1 + CELLS + second

    def _sum(self, place: int) -> int:
        cells = self._memory.cells
        return sum(cells[row.index * ROW_CELLS + place] for row in self._row.board.live() if row.slot >= 0)
