"""server.intake.pending: one reply, whatever order the acks come in."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from server.intake.event import Event
from server.intake.pending import Pending


@given(data=st.data(), count=st.integers(1, 12))
def test_any_order_of_acks_gives_one_answer_with_every_failure_in_it(data: st.DataObject, count: int) -> None:
    settled: list[Pending] = []
    events = [Event(index, b"{}") for index in range(count)]
    pending = Pending(object(), events, str, settled.append)
    for event in events:
        event.pending = pending
        pending.left += 1
    failing = data.draw(st.sets(st.integers(0, count - 1)))

    for index in data.draw(st.permutations(range(count))):
        assert not settled
        events[index].on_ack("broker_timeout" if index in failing else None, None)

    assert settled == [pending]
    assert pending.failures == len(failing)
    assert {event.index for event in events if event.verdict is not None} == failing
