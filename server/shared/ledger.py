"""The books of accepted events in shared memory: a page for each worker, a line for each stream.

Place: made by the scoreboard before the first fork; a worker writes its page on the beat. Processes of this master
inherit all pages, any other process of the same user gets them by ``open``.
Rules: pages are those of shared.lines; a line is a stream's name and the numbers of NAMES, which only grow and outlive
their worker. ``kill -9`` loses the counts of one beat. ``accepted = delivered + spooled + withdrawn + dropped`` + the
events in flight, which are lost if the worker was killed.
Not here: counting (intake.books.tally), pages (shared.lines), metrics (metrics.event_metrics).
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol, Self

from server.shared.lines import Lines, LinesPage, bytes_of

# In the order of their cells: COUNTS, REASONS, OUT, AMONG. OUT are events that a worker has delivered from the spool.
# Any worker, of this master or of an earlier one, may have put them there, so they are no part of the sum. AMONG are
# events that are counted as accepted too; ``old`` and ``askew`` are counted before their outcome is known.
COUNTS: Final = ("accepted", "delivered", "spooled", "withdrawn")
REASONS: Final = ("broker_timeout", "queue_full", "broker_rejected", "event_too_large", "internal")
OUT: Final = ("replayed",)
AMONG: Final = ("canaries", "old", "askew")
NAMES: Final = COUNTS + REASONS + OUT + AMONG
# Streams of a page; the last line takes those without a line of their own. Looking for changed lines takes 0.3 ms per
# beat.
LINES: Final = 2048
_BYTES: Final = bytes_of(LINES, len(NAMES))  # 94 MB of address space; memory is used only where it is written.
_MEMORY: Final = "penstock-ledger"

Numbers = dict[str, int]


class Account(Protocol):
    """The counts of one stream that are written (intake.books.tally)."""

    stream: str
    accepted: int
    delivered: int
    spooled: int
    withdrawn: int
    dropped: dict[str, int]
    replayed: int
    canaries: int
    old: int
    askew: int


class Ledger:
    """All pages. ``retired`` has the sums of the workers that are gone."""

    def __init__(self, memory: mmap.mmap | None = None) -> None:
        """Make new books, or use memory that ``open`` has found."""
        self._lines = Lines(LINES, len(NAMES), memory=memory if memory is not None else _memory())
        self.retired = self._lines.retired

    @classmethod
    def open(cls, pid: int) -> Self:
        """Return the books of a running master, to read; they stay readable when it is gone. Raises OSError: no such
        process, no permission, or not on Linux."""
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(FileNotFoundError):  # A running process closes descriptors while they are listed.
                if _MEMORY in str(entry.readlink()):
                    with entry.open("rb") as file:
                        return cls(mmap.mmap(file.fileno(), _BYTES, prot=mmap.PROT_READ))
        raise FileNotFoundError(f"process {pid} keeps no books")

    def write(self, index: int, accounts: Iterable[Account]) -> None:
        """Write the changed lines to the page of a row of the scoreboard; nothing if there are too many workers. The
        order of streams may only grow, to LINES at most."""
        page = self._lines.page(index)
        if page is not None:
            _write(page, accounts)

    def retire(self, index: int) -> None:
        """Add the page of a worker that is gone to the sums. Master only."""
        self._lines.retire(index)

    def totals(self) -> dict[str, Numbers]:
        """Return, stream by stream, the counts over all workers that ever were, by the names in NAMES."""
        return {name: dict(zip(NAMES, cells, strict=True)) for name, cells in self._lines.totals().items()}


def _write(page: LinesPage, accounts: Iterable[Account]) -> None:
    marks = page.marks
    for line, account in enumerate(accounts):
        dropped = account.dropped
        # The numbers only grow, so the same sum is the same line.
        numbers = account.accepted + account.delivered + account.spooled + account.withdrawn
        numbers += account.replayed + account.canaries + account.old + account.askew
        if dropped:
            numbers += sum(dropped.values())
        if line == len(marks):
            marks.append(None)
        if marks[line] != numbers:
            marks[line] = numbers
            cells = [account.accepted, account.delivered, account.spooled, account.withdrawn]
            cells += [dropped.get(reason, 0) for reason in REASONS]
            page.set(line, account.stream, [*cells, account.replayed, account.canaries, account.old, account.askew])


def _memory() -> mmap.mmap:
    """Map shared memory, with a name under which /proc shows it if the system supports that."""
    if not hasattr(os, "memfd_create"):
        return mmap.mmap(-1, _BYTES)
    fd = os.memfd_create(_MEMORY, os.MFD_CLOEXEC)
    try:
        os.truncate(fd, _BYTES)
        return mmap.mmap(fd, _BYTES)  # It keeps a descriptor of its own, by which ``open`` finds the books.
    finally:
        os.close(fd)
