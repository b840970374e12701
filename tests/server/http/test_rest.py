"""A server without connections ticks more rarely, and no client has less time for that."""

from __future__ import annotations

from server.http.protocol import Connection
from server.http.server import REST_S
from server.http.wheel import TICK_S
from server.timing.timers import Timer
from tests.server.http.fakes import Harness


class Clock:
    """A loop that notes by when it is to call."""

    def __init__(self, harness: Harness) -> None:
        self.time = harness.loop.time
        self.delays_s: list[float] = []

    def call_later(self, delay: float, callback: object, /) -> Clock:
        self.delays_s.append(delay)
        return self

    def cancel(self) -> None:
        """It is called no more."""


def test_ticks_are_rare_without_connections_and_return_with_the_first() -> None:
    harness = Harness()
    clock = Clock(harness)
    server = harness.server
    server._timer = Timer(clock, TICK_S, server._tick)
    server._timer.start()
    assert clock.delays_s[-1] == REST_S
    server.connection()
    assert clock.delays_s[-1] == TICK_S
    wire = harness.wire()
    server._timer.start()
    assert clock.delays_s[-1] == TICK_S
    wire.transport.abort()
    wire.pump()
    server._timer.start()
    assert clock.delays_s[-1] == REST_S


def test_the_first_connection_after_a_rest_has_its_whole_time() -> None:
    harness = Harness(head_s=10)
    server = harness.server
    server._tick()
    harness.loop.now_s += REST_S - 0.01
    connection = server.connection()

    assert isinstance(connection, Connection)
    assert connection.deadline - server.wheel.now >= 10
    assert server.wheel.now >= REST_S - 0.011


def test_responses_of_a_path_are_counted_under_its_entry() -> None:
    harness = Harness(routes={"/page": {}, "/below/*": {}})
    server = harness.server
    for path in (b"/page", b"/below/x", b"/below/y", b"/else"):
        (server.by_route.get(path) or server.elsewhere(path))[200] += 1

    assert {path: counts[200] for path, counts in server.by_route.items()} == {b"/page": 1, b"/below/*": 2}
    assert server.unrouted[200] == 1
    assert server.answered(200) == 4
