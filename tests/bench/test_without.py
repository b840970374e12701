"""bench.without: a worker that lacks a concern answers as a whole one does."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any, cast

import pytest

from bench.micro.http import Drain
from bench.micro.worker import EVENT, HEAD
from bench.without import CONCERNS, HTTP
from server.boot.generation import read
from server.master.generation import WorkerContext
from server.shared.row import State
from server.shared.scoreboard import Scoreboard
from server.worker.process import Worker
from tests.harness.running import ROOT

CASES = [("", ""), *((name, HTTP.get(name, ("", ""))[1]) for name in CONCERNS), *(("", of) for of, _ in HTTP.values())]
SETTINGS = """\
workers: 1
http: {{listen: ["127.0.0.1:0"], {limits}}}
schemas: {{base_uris: ["{root}/server/examples/schemas"]}}
streams: {{sources: ["{root}/server/examples/streams.yaml"]}}
sink: {{kind: memory}}
"""


class Answers(Drain):
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""

    def write(self, data: Any) -> None:
        self.written += data


async def answered(worker: Worker, row: Any) -> list[bytes]:
    """The status lines of a hasty and a guaranteed request; then the worker drains."""
    running = asyncio.create_task(worker.run())
    while row.state is not State.READY:
        await asyncio.sleep(0)
    lines = []
    for path in (b"/v1/events?hasty=true", b"/v1/events"):
        connection, answers = worker._server.connection(), Answers()
        connection.connection_made(cast(Any, answers))
        connection.data_received(HEAD % (path, len(EVENT), EVENT))
        while not answers.written:
            await asyncio.sleep(0)
        lines.append(answers.written.partition(b"\r\n")[0])
        connection.connection_lost(None)
    worker._durability.receipts.flush()
    worker._life.stop_now()
    await running
    return lines


INHERITS = pytest.mark.interpreted(reason="a compiled class is inherited from")


@pytest.mark.parametrize(
    ("concern", "limits"), [pytest.param(*case, marks=[INHERITS] * (case[0] == "durability")) for case in CASES]
)
def test_a_worker_that_lacks_a_concern_answers_as_a_whole_one(tmp_path: Path, concern: str, limits: str) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text(SETTINGS.format(root=ROOT, limits=limits))
    row = Scoreboard(2).claim(0, 1)
    assert row is not None

    async def run() -> tuple[list[bytes], bool, int]:
        context = WorkerContext(0, 1, row, [], os.getppid())
        worker = Worker(read(file, []), context, *((CONCERNS[concern],) if concern else ()))
        lines = await answered(worker, row)
        return lines, worker.is_balanced, worker._durability.receipts._ring.written

    lines, is_balanced, written = asyncio.run(run())

    assert lines == [b"HTTP/1.1 202 1 events hastily received.", b"HTTP/1.1 201 All 1 out of 1 events were accepted."]
    assert is_balanced
    assert bool(written) is (concern != "durability")
