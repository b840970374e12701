"""New events reach the loop in order and in few calls, and are sent at once or gathered, by what sending costs."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from eventstreams.flow import gathering
from eventstreams.flow.gathering import MOST_REST_S, REST, Inbox, Pace
from eventstreams.record import Record
from tests.eventstreams.harness import PATIENCE_S, Log, running


def record(offset: int) -> Record:
    return Record("a", 0, offset, 0, None, b"{}")


def put(inbox: Inbox, count: int) -> None:
    for at in range(count):
        inbox.put([record(at)])


def test_what_a_thread_brings_in_one_turn_of_the_loop_is_taken_in_one_call() -> None:
    async def scene() -> None:
        taken: list[list[int]] = []
        inbox = Inbox(asyncio.get_running_loop(), lambda records: taken.append([one.offset for one in records]))
        thread = threading.Thread(target=put, args=(inbox, 100))
        thread.start()
        thread.join(PATIENCE_S)  # The loop has no turn meanwhile.
        await asyncio.sleep(0)

        assert taken == [list(range(100))]
        inbox.put([record(100)])
        await asyncio.sleep(0)
        assert taken[1:] == [[100]]

    asyncio.run(scene())


def test_a_thread_waits_for_a_loop_that_is_behind_and_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "MOST_WAITING_BYTES", 10 * record(0).weight_bytes)

    async def scene() -> None:
        taken: list[int] = []
        most = 0

        def take(records: list[Record]) -> None:
            nonlocal most
            most = max(most, len(records))
            taken.extend(one.offset for one in records)

        inbox = Inbox(asyncio.get_running_loop(), take)
        await asyncio.to_thread(put, inbox, 1000)
        await asyncio.sleep(0)

        assert taken == list(range(1000))
        assert most <= 10

    asyncio.run(scene())


def test_a_thread_that_waits_goes_on_when_the_worker_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "MOST_WAITING_BYTES", 1)

    async def scene() -> None:
        inbox = Inbox(asyncio.get_running_loop(), lambda _: None)
        thread = threading.Thread(target=put, args=(inbox, 3))
        thread.start()  # The loop has no turn until the thread is joined.
        inbox.close()
        thread.join(PATIENCE_S)
        assert not thread.is_alive()

    asyncio.run(scene())


class FakeLoop:
    """A loop whose turns and time the test makes."""

    def __init__(self) -> None:
        self.soon: list[tuple[Callable[..., None], Any]] = []
        self.later: list[tuple[float, Callable[[], None]]] = []

    def call_soon(self, function: Callable[..., None], argument: Any) -> None:
        self.soon.append((function, argument))

    def call_later(self, delay_s: float, function: Callable[[], None]) -> None:
        self.later.append((delay_s, function))


def paced(monkeypatch: pytest.MonkeyPatch, cost_s: float) -> tuple[FakeLoop, Pace, list[str]]:
    """Return a pace whose sending takes ``cost_s``, until the turn after it."""
    now = [0.0]
    monkeypatch.setattr("eventstreams.flow.gathering.time.perf_counter", lambda: now[0])
    loop, sent = FakeLoop(), list[str]()

    def send() -> None:
        sent.append("sent")
        now[0] += cost_s

    untyped: Any = loop
    return loop, Pace(untyped, send), sent


def test_events_that_are_cheap_to_send_are_sent_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    loop, pace, sent = paced(monkeypatch, 0.0001)
    for number in range(3):
        pace.want()
        assert len(sent) == number + 1
        function, argument = loop.soon.pop()
        function(argument)
    assert loop.later == []


@pytest.mark.parametrize(("cost_s", "rest_s"), [(0.005, 0.005 * REST), (1.0, MOST_REST_S)])
def test_after_events_that_were_dear_the_next_ones_are_gathered(
    monkeypatch: pytest.MonkeyPatch, cost_s: float, rest_s: float
) -> None:
    loop, pace, sent = paced(monkeypatch, cost_s)
    pace.want()
    pace.want()  # In the same turn: what it cost is not known yet.
    function, argument = loop.soon.pop()
    function(argument)
    pace.want()
    ((delay_s, rested),) = loop.later

    assert len(sent) == 1
    assert delay_s == pytest.approx(rest_s)
    rested()
    assert len(sent) == 2
    function, argument = loop.soon.pop()
    function(argument)
    loop.later[1][1]()
    assert len(sent) == 2, "nothing waits"
    pace.want()
    assert len(sent) == 3


def test_clients_that_come_and_go_while_events_are_gathered_get_each_once_and_in_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One is in the group, one joins it and one leaves it while events wait to be sent."""

    async def scene() -> None:
        async with running(Log({"a": 1})) as streams, await streams.get("/v2/stream/a") as staying:
            await staying.opened()
            monkeypatch.setattr(gathering, "REST", 1e9)  # Now every rest is as long as it may be.
            monkeypatch.setattr(gathering, "MOST_REST_S", 0.2)
            streams.log.append(name="first")
            assert await staying.ids(1) == ["first"]
            streams.log.append(name="second")
            streams.log.append(name="third")
            async with await streams.get("/v2/stream/a", Last_Event_ID=staying.last_id) as coming:
                assert await coming.ids(2) == ["second", "third"]
                assert await staying.ids(2) == ["second", "third"]
                streams.log.append(name="fourth")
                assert [await one.ids(1) for one in (coming, staying)] == [["fourth"], ["fourth"]]

    asyncio.run(scene())
