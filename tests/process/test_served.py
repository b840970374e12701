"""The whole service as processes: signals under load, deaths, bad places to bind or to write."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from pathlib import Path

import orjson
import pytest

from tests.harness.broker import dead_servers
from tests.harness.running import Running, is_alive
from tests.harness.served import Served
from tests.process.load import STREAM, Load, Outcome

UNDER_WAY = 200  # Answers: every connection of the load has had some.


def under_load(service: Served, happening: Callable[[Load], Awaitable[None]]) -> list[Outcome]:
    """Run the load, and let something happen once it is under way. It goes on until that has stopped it."""

    async def both() -> list[Outcome]:
        load = Load(service.address, for_s=60.0)

        async def later() -> None:
            while ends(load.outcomes)["201"] < UNDER_WAY:
                await asyncio.sleep(0.02)
            await happening(load)
            load.stop()

        _, outcomes = await asyncio.gather(later(), load.run())
        return outcomes

    return asyncio.run(both())


def stored(service: Served) -> Counter[int]:
    """How often the sink holds each event of the load."""
    return Counter(event["value"]["count"] for event in service.events() if event["topic"] == STREAM)


def accepted(outcomes: list[Outcome]) -> Counter[int]:
    """Every event that was answered with a success, guaranteed or hasty."""
    return Counter(number for outcome in outcomes if outcome.is_accepted() for number in outcome.numbers)


def ends(outcomes: list[Outcome]) -> Counter[str]:
    """``201``, ``refused`` … and how often."""
    return Counter(str(outcome.status) if outcome.end == "answered" else outcome.end for outcome in outcomes)


def ask(address: tuple[str, int], path: str = "/_info") -> bytes:
    """One GET on a connection of its own; the body of the answer."""
    with socket.create_connection(address, timeout=60) as client:
        return ask_on(client, path)


def ask_on(client: socket.socket, path: str) -> bytes:
    client.sendall(b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n" % path.encode())
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += client.recv(65536) or pytest.fail("closed without an answer")
    head, _, body = answer.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
    while len(body) < length:
        body += client.recv(65536)
    return body


def test_term_under_load_answers_all_that_came_and_loses_nothing(tmp_path: Path) -> None:
    """Exit code 0; no connection is cut; what was accepted is in the sink exactly once, hasty or not."""
    with Served(tmp_path, drain_s=30.0) as service:

        async def term(load: Load) -> None:
            service.signal(signal.SIGTERM)
            while not ends(load.outcomes)["refused"]:
                await asyncio.sleep(0.02)

        outcomes = under_load(service, term)

        assert service.exit_code() == 0
        assert not service.workers()
        assert set(ends(outcomes)) <= {"201", "202", "refused"}
        assert stored(service) == accepted(outcomes)
        assert "Traceback" not in service.log()


def test_without_a_broker_guaranteed_requests_are_refused_at_once_and_term_ends_well(tmp_path: Path) -> None:
    """503, never a bare close. Exit code 0."""
    body = orjson.dumps({"$schema": "/web/page_view/1.1.0", "meta": {"stream": "web.page_view"}, "page": "/home"})
    asks = b"POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    with dead_servers() as servers:
        kafka = {"bootstrap.servers": servers, "message.timeout.ms": 8000}
        with Served(tmp_path, drain_s=2.0, sink={"kind": "kafka", "kafka": kafka}) as service, ExitStack() as held:
            clients = [held.enter_context(socket.create_connection(service.address, timeout=60)) for _ in range(8)]
            for client in clients:
                client.sendall(asks)
            ask(service.address)
            service.signal(signal.SIGTERM)
            answers = [answer_on(client) for client in clients]

            assert [answer[:12] for answer in answers] == [b"HTTP/1.1 503"] * 8
            assert all(b"Retry-After: " in answer for answer in answers)
            assert service.exit_code() == 0
            assert service.says("drain_s: 0.75 of it, 1.5 s, is less than the 9 s")


def answer_on(client: socket.socket) -> bytes:
    """All that comes until the server closes."""
    return b"".join(iter(lambda: client.recv(65536), b""))


def test_hup_under_load_is_noticed_by_nobody(tmp_path: Path) -> None:
    """Every request is answered with a success, across two generations of workers."""
    with Served(tmp_path, drain_s=30.0) as service:

        async def hup(load: Load) -> None:
            before = service.workers()
            await asyncio.to_thread(service.reload)
            await asyncio.to_thread(service.until, lambda: not any(map(is_alive, before)))

        outcomes = under_load(service, hup)

        assert set(ends(outcomes)) == {"201", "202"}
        assert stored(service) == accepted(outcomes)


def test_bad_settings_on_hup_keep_the_old_workers(tmp_path: Path) -> None:
    """One line says which file and why."""
    with Served(tmp_path) as service:
        before = service.workers()
        service.write(workers=-1)
        service.signal(signal.SIGHUP)
        (said,) = service.says(r"reload refused, the old settings stay in force: [^\"]*")

        assert "workers" in said
        assert service.workers() == before
        assert ask(service.address)


def test_a_killed_worker_is_replaced_and_nobody_is_refused_meanwhile(tmp_path: Path) -> None:
    """With one worker only, clients wait for the replacement: they are not turned away."""
    with Served(tmp_path, workers=1) as service:
        (victim,) = service.workers()
        os.kill(victim, signal.SIGKILL)

        assert orjson.loads(ask(service.address))["worker"] == {"slot": 0, "generation": 1}
        assert service.says(rf"worker {victim} .*died: SIGKILL")


def test_workers_drain_and_leave_when_the_master_is_killed(tmp_path: Path) -> None:
    """They notice on a beat."""
    with Served(tmp_path) as service:
        workers = service.workers()
        service.signal(signal.SIGKILL)
        service.until(lambda: not any(map(is_alive, workers)))

        assert service.log().count("the master is gone") == 2


def test_a_stopped_worker_delays_no_new_connection(tmp_path: Path) -> None:
    """Its siblings take what comes. (That it is killed when its beat is late: tests/server/master.)"""
    with Served(tmp_path, process={"beat_s": 0.1, "late_s": 120.0}) as service:
        victim = min(service.workers())
        os.kill(victim, signal.SIGSTOP)
        for _ in range(100):
            ask(service.address)

        assert is_alive(victim)


@pytest.mark.parametrize("workers", [2, 4])
def test_connections_spread_evenly(tmp_path: Path, workers: int) -> None:
    """64 that come one after another, and are kept. A worker that gets no core for a millisecond is not waited for: on
    a busy machine that is so now and then, and they are counted again."""
    with Served(tmp_path, workers=workers) as service:

        def is_even() -> bool:
            with ExitStack() as held:
                slots: Counter[int] = Counter()
                for _ in range(64):
                    client = held.enter_context(socket.create_connection(service.address, timeout=60))
                    slots[orjson.loads(ask_on(client, "/_info"))["worker"]["slot"]] += 1
            return len(slots) == workers and max(slots.values()) - min(slots.values()) <= 12

        service.until(is_even)


def test_a_unix_socket_is_served_as_a_port_is(tmp_path: Path) -> None:
    """With the mode of its address; the file goes with the service."""
    path = tmp_path / "socket"
    with Served(tmp_path, http={"listen": [f"unix:{path}?mode=600"]}) as service:
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))

            assert b"generation" in ask_on(client, "/_info")
        assert path.stat().st_mode & 0o777 == 0o600
        service.signal(signal.SIGTERM)
        assert service.exit_code() == 0
        assert not path.exists()


def test_a_taken_port_ends_with_exit_code_4(tmp_path: Path) -> None:
    """The message names the address, the reason and what to do; there is no traceback."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        service = Served(tmp_path, http={"listen": [address]})
        try:
            assert service.exit_code() == 4
            assert f"cannot listen on {address}: Address already in use; another process" in service.log()
            assert "Traceback" not in service.log()
        finally:
            service.end()


def test_an_unwritable_sink_ends_with_exit_code_5(tmp_path: Path) -> None:
    """Nobody is respawned; the message names the place."""
    (tmp_path / "file").write_text("no directory")
    service: Running = Served(tmp_path, sink={"kind": "sqlite", "sqlite": {"path": "file/events"}})
    try:
        assert service.exit_code() == 5
        assert "file/events" in service.log()
        assert "a worker cannot boot" in service.log()
        assert "Traceback" not in service.log()
    finally:
        service.end()
