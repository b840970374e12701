"""When a worker returns memory: after it has grown, not at each look, and no more than is worth it."""

from __future__ import annotations

import asyncio

import pytest

from server.host import memory
from server.worker.memory import EVERY_S, GROWN_BYTES, Memory

START = 50 << 20


class Process:
    """``resident`` is what the kernel would say; returning memory leaves ``used`` of it."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.resident = self.used = START
        self.returned = 0
        patch.setattr(memory, "resident_bytes", lambda: self.resident)
        patch.setattr(memory, "give_back", self._give_back)
        patch.setattr("server.worker.memory.LOOK_S", 0.0)

    def _give_back(self) -> None:
        self.returned += 1
        self.resident = self.used


async def look(one: Memory) -> None:
    one.look()
    if one._trimming is not None:
        await one._trimming
        await asyncio.sleep(0)


def test_memory_is_returned_once_it_has_grown(monkeypatch: pytest.MonkeyPatch) -> None:
    process = Process(monkeypatch)

    async def test() -> None:
        one = Memory()
        process.resident += GROWN_BYTES - 1
        await look(one)
        assert process.returned == 0
        process.resident += 1
        await look(one)
        assert (process.returned, process.resident) == (1, START)

    asyncio.run(test())


def test_what_is_in_use_is_not_returned_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    process = Process(monkeypatch)

    async def test() -> None:
        one = Memory()
        process.resident = process.used = START + 2 * GROWN_BYTES
        await look(one)
        one._next_s = 0.0
        await look(one)
        assert process.returned == 1
        process.resident = process.used = START
        await look(one)
        process.resident += GROWN_BYTES
        await look(one)
        assert process.returned == 2

    asyncio.run(test())


def test_it_is_not_done_all_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    process = Process(monkeypatch)

    async def test() -> None:
        one = Memory()
        for _ in range(3):
            process.resident = START + GROWN_BYTES
            await look(one)
        assert process.returned == 1
        assert one._next_s >= asyncio.get_running_loop().time() + EVERY_S - 1.0
        one._next_s = 0.0
        await look(one)
        assert process.returned == 2

    asyncio.run(test())


def test_a_look_in_a_process_that_is_ending_does_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    process = Process(monkeypatch)

    async def test() -> None:
        one = Memory()
        process.resident += GROWN_BYTES
        await asyncio.get_running_loop().shutdown_default_executor()
        one.look()

    asyncio.run(test())

    assert process.returned == 0
