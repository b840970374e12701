"""A reader of the console that is cut off at any place gets every row once, or a gap that counts the missing rows."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.console import viewers
from server.console.arrivals import Arrivals
from server.console.copying import copies
from server.console.rates import Rates
from server.console.ring import Ring
from server.console.viewers import Viewer
from server.filter.language import compile_filter
from tests.harness.console_rows import add, copy_of, event_copy

QUICK = settings(max_examples=60, deadline=None)


class CutError(ConnectionError):
    """The connection of a viewer breaks."""


class Page:
    """A browser: it keeps what whole messages say, and the number of the last one."""

    def __init__(self) -> None:
        self.last_id = ""
        self.rows: list[int] = []
        self.missed = 0
        self.gaps: list[str] = []

    def take(self, message: bytes) -> None:
        fields = dict(line.split(": ", 1) for line in message.decode().strip().split("\n"))
        if fields["event"] != "rows":
            return
        self.last_id = fields["id"]
        said = json.loads(fields["data"])
        if said["missed"]:
            self.missed += said["missed"]["lost"] or 0
            self.gaps.append(said["missed"]["reason"])
        self.rows += [row["seq"] for row in said["rows"]]


async def look(ring: Ring, page: Page, messages: int, meanwhile: int = 0) -> None:
    """Connect, and be cut off as the message with rows after so many is written, or when there is nothing more.
    ``meanwhile``: rows that come while a message is written, for each of the first ones."""
    viewer = Viewer(ring, Arrivals(ring), Rates(), compile_filter(""), [], dict)
    left, is_first, growing = messages, True, 4

    async def write(message: bytes) -> None:
        nonlocal left, is_first, growing
        for _ in range(meanwhile if growing > 0 else 0):
            add(ring)
        growing -= 1
        is_facts = message.startswith(b"event: facts")
        if (is_facts and not is_first) or (not is_facts and left <= 0):
            raise CutError
        left -= not is_facts
        is_first = False
        page.take(message)

    with contextlib.suppress(CutError):
        await viewer.run(page.last_id, write)


@pytest.fixture(autouse=True, scope="module")
def _facts_follow_at_once() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(viewers, "FACTS_S", 0.0)
        patch.setattr(viewers, "MAX_ROWS", 3)  # Of one message, so that the rows of a step need several.
        yield


@QUICK
@given(
    st.integers(3, 30),
    st.lists(st.tuples(st.integers(0, 12), st.integers(0, 3), st.integers(0, 12)), min_size=1, max_size=6),
)
def test_a_viewer_that_is_cut_off_at_any_message_gets_every_row_once_or_a_gap(
    size: int, steps: list[tuple[int, int, int]]
) -> None:
    async def story() -> tuple[Ring, Page]:
        ring, page = Ring(size, 1 << 30), Page()
        add(ring)
        await look(ring, page, 1)
        for count, messages, meanwhile in steps:
            for _ in range(count):
                add(ring)
            await look(ring, page, messages, meanwhile)
        await look(ring, page, 100)
        return ring, page

    ring, page = asyncio.run(story())

    assert page.rows == sorted(set(page.rows))
    assert page.rows[-1] == ring.next_seq - 1
    assert len(page.rows) + page.missed == ring.next_seq - 1


def test_a_viewer_of_an_earlier_process_is_told_so_and_begins_again() -> None:
    async def story() -> Page:
        ring, page = Ring(10, 1 << 30), Page()
        page.last_id = "00000000-7"
        add(ring)
        await look(ring, page, 5)
        return page

    page = asyncio.run(story())

    assert page.rows == [1]
    assert page.gaps == ["the console began again: its process or the settings changed"]


def test_the_ring_is_bounded_in_rows_and_in_bytes() -> None:
    ring = Ring(5, 1 << 30)
    for _ in range(9):
        add(ring)

    assert [row.seq for row in ring.after(0)] == [5, 6, 7, 8, 9]
    assert ring.find(4) is None and ring.find(10) is None
    assert ring.find(7) is not None

    small = Ring(1000, 20_000)
    for _ in range(50):
        add(small, {"text": "x" * 5_000})

    assert small.bytes <= 20_000
    assert 0 < len(small) < 5


def test_copies_that_are_lost_or_skipped_are_counted_in_front_of_the_next_row() -> None:
    ring = Ring(100, 1 << 30)
    arrivals = Arrivals(ring)

    def take(number: int, **more: Any) -> None:
        arrivals.take(copies.encode(copy_of([event_copy()], number=number, **more)))

    take(1)
    take(2, skipped=4)
    take(5)
    take(1, sender=2)
    arrivals.take(b"no copy")

    assert {seq: arrivals.gap_before(seq) for seq in range(1, 5)} == {1: 0, 2: 4, 3: 2, 4: 0}
    assert dict(arrivals.skipped) == {"above console.max_per_s": 4, "lost on the way to the console": 2}
