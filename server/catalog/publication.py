"""Pass snapshots, through shared memory, from the one process that makes them to all that use them.

Place: fetch.process publishes, or the master on HUP; catalog.snapshot_follower, in every worker, reads. A publication
is made before the fork.
Rules: the text of a snapshot is complete before its number is written; numbers only
rise. Two places are used in turn, so a reader has time until the second publication after it began; the number then
shows that it was too slow. Nothing is on disk: a publication ends with the service.
Not here: what the text says (catalog.snapshot).
"""

from __future__ import annotations

import mmap
import os

_NUMBER, _DIGEST, _SIZE = range(3)
_CELLS = _SIZE + 2
_HEAD_DIGITS = 15  # So many hexadecimal digits of the digest fit into one cell.


class Publication:
    """The newest snapshot of a generation. ``digest`` is that of number 0, the snapshot that every process inherits."""

    def __init__(self, digest: str) -> None:
        self._cells = memoryview(mmap.mmap(-1, _CELLS * 8)).cast("q")
        self._cells[_DIGEST] = head_of(digest)
        self._places = [os.memfd_create("penstock-streams") for _ in range(2)]

    @property
    def number(self) -> int:
        """Return the number of the newest snapshot. This reads one cell, as it is called on every beat."""
        return self._cells[_NUMBER]

    @property
    def digest_head(self) -> int:
        """Return the beginning of the newest snapshot's digest (``head_of``)."""
        return self._cells[_DIGEST]

    def publish(self, text: bytes, digest: str) -> None:
        """Make this snapshot the newest. Only one process at a time may do so."""
        number = self._cells[_NUMBER] + 1
        place = number % 2
        os.ftruncate(self._places[place], 0)
        written = 0
        while written < len(text):
            written += os.pwrite(self._places[place], text[written:], written)
        self._cells[_SIZE + place] = len(text)
        self._cells[_DIGEST] = head_of(digest)
        self._cells[_NUMBER] = number

    def read(self) -> tuple[int, bytes]:
        """Return the newest number above 0 and its text."""
        while True:
            number = self._cells[_NUMBER]
            place = number % 2
            size, text = self._cells[_SIZE + place], b""
            while len(text) < size and (piece := os.pread(self._places[place], size - len(text), len(text))):
                text += piece
            if self._cells[_NUMBER] == number and len(text) == size:
                return number, text

    def close(self) -> None:
        """Close the descriptors: in the master, when no more children will be forked with them."""
        while self._places:
            os.close(self._places.pop())


def head_of(digest: str) -> int:
    """Return the beginning of a digest as a number that fits into a cell."""
    return int(digest[:_HEAD_DIGITS], 16)
