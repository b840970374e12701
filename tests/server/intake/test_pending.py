"""server.intake.pending: one reply, whatever order the acks come in."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from server.intake.event import Event
from server.intake.pending import Pending
from server.intake.verdict import error


@given(data=st.data(), count=st.integers(1, 12))
def test_any_order_of_outcomes_gives_one_answer_with_every_failure_in_it(data: st.DataObject, count: int) -> None:
    settled: list[Pending] = []
    events = [Event(index, b"{}") for index in range(count)]
    pending = Pending(object(), events, settled.append)
    pending.left = count
    failing = data.draw(st.sets(st.integers(0, count - 1)))
    spooled = data.draw(st.sets(st.integers(0, count - 1))) - failing

    for index in data.draw(st.permutations(range(count))):
        assert not settled
        events[index].verdict = error("broker_timeout") if index in failing else None
        events[index].is_spooled = index in spooled
        pending.settle(events[index])

    assert settled == [pending]
    assert (pending.failures, pending.spooled) == (len(failing), len(spooled))
