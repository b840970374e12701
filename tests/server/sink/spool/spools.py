"""A spool under test, the loop that it runs on, and what its files hold."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import uvloop

from server.sink.spool.event import COLUMNS, Row, row_of
from server.sink.spool.file import SpoolFile
from server.sink.spool.reader import SpoolReader
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
    """Every write fails while ``error`` is set: those of workers and those of the replay."""

    def __init__(self, monkeypatch: Any) -> None:
        self.error: sqlite3.Error | OSError | None = None
        for kind, names in ((SpoolFile, ("append", "skip_to")), (SpoolReader, ("delete", "set_aside"))):
            for name in names:
                monkeypatch.setattr(kind, name, self._failing(getattr(kind, name)))

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
    """Put one event of topic ``t``."""
    return spool.put(number, "s", record("t", number, key), kept or Kept(), is_owed=is_owed, is_awaited=not is_owed)


def put_to(spool: Spool, topic: str, number: int, key: int | None = None) -> None:
    """Put one event of this topic, which is owed."""
    assert spool.put(number, "s", record(topic, number, key), Kept(), is_owed=True, is_awaited=False)


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
    """Return when everything is on disk."""
    assert await spool.flush(asyncio.get_running_loop().time() + FOREVER_S) == 0


def rows(directory: Path, table: str = "event") -> list[Row]:
    """Return the rows of all databases, in the order of their numbers."""
    found: list[Row] = []
    for path in directory.glob("spool-*.db"):
        with closing(sqlite3.connect(path)) as database:
            found += database.execute(f"SELECT {COLUMNS} FROM {table}").fetchall()
    return sorted(found, key=lambda row: (row[1], row[0]))


def numbers(directory: Path, table: str = "event") -> list[int]:
    """Return the numbers of the events in all databases, in order."""
    return [row[1] for row in rows(directory, table)]


def row(seq: int, number: int | None = None, *, topic: str = "t", key: int | None = None, value: bytes = b"") -> Row:
    """Make a row of its own."""
    one = record(topic, seq if number is None else number, key)
    if value:
        one.value = value
    return row_of(seq, seq if number is None else number, "s", one)


def made(path: Path, *found: Row) -> Path:
    """Make a database with these rows, which no process holds."""
    file = SpoolFile(path)
    file.open()
    file.append(found)
    file.close()
    return path


async def until(look: Callable[[], object]) -> None:
    """Return when this is true; the loop turns until then."""
    while not look():
        await asyncio.sleep(0.005)
