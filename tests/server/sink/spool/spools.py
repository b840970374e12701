"""A spool under test, and the loop that it runs on."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import uvloop

from server.sink.spool.file import SpoolFile
from server.sink.spool.spool import Spool
from tests.contract.sinks import record

FOREVER_S = 120.0


class Kept:
    """What ``on_kept`` was called with."""

    def __init__(self) -> None:
        self.outcomes: list[str | None] = []

    def __call__(self, outcome: str | None) -> None:
        self.outcomes.append(outcome)


class Disk:
    """Every write fails while ``error`` is set."""

    def __init__(self, monkeypatch: Any) -> None:
        self.error: sqlite3.Error | OSError | None = None
        for name in ("append", "delete", "probe"):
            monkeypatch.setattr(SpoolFile, name, self._failing(getattr(SpoolFile, name)))

    def fill(self) -> None:
        """There is no room on it."""
        self.error = sqlite3.OperationalError("database or disk is full")
        self.error.sqlite_errorcode = sqlite3.SQLITE_FULL

    def _failing(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            if self.error is not None:
                raise self.error
            return method(*arguments)

        return call


def put(spool: Spool, number: int, key: int | None = None, *, kept: Kept | None = None, is_owed: bool = False) -> bool:
    """One event of topic ``t``."""
    return spool.put(number, "s", record("t", number, key), kept or Kept(), is_owed=is_owed, is_awaited=not is_owed)


def drive(directory: Path, test: Callable[[Spool], Awaitable[None]], *, max_bytes: int = 1 << 20) -> None:
    """Open a spool on a fresh loop, run the test, close it."""

    async def whole() -> None:
        spool = Spool(directory, max_bytes=max_bytes)
        await spool.open()
        try:
            async with asyncio.timeout(FOREVER_S):
                await test(spool)
        finally:
            await spool.close()

    uvloop.run(whole())


async def flushed(spool: Spool) -> None:
    """Everything is on disk."""
    assert await spool.flush(asyncio.get_running_loop().time() + FOREVER_S) == 0


async def numbers(spool: Spool) -> list[int]:
    """What waits, in order."""
    store = spool.store()
    return [] if store is None else [one.number for one in await spool.oldest(store, 10_000)]


async def until(look: Callable[[], object]) -> None:
    """The loop turns until this is true."""
    while not look():
        await asyncio.sleep(0.005)
