"""No request holds the loop for long, whatever its route, format, encoding and cut: counted in steps, not by a clock.

STEPS take less than 2 ms of a core: 24 to 35 steps a microsecond, measured over headers and over chunks. The long run
(`make fuzz`) measures time, on a served instance.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from server.boot.generation import read
from server.http.protocol import Connection
from server.intake import receive
from server.master.generation import WorkerContext
from server.shared.scoreboard import Scoreboard
from server.timing import turns
from server.worker.process import Worker
from tests.fuzz import cases, metered, routes
from tests.harness.served import Served
from tests.server.http.fakes import post

STEPS = 40_000
CASES = 150
MOST_BYTES = 20_000  # Of a body: what is in the bytes is the same, and counting is slow.
PATIENCE_S = 120.0
# Each was found once to hold the loop: 5 to 110 ms.
OFFENDERS = {
    "one key with many values": b"GET /v1/streamconfigs?constraints=" + b"|".join(b"a=%d" % n for n in range(1_000)),
    "a key of many digits": b"GET /v1/streamconfigs?constraints=a[" + b"9" * 5_000 + b"]=1",
    "a key of many brackets": b"GET /v1/streamconfigs?constraints=a" + b"[b]" * 4_000 + b"=1",
    "names that nobody has": b"GET /v1/streamconfigs?streams=" + b"|".join(b"a%d" % n for n in range(2_500)),
    "many parameters": b"GET /v1/streamconfigs?" + b"a&" * 7_000,
    "percent signs": b"GET /v1/beacon?" + b"%" * 15_000,
    "escapes": b"GET /v1/beacon?" + b"%25" * 5_000,
    "escapes in a parameter": b"GET /v1/stream-configs?wiki=" + b"%25" * 5_000,
    "escapes in a path": b"GET /v1/schemas/" + b"%41" * 5_000,
    "a long identity": b"GET /v1/receipts/" + b"%41" * 5_000,
    "a receipt that nobody has": b"GET /v1/receipts/nobody",
}
HEADERS = {
    "many headers": b"".join(b"a%d:\r\n" % number for number in range(3_000)),
    "a long chain of proxies": b"X-Forwarded-For: " + b"127.0.0.1," * 800 + b"\r\n",
    "a long Accept": b"Accept: " + b"a/b;q=0.1," * 800 + b"\r\n",
    "a long If-None-Match": b"If-None-Match: " + b'"a",' * 2_000 + b"\r\n",
    "an attribute of escapes": b"ce-specversion: 1.0\r\nce-id: " + b"%41" * 2_500 + b"\r\n",
}
WARM = post(json.dumps([cases.EVENT, cases.EVENT | {"page": 1}]).encode(), path=b"/v1/events")
CHUNKS = (
    b"POST /v1/events HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\n \r\n" * 40_000 + b"0\r\n\r\n"
)


def counted(directory: Path, sent: list[tuple[list[bytes], str]], monkeypatch: pytest.MonkeyPatch) -> tuple[int, str]:
    """Send each (``cases.Case``) to a worker of this process. The steps of its longest callback, and its name."""
    # By the clock, a slow machine would see fewer events in a slice than a fast one: here, the fewest.
    monkeypatch.setattr(receive, "AT_ONCE_S", -1.0)
    monkeypatch.setattr(turns, "TURN_S", -1.0)
    counter = metered.Counter()
    for name, method in metered.measured(counter).items():
        monkeypatch.setattr(Connection, name, method)
    service = cast(Any, SimpleNamespace(settings_file=directory / "penstock.yaml"))
    proxies = {"listen": ["127.0.0.1:0"], "trusted_proxies": ["127.0.0.0/8"]}
    Served.write(service, sink={"kind": "memory"}, intake={"test_events": [cases.EVENT]}, http=proxies)
    generation = read(service.settings_file, [])

    async def go() -> None:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            listening.setblocking(False)
            row = Scoreboard(1).claim(0, 0)
            assert row is not None
            worker = Worker(generation, WorkerContext(0, 0, row, [listening], os.getppid()))
            running = asyncio.ensure_future(worker.run())
            while row.state.name != "READY":
                await asyncio.sleep(0)
            port = listening.getsockname()[1]
            try:
                await _send(port, [WARM], "read")  # What the first event of a schema costs is for all that follow.
                counter.most = (0, "")
                for pieces, end in sent:
                    await _send(port, pieces, end)
            finally:
                worker._life.stop.set()
                await running

    with asyncio.Runner(loop_factory=metered.loop_of(counter)) as runner:
        runner.run(asyncio.wait_for(go(), PATIENCE_S))
    return counter.most


async def _send(port: int, pieces: list[bytes], end: str) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    with contextlib.suppress(ConnectionError):  # It was refused, and went on sending.
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        if end in ("read", "half-close"):
            writer.write_eof()
            await reader.read()
    writer.transport.abort()


@pytest.mark.parametrize("name", OFFENDERS)
def test_no_target_holds_the_loop(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = OFFENDERS[name] + b" HTTP/1.1\r\nHost: a\r\n\r\n"
    steps, what = counted(tmp_path, [([raw], "read")], monkeypatch)

    assert steps < STEPS, what


@pytest.mark.parametrize("name", HEADERS)
def test_no_header_holds_the_loop(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = b" HTTP/1.1\r\nHost: a\r\n%b" % HEADERS[name]
    raws = [b"GET /v1/streamconfigs%b\r\n" % lines, b"POST /v1/events%bContent-Length: 2\r\n\r\n{}" % lines]
    steps, what = counted(tmp_path, [([raw], "read") for raw in raws], monkeypatch)

    assert steps < STEPS, what


def test_no_cut_holds_the_loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps, what = counted(tmp_path, [([CHUNKS], "read")], monkeypatch)

    assert steps < STEPS, what


def test_no_random_case_holds_the_loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = [cases.made(number, MOST_BYTES) for number in range(CASES)]
    steps, what = counted(tmp_path, [(case.pieces, case.end) for case in made], monkeypatch)

    assert steps < STEPS, what


def test_a_served_instance_answers_everything(tmp_path: Path) -> None:
    with routes.client(tmp_path) as client:
        found = client.run(0, lambda number: number >= 100)

    assert found.failures == []
    assert len(found.statuses) > 5


@pytest.mark.parametrize(
    ("again", "is_found"), [([31.0, 25.0, 22.0, 28.0], True), ([31.0, 9.0, 22.0, 28.0], False), ([None] * 4, False)]
)
def test_a_slow_callback_is_a_finding_if_it_is_slow_each_time(again: list[float | None], *, is_found: bool) -> None:
    times: list[float | None] = [30.0, *again]
    client = object.__new__(routes.Client)
    sent: list[int] = []

    def once(number: int, _found: routes.Found) -> dict[str, routes.Slow]:
        sent.append(number)
        took = times.pop(0) if number == 7 else None
        return {} if took is None else {"a": routes.Slow(took, "a", number)}

    vars(client)["_once"] = once
    client._service = cast(Any, SimpleNamespace(log=lambda: ""))
    found = client.run(6, lambda number: number == 9)

    assert sent == [6, 7, 7, 7, 7, 7, 8]
    assert [slow.number for slow in found.beyond] == [7]
    assert bool(found.too_slow()) == is_found
    assert [slow.ms for slow in found.longest()] == [30.0]
