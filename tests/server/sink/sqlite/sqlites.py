"""Make sinks of SQLite for tests, fill, damage and lock their files, and look into them."""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from server.sink.base import Sink
from server.sink.sqlite.sink import SqliteSink
from tests.contract.sinks import Acks, record, settle
from tests.fakes import Message


def make(
    directory: Path, *, max_outstanding: int = 1000, max_bytes: int = 1 << 26, settle_s: float = 60.0
) -> SqliteSink:
    return SqliteSink(directory, max_outstanding=max_outstanding, max_outstanding_bytes=max_bytes, settle_s=settle_s)


def rows(path: Path) -> int:
    with sqlite3.connect(path) as database:
        count = int(database.execute("SELECT count(*) FROM event").fetchone()[0])
    database.close()
    return count


def waited_for(number: int) -> Message:
    """A record whose sender waits for the outcome."""
    one = record("t", number)
    assert isinstance(one, Message)
    one.awaited = True
    return one


def values(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as database:
        return [value for (value,) in database.execute("SELECT value FROM event ORDER BY id")]


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Another connection holds the write lock, as a backup does."""
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as stranger:
        stranger.execute("BEGIN IMMEDIATE")
        yield
        stranger.execute("ROLLBACK")


async def nothing(sink: Sink) -> None:
    pass


def storing(*contents: bytes) -> Callable[[Sink], Awaitable[None]]:
    async def test(sink: Sink) -> None:
        for content in contents:
            one = record("t", 0)
            one.value = content
            assert sink.submit(one, Acks()) is None
        assert await settle(sink) == 0

    return test


def overwrite(path: Path, page: int, length: int = 4096) -> None:
    with path.open("r+b") as file:
        file.seek(4096 * page)
        file.write(b"\xaa" * length)


CONTENTS = [b'{"n":%d,"text":"%s"}' % (number, b"x" * 500) for number in range(1000)]
