"""Named lines of numbers in shared memory: a page for each worker, and one for the sums of workers that are gone.

Place: made by the scoreboard before the first fork; a worker writes its page on the beat, server.admin reads all.
Rules: a page has one writer. A line is a name and whole numbers: first ``sums``, which only grow and outlive their
worker, then gauges, which do not. When a worker is gone the master adds its page to the last one. Names are limited in
number and length; names beyond the limit share the last line.
Not here: what is counted (intake.books.counts, intake.books.judged, sink.kafka.statistics), the books of accepted
events, which are lines with names for their numbers (shared.ledger).
"""

from __future__ import annotations

import mmap
from collections.abc import Iterable, Sequence
from typing import Final

PAGES: Final = 128  # Number of workers; further ones at the same time have no page.
OTHERS: Final = "(others)"
NAME_BYTES: Final = 256
_FLAGS: Final = mmap.MAP_SHARED | mmap.MAP_ANONYMOUS | getattr(mmap, "MAP_NORESERVE", 0x4000)

Line = tuple[str, Sequence[int]]


class LinesPage:
    """The lines of one worker. ``marks`` holds for each line a value that stays the same as long as its numbers do;
    ``write`` keeps it."""

    def __init__(self, memory: memoryview, most: int, sums: int, gauges: int, name_bytes: int = NAME_BYTES) -> None:
        self._memory = memory
        self._length = memory[:8].cast("q")
        self._most = most
        self._sums = sums
        self._cells = sums + gauges
        self._name_bytes = name_bytes
        self._line_bytes = name_bytes + 8 * self._cells
        self.marks: list[object] = []

    def write(self, lines: Iterable[Line]) -> None:
        """Write the lines that have changed. Names keep their order; new ones are added at the end."""
        others = [0] * self._cells
        marks = self.marks
        for at, (name, cells) in enumerate(lines):
            if at < self._most - 1:
                kept = tuple(cells)
                if at == len(marks):
                    marks.append(None)
                if marks[at] != kept:
                    marks[at] = kept
                    self.set(at, name, kept)
            else:
                others = [old + new for old, new in zip(others, cells, strict=True)]
                self.set(self._most - 1, OTHERS, others)

    def read(self) -> dict[str, list[int]]:
        """Return the numbers of every line."""
        return {self._name(at): self._view(at).tolist() for at in range(self._length[0])}

    def take(self, other: LinesPage) -> None:
        """Add the sums of another page to this one, and clear it."""
        places = {name: at for at, name in enumerate(self.read())}
        for name, cells in other.read().items():
            at = places.setdefault(name, min(len(places), self._most - 1))
            before = self._view(at).tolist() if at < self._length[0] else [0] * self._cells
            added = [old + new for old, new in zip(before[: self._sums], cells, strict=False)]
            self.set(at, name if at < self._most - 1 else OTHERS, [*added, *before[self._sums :]])
        other.clear()

    def clear(self) -> None:
        """Empty the page."""
        self._length[0] = 0
        self.marks.clear()

    def set(self, at: int, name: str, cells: Sequence[int]) -> None:
        """Write one line, the first free one or one that exists."""
        view = self._view(at)
        for cell, number in enumerate(cells):
            view[cell] = number
        if at >= self._length[0]:
            start = 8 + at * self._line_bytes
            text = name.encode()[: self._name_bytes].ljust(self._name_bytes, b"\0")
            self._memory[start : start + self._name_bytes] = text
            self._length[0] = at + 1

    def _name(self, at: int) -> str:
        start = 8 + at * self._line_bytes
        return bytes(self._memory[start : start + self._name_bytes]).rstrip(b"\0").decode("utf-8", "replace")

    def _view(self, at: int) -> memoryview:
        start = 8 + at * self._line_bytes + self._name_bytes
        return self._memory[start : start + 8 * self._cells].cast("q")


def bytes_of(most: int, cells: int, name_bytes: int = NAME_BYTES) -> int:
    """Return the size of the memory of all pages, with this many lines of this many numbers each."""
    return (PAGES + 1) * (8 + most * (name_bytes + 8 * cells))


class Lines:
    """All pages of one kind. ``retired`` has the sums of the workers that are gone."""

    def __init__(
        self,
        most: int,
        sums: int,
        gauges: int = 0,
        memory: mmap.mmap | None = None,
        name_bytes: int = NAME_BYTES,
    ) -> None:
        """Pages of ``most`` lines. ``memory`` has the size that ``bytes_of`` says; without it, memory is made.
        ``name_bytes`` is a multiple of 8."""
        all_bytes = bytes_of(most, sums + gauges, name_bytes)
        view = memoryview(memory if memory is not None else mmap.mmap(-1, all_bytes, flags=_FLAGS))
        size = all_bytes // (PAGES + 1)
        self._pages = [
            LinesPage(view[at : at + size], most, sums, gauges, name_bytes) for at in range(0, all_bytes, size)
        ]
        self.retired = self._pages.pop()
        self._sums = sums

    def page(self, index: int) -> LinesPage | None:
        """Return the page of a row of the scoreboard; None beyond PAGES."""
        return self._pages[index] if index < PAGES else None

    def retire(self, index: int) -> None:
        """Add the sums of a worker that is gone to those of all earlier workers. Master only."""
        page = self.page(index)
        if page is not None:
            self.retired.take(page)

    def totals(self) -> dict[str, list[int]]:
        """Return, line by line, the sums over all workers that ever were."""
        sums: dict[str, list[int]] = {}
        for page in (self.retired, *self._pages):
            for name, cells in page.read().items():
                before = sums.get(name)
                now = cells[: self._sums]
                sums[name] = now if before is None else [old + new for old, new in zip(before, now, strict=True)]
        return sums

    def gauges(self) -> dict[str, list[list[int]]]:
        """Return, line by line, the gauges of each living worker."""
        found: dict[str, list[list[int]]] = {}
        for page in self._pages:
            for name, cells in page.read().items():
                found.setdefault(name, []).append(cells[self._sums :])
        return found
