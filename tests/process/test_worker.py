"""A whole worker within this process, over a sink that the test holds."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections import Counter
from collections.abc import Callable, Coroutine
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import orjson
import pytest
import uvloop

from server.boot.generation import read
from server.http.server import HttpServer
from server.master.generation import WorkerContext
from server.metrics.table import SUM_PLACES, SUMS
from server.shared.row import ProcessCount, WorkerRow
from server.shared.scoreboard import Scoreboard
from server.sink.memory.sink import MemorySink
from server.worker.process import Worker
from tests.harness.served import Served
from tests.process.test_answers import INVALID, VALID
from tests.server.http.fakes import Response, get, post, responses

PATIENCE_S = 60.0


class Place(SimpleNamespace):
    """``worker``, its ``sink``, its ``row``, its ``port``."""

    worker: Worker
    sink: MemorySink
    port: int

    @property
    def server(self) -> HttpServer:
        return self.worker._server

    async def open(self, sent: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A client that has sent this."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(sent)
        return reader, writer

    async def ask(self, sent: bytes) -> list[Response]:
        """What a client is answered that sends this and no more."""
        reader, writer = await self.open(sent)
        writer.write_eof()
        answered = await reader.read()
        writer.close()
        return responses(answered, frozenset({0}) if sent.startswith(b"HEAD") else frozenset())


def within(directory: Path, test: Callable[[Place], Coroutine[Any, Any, None]], **settings: Any) -> None:
    """Run a test's coroutine beside a worker; stop it unless the test did."""
    service = cast(Any, SimpleNamespace(settings_file=directory / "penstock.yaml"))
    Served.write(service, sink={"kind": "memory"}, intake={"test_events": [VALID]}, **settings)
    generation = read(service.settings_file, [])

    async def go() -> None:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            listening.setblocking(False)
            row = Scoreboard(1).claim(0, 0)
            assert row is not None
            worker = Worker(generation, WorkerContext(0, 0, row, [listening], os.getppid()))
            sink = cast(MemorySink, worker._durability.sink)
            place = Place(worker=worker, sink=sink, row=row, port=listening.getsockname()[1])
            running = asyncio.ensure_future(worker.run())
            while row.state.name != "READY":
                await asyncio.sleep(0)
            try:
                await test(place)
            finally:
                worker._life.stop.set()
                await running

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(asyncio.wait_for(go(), PATIENCE_S))


def counted(row: WorkerRow, metric: str) -> dict[tuple[str, ...], int]:
    """What the worker has handed over for a metric, by the values of its labels."""
    numbers = row.summed()[len(ProcessCount) :][SUM_PLACES[metric]]
    return dict(zip(SUMS[metric].cells, numbers, strict=True))


def event(page: object = "/home") -> bytes:
    return post(orjson.dumps({**VALID, "page": page}), path=b"/v1/events")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_requests_whose_acks_never_come_are_answered_at_the_end_of_the_drain(
    tmp_path: Path, number: signal.Signals
) -> None:
    """Closing the sink fails what it holds, and that reaches the clients: none sees a bare close."""

    async def test(place: Place) -> None:
        place.sink.is_held = True
        clients = [await place.open(event()) for _ in range(5)]
        while place.sink.outstanding() < 5:
            await asyncio.sleep(0)
        os.kill(os.getpid(), number)
        answers = [responses(await reader.read()) for reader, _ in clients]
        for _, writer in clients:
            writer.close()

        assert [[answer.status for answer in answered] for answered in answers] == [[503]] * 5
        assert all(answered[0].headers["Connection"] == "close" for answered in answers)
        assert b"broker_timeout" in answers[0][0].body

    within(tmp_path, test, drain_s=0.4)


def test_connections_that_a_drain_cuts_off_are_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def test(place: Place) -> None:
        reader, writer = await place.open(event()[:-1])
        while not place.server.in_flight_bytes:
            await asyncio.sleep(0)
        os.kill(os.getpid(), signal.SIGTERM)
        try:
            answered = await reader.read()
        except ConnectionResetError:
            answered = b""
        writer.close()

        assert answered == b""

    within(tmp_path, test, drain_s=0.2)

    assert "1 connections were cut off" in caplog.text


def test_head_does_not_send_the_test_events(tmp_path: Path) -> None:
    async def test(place: Place) -> None:
        (refused,) = await place.ask(b"HEAD /v1/_test/events HTTP/1.1\r\nHost: a\r\n\r\n")
        assert (refused.status, refused.headers["Allow"]) == (405, "GET")
        assert not place.sink.records
        (taken,) = await place.ask(get(b"/v1/_test/events"))

        assert (taken.status, len(place.sink.records)) == (201, 1)

    within(tmp_path, test)


def test_counters_are_what_their_names_say(tmp_path: Path) -> None:
    """Each answer is counted once: 4xx but for 408, 408, 503; whether HTTP, the intake or the drain gave it."""

    async def test(place: Place) -> None:
        good, bad = event(), event(INVALID["page"])
        body_bytes = sum(len(sent.partition(b"\r\n\r\n")[2]) for sent in (good, bad, good, good))
        await place.ask(good)
        await place.ask(bad)
        slow = await place.open(b"GET /")
        while place.server.connections < 3:
            await asyncio.sleep(0)
        while not place.server.answered(408):
            await asyncio.sleep(0.01)
        slow[1].close()
        place.sink.refusal = "queue_full"
        await place.ask(good)
        place.worker._receiver.close()
        await place.ask(good)
        place.worker._copy_counters()
        answered: Counter[str] = Counter()
        for (_, status), count in counted(place.row, "penstock_http_responses").items():
            answered[status] += count

        assert place.server.requests == 4
        assert sum(count for status, count in answered.items() if status[0] == "4" and status != "408") == 1
        assert answered["408"] == 1
        assert answered["503"] == 2
        assert counted(place.row, "penstock_http_request_body_bytes") == {(): body_bytes}

    within(tmp_path, test, http={"limits": {"head_s": 1.0}})


def test_receipts_are_told_and_unknown_ones_are_not_there(tmp_path: Path) -> None:
    async def test(place: Place) -> None:
        mine = event().replace(b"Host:", b"X-Request-Id: mine/1\r\nHost:", 1)
        await place.ask(mine)
        (found,) = await place.ask(get(b"/v1/receipts/mine%2F1"))
        (none,) = await place.ask(get(b"/v1/receipts/yours"))
        (old,) = await place.ask(get(b"/v1/receipts/017f22e2-79b0-7cc3-98c4-dc0c0c07398f"))

        assert (found.status, orjson.loads(found.body)) == (
            200,
            {"accepted": 1, "delivered": 1, "spooled": 0, "failed": 0, "pending": 0, "invalid": 0},
        )
        assert (none.status, old.status) == (404, 410)

    within(tmp_path, test)
