"""What a test may tell the memory sink to do."""

from __future__ import annotations

import asyncio

from server.sink.base import Sink
from server.sink.memory.sink import MemorySink
from tests.contract.sinks import Acks, drive, record, settle


def test_it_can_be_told_to_refuse() -> None:
    sink, acks = MemorySink(), Acks()
    sink.refusal = "broker_rejected"

    async def test(_: Sink) -> None:
        assert sink.submit(record("t", 1), acks) == "broker_rejected"

    drive(test, sink)

    assert acks.errors == []


def test_it_can_be_told_to_fail_and_keeps_nothing_then() -> None:
    sink, acks = MemorySink(), Acks()
    sink.failure = "broker_timeout"

    async def test(_: Sink) -> None:
        assert sink.submit(record("t", 1), acks) is None
        await settle(sink)

    drive(test, sink)

    assert [sink.classify(error) for error in acks.errors] == ["broker_timeout"]
    assert not sink.records


def test_it_can_hold_acks_until_it_is_told_to_release_them() -> None:
    sink, acks = MemorySink(), Acks()
    sink.is_held = True

    async def test(_: Sink) -> None:
        sink.submit(record("t", 1), acks)
        assert await sink.drain(asyncio.get_running_loop().time() + 0.01) == 1
        assert acks.errors == []
        sink.release()
        assert acks.errors == [None]

    drive(test, sink)
