"""A budget of copies never gives more than its rate on average, and pays debts off."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.console.copying import channel as channels
from server.console.copying.budget import UNREAD_SHARE, Budget
from server.console.copying.channel import Channel


@given(st.integers(1, 2_000), st.lists(st.lists(st.integers(1, 100), max_size=30), max_size=60))
def test_no_more_is_copied_than_the_rate_and_one_request(per_s: int, turns: list[list[int]]) -> None:
    budget, taken = Budget(per_s), 0
    per_refill = budget.left
    for turn in turns:
        for size in turn:
            if budget.take():
                budget.left -= size - 1
                taken += size
        budget.refill()

    assert taken <= per_refill * (len(turns) + 1) + 100


def test_a_share_allows_fewer_and_one_event_at_least() -> None:
    large, small = Budget(1_000), Budget(1)
    for budget in (large, small):
        budget.left = 0
        budget.refill(UNREAD_SHARE)

    assert (large.left, small.left) == (10, 1)


def test_a_console_counts_as_read_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1_000.0]
    monkeypatch.setattr(channels, "time", SimpleNamespace(monotonic=lambda: now[0]))
    channel = Channel()
    found = [channel.is_read()]
    channel.note_reader()
    found.append(channel.is_read())
    now[0] += channels.READ_S
    found.append(channel.is_read())
    channel.close()

    assert found == [False, True, False]
