"""server.sink.spool.lowest: it is the lowest of the queue after every step."""

from __future__ import annotations

from collections import deque

from hypothesis import given
from hypothesis import strategies as st

from server.sink.spool.lowest import Lowest


@given(st.lists(st.integers(1, 30)), st.lists(st.one_of(st.integers(1, 30), st.integers(-5, -1))))
def test_it_is_the_lowest_of_the_queue(first: list[int], steps: list[int]) -> None:
    """A positive step adds this number, a negative one drops so many."""
    queue, lowest = deque(first), Lowest(first)
    for step in steps:
        if step > 0:
            queue.append(step)
            lowest.add(step)
        else:
            count = min(-step, len(queue))
            for _ in range(count):
                queue.popleft()
            lowest.drop(count)
        assert lowest.number() == min(queue, default=0)
