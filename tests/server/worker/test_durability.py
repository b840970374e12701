"""server.worker.durability at the end of a worker: what was accepted is delivered or on disk while either takes it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from server.boot.generation import read
from server.shared.rings import Rings
from server.sink.memory.sink import MemorySink
from server.sink.spool.spool import Spool
from server.worker.concerns import ALL
from server.worker.durability import Durability
from tests.server.intake.conftest import write
from tests.server.intake.delivery.test_delivery import KEYED
from tests.server.intake.test_receive import VALID, Bench
from tests.server.sink.spool.spools import Disk, numbers, until

COUNT = 20

Test = Callable[[Durability, MemorySink, Bench], Awaitable[None]]


@pytest.fixture
def drive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Test], None]:
    """Run a test on a worker's durability over memory and a real spool, with a receiver before it."""
    settings = write(tmp_path)
    concerns = structs.replace(ALL, make_spool=lambda *_: Spool(tmp_path / "spool", max_bytes=1 << 20))

    def _drive(test: Test) -> None:
        async def main() -> None:
            generation = read(settings, [])
            ring = Rings(2, 1000).ring(1)
            durability = Durability(
                generation.config, tmp_path, generation.snapshot, ring, lambda _event: None, concerns
            )
            sink: Any = durability.sink
            monkeypatch.setattr("tests.server.intake.test_receive.MemorySink", lambda **_: sink)
            monkeypatch.setattr("tests.server.intake.test_receive.Delivery", lambda *_, **__: durability.delivery)
            bench = Bench(settings)
            await durability.open()
            await asyncio.wait_for(test(durability, sink, bench), 60)

        asyncio.run(main())

    return _drive


def post(bench: Bench, body: bytes) -> None:
    for number in range(COUNT):
        assert bench.post(body[:-1] + b',"n":%d}' % number, hasty="true").status == 202


def ends_in(seconds: float) -> float:
    return asyncio.get_running_loop().time() + seconds


def test_what_waits_for_a_full_disk_is_sent_at_the_end_while_a_broker_answers(
    drive: Callable[[Test], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(monkeypatch)

    async def test(durability: Durability, sink: MemorySink, bench: Bench) -> None:
        durability.delivery._rescue_at = 1e18
        sink.is_unreachable = True
        disk.fill()
        post(bench, VALID)
        await until(lambda: durability.spool is not None and not durability.spool.is_usable())
        sink.is_unreachable = False
        await durability.drain(ends_in(30))
        assert len(sink.records) == COUNT
        assert durability.close_books()
        assert durability.tallies.dropped == 0

    drive(test)
    assert numbers(tmp_path / "spool") == []


def test_what_neither_takes_at_the_end_is_dropped_with_a_reason(
    drive: Callable[[Test], None], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    disk = Disk(monkeypatch)
    monkeypatch.setattr("server.worker.durability.SPOOL_S", 0.05)

    async def test(durability: Durability, sink: MemorySink, bench: Bench) -> None:
        sink.is_unreachable = True
        sink.refusal = "queue_full"
        disk.fill()
        post(bench, VALID)
        await durability.drain(ends_in(0.05))
        assert durability.close_books()
        assert durability.tallies.dropped == COUNT

    drive(test)
    assert f"{COUNT} queue_full" in caplog.text


def test_at_the_end_without_a_broker_everything_is_on_disk(drive: Callable[[Test], None], tmp_path: Path) -> None:
    async def test(durability: Durability, sink: MemorySink, bench: Bench) -> None:
        sink.is_unreachable = True
        post(bench, KEYED.replace(b',"n":1', b""))
        post(bench, VALID)
        await durability.drain(ends_in(30))
        assert durability.close_books()
        assert durability.tallies.spooled == 2 * COUNT

    drive(test)
    assert len(numbers(tmp_path / "spool")) == 2 * COUNT
