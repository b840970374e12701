"""The order in which a worker's counts reach the memory that a scrape reads."""

from __future__ import annotations

import inspect
from array import array
from types import SimpleNamespace

from server.admin.view import HostView
from server.worker.process import Worker


def test_books_are_written_last_and_read_first() -> None:
    """Otherwise a scrape could show spooled events whose bytes are still 0."""
    order: list[str] = []
    row = SimpleNamespace(counters=array("q", [0] * 64), write_books=lambda _: order.append("books"))
    measures = SimpleNamespace(write=lambda: order.append("gauges"))
    worker = SimpleNamespace(_row=row, _measures=measures, _durability=SimpleNamespace(tallies=None))
    Worker._copy_counters(worker)  # type: ignore[arg-type]
    read = inspect.getsource(HostView.__init__)

    assert order == ["gauges", "books"]
    assert read.index("board.ledger.totals()") < read.index("row.gauges()")
