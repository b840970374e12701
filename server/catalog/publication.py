"""A snapshot on its way from the one process that makes it to all that use it.

Place: fetch.process publishes, or the master on HUP; catalog.snapshot_follower, in every worker, reads. Made before
the fork.
Rules: a text is written whole before its number is; numbers go up; two places take turns, so whoever reads a text has
until the next but one, and then sees by the number that it was too slow. Nothing is on disk: it ends with the service.
Not here: what the text says (catalog.snapshot), who is told what of it.
"""

from __future__ import annotations

import mmap
import os

_NUMBER, _DIGEST, _SIZE = range(3)
_CELLS = _SIZE + 2
_HEAD_DIGITS = 15  # Of the digest, in hexadecimal: what fits into one cell.


class Publication:
    """``digest`` is that of the snapshot which the generation was made with: number 0, whose text everybody has."""

    def __init__(self, digest: str) -> None:
        self._cells = memoryview(mmap.mmap(-1, _CELLS * 8)).cast("q")
        self._cells[_DIGEST] = head_of(digest)
        self._places = [os.memfd_create("penstock-streams") for _ in range(2)]

    @property
    def number(self) -> int:
        """Of the newest snapshot. One look at a cell: it is asked on every beat."""
        return self._cells[_NUMBER]

    @property
    def digest_head(self) -> int:
        """The beginning of the newest snapshot's digest (``head_of``)."""
        return self._cells[_DIGEST]

    def publish(self, text: bytes, digest: str) -> None:
        """Make this the newest. One process at a time does so."""
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
        """The newest number above 0 and its text."""
        while True:
            number = self._cells[_NUMBER]
            place = number % 2
            size, text = self._cells[_SIZE + place], b""
            while len(text) < size and (piece := os.pread(self._places[place], size - len(text), len(text))):
                text += piece
            if self._cells[_NUMBER] == number and len(text) == size:
                return number, text

    def close(self) -> None:
        """Give the descriptors back: in the master, when no child is to be forked with them any more."""
        while self._places:
            os.close(self._places.pop())


def head_of(digest: str) -> int:
    """The beginning of a digest as a number that fits into a cell."""
    return int(digest[:_HEAD_DIGITS], 16)
