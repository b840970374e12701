"""Hold the books of accepted events in shared memory: a page per worker, a line per stream, and sums of the dead.

Place: made by the scoreboard before the first fork; a worker writes its page on the beat. Processes of this master read
all pages by inheritance, other processes of the same user by ``open``.
Rules: a page has one writer. A line is a stream's name and whole numbers that only grow. When a worker is gone the
master adds its page to the last one, so that sums outlive their workers; ``kill -9`` loses the counts of one beat.
``accepted = delivered + spooled + dropped`` + what is in flight, which for a worker that was killed is lost.
Not here: counting (intake.books.tally), metric names.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol, Self

# In the order of their cells: COUNTS, REASONS, OUT. The last are of events that have left the spool, whichever worker,
# of this master or of an earlier one, had put them there: no part of the sum.
COUNTS: Final = ("accepted", "delivered", "spooled")
REASONS: Final = ("broker_timeout", "queue_full", "broker_rejected", "event_too_large", "internal")
OUT: Final = ("replayed", "given_up")
NAMES: Final = COUNTS + REASONS + OUT
PAGES: Final = 128  # Of workers; more than that at a time are not in the books.
# Streams of a page; the last line takes what has no room. Looking for the lines that have changed takes 0.3 ms a beat.
LINES: Final = 2048
OTHERS: Final = "(others)"
_CELLS: Final = len(NAMES)
_NAME_BYTES: Final = 256  # A topic's name has 249 at the most, and so has a stream's.
_LINE_BYTES: Final = _NAME_BYTES + 8 * _CELLS
_PAGE_BYTES: Final = 8 + LINES * _LINE_BYTES
_BYTES: Final = (PAGES + 1) * _PAGE_BYTES  # 90 MB of addresses; memory is taken where it is written.
_MEMORY: Final = "penstock-ledger"

Numbers = dict[str, int]


class Account(Protocol):
    """The counts of one stream that are written (intake.books.tally)."""

    stream: str
    accepted: int
    delivered: int
    spooled: int
    dropped: dict[str, int]
    replayed: int
    given_up: int


class Page:
    """The page of one worker."""

    def __init__(self, memory: memoryview) -> None:
        self._memory = memory
        self._length = memory[:8].cast("q")
        self._sums: list[int] = []  # Of each line's numbers: they only grow, so the same sum is the same line.

    def write(self, accounts: Iterable[Account]) -> None:
        """Write the lines that have changed. Streams keep their order; new ones are added at the end, up to LINES."""
        sums = self._sums
        for line, account in enumerate(accounts):
            dropped = account.dropped
            numbers = account.accepted + account.delivered + account.spooled + account.replayed + account.given_up
            if dropped:
                numbers += sum(dropped.values())
            if line == len(sums):
                sums.append(-1)
            if sums[line] != numbers:
                sums[line] = numbers
                cells = [account.accepted, account.delivered, account.spooled]
                cells += [dropped.get(reason, 0) for reason in REASONS]
                self._set(line, account.stream, [*cells, account.replayed, account.given_up])

    def read(self) -> dict[str, list[int]]:
        """Return the cells of every stream."""
        return {self._name(line): self._cells(line).tolist() for line in range(self._length[0])}

    def take(self, other: Page) -> None:
        """Add another page to this one, and clear it."""
        lines = {name: line for line, name in enumerate(self.read())}
        for name, cells in other.read().items():
            line = lines.setdefault(name, min(len(lines), LINES - 1))
            self._add(line, name if line < LINES - 1 else OTHERS, cells)
        other.clear()

    def clear(self) -> None:
        """Empty the page."""
        for line in range(self._length[0]):
            self._cells(line)[:] = memoryview(bytes(8 * _CELLS)).cast("q")
        self._length[0] = 0
        self._sums.clear()

    def _set(self, line: int, name: str, cells: list[int]) -> None:
        kept = self._cells(line)
        for cell, count in enumerate(cells):
            kept[cell] = count
        if line >= self._length[0]:
            start = 8 + line * _LINE_BYTES
            self._memory[start : start + _NAME_BYTES] = name.encode()[:_NAME_BYTES].ljust(_NAME_BYTES, b"\0")
            self._length[0] = line + 1

    def _add(self, line: int, name: str, cells: list[int]) -> None:
        if line < self._length[0]:
            cells = [old + new for old, new in zip(self._cells(line).tolist(), cells, strict=True)]
        self._set(line, name, cells)

    def _name(self, line: int) -> str:
        start = 8 + line * _LINE_BYTES
        return bytes(self._memory[start : start + _NAME_BYTES]).rstrip(b"\0").decode("utf-8", "replace")

    def _cells(self, line: int) -> memoryview:
        start = 8 + line * _LINE_BYTES + _NAME_BYTES
        return self._memory[start : start + 8 * _CELLS].cast("q")


class Ledger:
    """All pages. ``retired`` has the sums of the workers that are gone."""

    def __init__(self, memory: mmap.mmap | None = None) -> None:
        """Make a new ledger, or use the memory that ``open`` has found."""
        view = memoryview(memory if memory is not None else _memory())
        self._pages = [Page(view[at * _PAGE_BYTES : (at + 1) * _PAGE_BYTES]) for at in range(PAGES + 1)]
        self.retired = self._pages.pop()

    @classmethod
    def open(cls, pid: int) -> Self:
        """The books of a running master, to read; they can be read on when it is gone. Raises OSError: no such process,
        no right, or not on Linux."""
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(FileNotFoundError):  # A running process closes descriptors while they are listed.
                if _MEMORY in str(entry.readlink()):
                    with entry.open("rb") as file:
                        return cls(mmap.mmap(file.fileno(), _BYTES, prot=mmap.PROT_READ))
        raise FileNotFoundError(f"process {pid} keeps no books")

    def page(self, index: int) -> Page | None:
        """Return the page of a row of the scoreboard; None beyond PAGES."""
        return self._pages[index] if index < PAGES else None

    def retire(self, index: int) -> None:
        """Add the page of a worker that is gone to the sums. Master only."""
        page = self.page(index)
        if page is not None:
            self.retired.take(page)

    def totals(self) -> dict[str, Numbers]:
        """Stream by stream: what was counted over all workers that ever were, by the names in NAMES."""
        sums: dict[str, list[int]] = {}
        for page in (self.retired, *self._pages):
            for name, cells in page.read().items():
                sums[name] = [old + new for old, new in zip(sums.get(name, [0] * _CELLS), cells, strict=True)]
        return {name: dict(zip(NAMES, cells, strict=True)) for name, cells in sums.items()}


def _memory() -> mmap.mmap:
    """Shared, with a name under which /proc shows it where the system can do that."""
    if not hasattr(os, "memfd_create"):
        return mmap.mmap(-1, _BYTES)
    fd = os.memfd_create(_MEMORY, os.MFD_CLOEXEC)
    try:
        os.truncate(fd, _BYTES)
        return mmap.mmap(fd, _BYTES)  # Keeps a descriptor of its own: whoever opens the books goes by that.
    finally:
        os.close(fd)
