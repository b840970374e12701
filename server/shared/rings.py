"""Store receipts of the requests of the last hour, in a ring in shared memory for each worker.

Place: made by the scoreboard before the first fork; intake.books.receipts writes one ring, every worker reads all.
Rules: a ring has one writer and a fixed size, 32 bytes per request. An entry is found by the hash of the request's
identity, which is the same in all processes of one master. Entries older than KEPT_S, or overwritten, are gone.
Not here: what goes into an entry, and when (intake.books.receipts).
"""

# hot path

from __future__ import annotations

import mmap
from array import array
from collections.abc import Iterator, Sequence
from typing import Final

KEPT_S: Final = 3600
ENTRIES: Final = 1 << 17  # 4 MiB a worker: an hour at 36 requests a second, a minute at 2,000; touched only when used.
RINGS: Final = 128  # 512 MiB of address space.
_FLAGS: Final = mmap.MAP_SHARED | mmap.MAP_ANONYMOUS | getattr(mmap, "MAP_NORESERVE", 0x4000)
CELLS: Final = 4  # Hash of the identity; second of receipt; number of its last event; counts.
CELL_BYTES: Final = 8
_ENTRY_BYTES: Final = CELLS * CELL_BYTES
PIECE: Final = 1024  # Number of entries examined in one step: 35 µs.
_HEAD: Final = 2  # Entries ever written; the number up to which everything has an outcome.
# The largest value of each count: they share a cell. A larger request is reported with this value.
MOST: Final = 0x7FFF
SPOOLED, FAILED, INVALID = 16, 32, 48  # Where counts begin in their cell; accepted ones begin at 0.
MOST_INVALID: Final = 0x3FFF  # One bit less: it is IS_FINAL.
IS_FINAL: Final = 1 << 62
NEVER: Final = (1 << 63) - 1  # For the number of its last event, while that is not known.


def counts_of(accepted: int, invalid: int) -> int:
    """Return the cell of counts of a request whose accepted events are on their way."""
    return min(accepted, MOST) | min(invalid, MOST_INVALID) << INVALID


class Rings:
    """The rings of all workers. Their memory is mapped before any fork, and used only where it is written."""

    def __init__(self, rings: int = RINGS, entries: int = ENTRIES) -> None:
        self.entries = entries
        self._bytes = (_HEAD + entries * CELLS) * CELL_BYTES
        self._memory = mmap.mmap(-1, rings * self._bytes, flags=_FLAGS)
        view = memoryview(self._memory)
        bounds = (slice(at, at + self._bytes) for at in range(0, rings * self._bytes, self._bytes))
        self._rings = [Ring(view[bound].cast("q"), entries) for bound in bounds]

    def ring(self, index: int) -> Ring:
        """Return the ring of a row of the scoreboard. A new worker continues where the last one of that row ended. A
        worker beyond RINGS at a time gets a ring that no other process can read."""
        if index < len(self._rings):
            return self._rings[index]
        return Ring(memoryview(mmap.mmap(-1, self._bytes)).cast("q"), self.entries)

    def find(self, identity: bytes, now: float) -> dict[str, int] | None:
        """Return the receipt of a request from the ring of any worker; None when no ring has it."""
        return next((found for found in self.search(identity, now) if found is not None), None)

    def search(self, identity: bytes, now: float, behind: Sequence[int] = ()) -> Iterator[dict[str, int] | None]:
        """Find in steps, newest entries first: yield None for each piece of a ring without the receipt. Searching a
        whole ring takes 4 ms. ``behind`` is a result of ``marks``: entries before it have been searched already."""
        wanted, oldest_s = hash(identity), now - KEPT_S
        before = behind or [0] * len(self._rings)
        left = [
            (ring, max(first, ring.written - self.entries), ring.written)
            for ring, first in zip(self._rings, before, strict=True)
        ]
        while left := [(ring, first, end) for ring, first, end in left if first < end]:
            for index, (ring, first, end) in enumerate(left):
                start = max(first, end - PIECE, (end - 1) // self.entries * self.entries)
                found = ring.find(wanted, start, end, oldest_s)
                yield found
                if found is not None:
                    return
                is_old = ring.received_s(start % self.entries) <= oldest_s
                left[index] = (ring, first, first if is_old else start)

    def marks(self) -> list[int]:
        """Return how many entries have been written to each ring."""
        return [ring.written for ring in self._rings]

    def oldest_s(self) -> int:
        """Return the second from which on no ring has lost an entry."""
        return max((ring.oldest_s() for ring in self._rings if ring.is_wrapped()), default=0)


class Ring:
    """The ring of one worker. ``written`` counts all entries ever written; the newest ``entries`` of them exist."""

    def __init__(self, cells: memoryview, entries: int) -> None:
        self._cells = cells
        self._entries = entries

    @property
    def written(self) -> int:
        return int(self._cells[0])

    def settle(self, number: int) -> None:
        """Note that every event up to this number has an outcome."""
        self._cells[1] = number

    def is_wrapped(self) -> bool:
        return self.written > self._entries

    def oldest_s(self) -> int:
        return self.received_s(self.written % self._entries)

    def received_s(self, position: int) -> int:
        return int(self._cells[_HEAD + position * CELLS + 1])

    def write(self, flat: array[int]) -> None:
        """Add entries: their cells, one after the other."""
        for first in range(0, len(flat), self._entries * CELLS):
            self._write(flat[first : first + self._entries * CELLS])

    def _write(self, flat: array[int]) -> None:
        written, count = self.written, len(flat) // CELLS
        position = written % self._entries
        room = min(count, self._entries - position)
        at = _HEAD + position * CELLS
        self._cells[at : at + room * CELLS] = memoryview(flat)[: room * CELLS]
        if room < count:
            self._cells[_HEAD : _HEAD + (count - room) * CELLS] = memoryview(flat)[room * CELLS :]
        self._cells[0] = written + count

    def add(self, entry: int, counts: int) -> None:
        """Change the counts of an entry, by its number among all that were written, unless it has been overwritten."""
        if entry + self._entries >= self.written:
            self._cells[_HEAD + entry % self._entries * CELLS + 3] += counts

    def close(self, entry: int, last: int) -> None:
        """Give an entry the number of its last event, unless it has been overwritten."""
        if entry + self._entries >= self.written:
            self._cells[_HEAD + entry % self._entries * CELLS + 2] = last

    def find(self, wanted: int, start: int, end: int, oldest_s: float) -> dict[str, int] | None:
        """Return the newest receipt with this hash between two positions, or None. The range must not wrap around."""
        at, count = start % self._entries, end - start
        hashes = self._cells[_HEAD + at * CELLS : _HEAD + (at + count) * CELLS : CELLS].tolist()
        if wanted not in hashes:
            return None
        found = [at + index for index, each in enumerate(hashes) if each == wanted]
        return self.told(found[-1]) if self.received_s(found[-1]) > oldest_s else None

    def told(self, position: int) -> dict[str, int]:
        """Return the receipt at a position."""
        _, _, last, counts = self._cells[_HEAD + position * CELLS : _HEAD + (position + 1) * CELLS].tolist()
        accepted, spooled, failed = counts & MOST, counts >> SPOOLED & MOST, counts >> FAILED & MOST
        sent = max(0, accepted - spooled - failed)
        invalid = counts >> INVALID & MOST_INVALID
        is_settled = counts & IS_FINAL or last <= self._cells[1]
        return {
            "accepted": accepted,
            "delivered": sent if is_settled else 0,
            "spooled": spooled,
            "failed": failed,
            "pending": 0 if is_settled else sent,
            "invalid": invalid,
        }
