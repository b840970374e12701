"""A flush returns in time, whatever does not answer: the intake, the network, the resolver."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from penstock_client.testing import HANGS, FaultServer
from tests.clients.python.conftest import EVENT, STREAM
from tests.clients.python.driven import DRIVERS, Driven, make

drivers = pytest.mark.parametrize("driver", DRIVERS)
LONG_S = 60.0


@pytest.fixture
def stalled() -> Iterator[str]:
    """An address whose queue of connections is full: the kernel answers no further attempt."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield "http://{}:{}".format(*listener.getsockname())
        for filler in fillers:
            filler.close()


LATE_S = 0.2
# A busy machine stops this process for a while now and then. One such pause is no lateness of the client's: the best of
# some attempts is what the client can do, and a client that overruns its deadline overruns it in all of them.
ATTEMPTS = 5
FLUSH_S = 0.3


def least_lateness(client: Driven) -> float:
    """Flush some times; return the least lateness."""
    late_s = []
    for _ in range(ATTEMPTS):
        client.submit(STREAM, EVENT)
        began_s = time.monotonic()
        result = client.flush(FLUSH_S)
        late_s.append(time.monotonic() - began_s - FLUSH_S)
        assert result.pending > 0
    return min(late_s)


@drivers
def test_flush_keeps_its_deadline_when_the_intake_hangs(driver: str, faulty: FaultServer) -> None:
    faulty.faults.extend([HANGS] * 50)
    client = make(driver, faulty.url, settle_s=0.0)

    assert least_lateness(client) <= LATE_S
    client.close(0)


@drivers
def test_flush_keeps_its_deadline_when_no_connection_is_taken(driver: str, stalled: str) -> None:
    client = make(driver, stalled)

    assert least_lateness(client) <= LATE_S
    client.close(0)


@drivers
def test_flush_keeps_its_deadline_when_names_are_not_resolved(driver: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stand-in for a resolver that does not answer blocks as the real one does, and is let go at the end."""
    over = threading.Event()
    look_up = socket.getaddrinfo

    def stall(host: str, *args: Any, **more: Any) -> Any:
        if host == "stalled.invalid" and not more.get("flags"):
            over.wait(LONG_S)
            raise socket.gaierror("the test is over")
        return look_up(host, *args, **more)

    monkeypatch.setattr(socket, "getaddrinfo", stall)
    client = make(driver, "http://stalled.invalid:8192")

    assert least_lateness(client) <= LATE_S
    client.close(0)
    over.set()
