"""One of each sink, and how to look into it from outside."""

from __future__ import annotations

import asyncio
import io
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final, Protocol

import orjson
import uvloop

from server.config.kafka.rules import Value
from server.record import Record
from server.sink.base import Sink
from server.sink.kafka.producer import KafkaSink
from server.sink.memory.sink import MemorySink
from server.sink.sqlite.reader import read
from server.sink.sqlite.sink import SqliteSink
from tests.fakes import Message
from tests.harness.topics import Stored, read_all

SETTLE_S: Final = 60.0
DRIVE_S: Final = 120.0  # A test that waits in a loop of its own ends here.
# A busy broker may take its time: to ack, and to make a topic that it is asked for first.
PATIENT: Final[dict[str, Value]] = {"message.timeout.ms": 60_000, "topic.metadata.propagation.max.ms": 60_000}
HEADERS: Final = [("content-type", b"application/json"), ("schema-uri", b"/a/b/1.0.0")]
# The present: a broker that restarts forgets the sequence numbers of a producer whose last record is a day old by its
# own timestamp (producer.id.expiration.ms), and a retry would then be kept twice.
TIMESTAMP_MS: Final = time.time_ns() // 1_000_000


class Case(Protocol):
    """A kind of sink under test."""

    def make(self, *, max_outstanding: int = 10_000) -> Sink: ...

    def stored(self, topic: str) -> list[Stored]:
        """What a reader finds, in order per key. Called after the sink is closed."""


class MemoryCase:
    def make(self, *, max_outstanding: int = 10_000) -> Sink:
        self._sink = MemorySink(max_outstanding=max_outstanding)
        return self._sink

    def stored(self, topic: str) -> list[Stored]:
        records = [record for record in self._sink.records if record.topic == topic]
        return [Stored(record.key, record.value, record.timestamp_ms, record.headers) for record in records]


class SqliteCase:
    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def make(self, *, max_outstanding: int = 10_000) -> Sink:
        return SqliteSink(self._directory, max_outstanding=max_outstanding, max_outstanding_bytes=1 << 26)

    def stored(self, topic: str) -> list[Stored]:
        out = io.BytesIO()
        read(self._directory, topic, False, out)
        return [_stored(orjson.loads(line)) for line in out.getvalue().splitlines()]


class KafkaCase:
    def __init__(self, servers: str) -> None:
        self._servers = servers

    def make(self, *, max_outstanding: int = 10_000) -> Sink:
        return KafkaSink(
            {"bootstrap.servers": self._servers, **PATIENT},
            max_outstanding=max_outstanding,
            max_outstanding_bytes=1 << 26,
        )

    def stored(self, topic: str) -> list[Stored]:
        return read_all(self._servers, topic)


# The kinds that need nothing but a directory; those of Kafka are made of its fixtures (conftest).
LOCAL: Final[dict[str, Callable[[Path], Case]]] = {"memory": lambda directory: MemoryCase(), "sqlite": SqliteCase}


def _stored(line: dict[str, Any]) -> Stored:
    key = None if line["key"] is None else orjson.dumps(line["key"])
    headers = [(name, text.encode()) for name, text in line["headers"].items()]
    return Stored(key, orjson.dumps(line["value"]), line["timestamp_ms"], headers)


def record(topic: str, number: int, key: int | None = None) -> Record:
    """A record that can be told from others. Its JSON has no blanks, as every reader here writes it back."""
    key_bytes = None if key is None else b'{"k":%d}' % key
    return Message(topic, b'{"n":%d}' % number, key_bytes, TIMESTAMP_MS + number, HEADERS)


class Acks:
    """Collects what ``on_ack`` is called with, and by which thread's loop turn."""

    def __init__(self) -> None:
        self.errors: list[Any] = []

    def __call__(self, error: Any, message: Any) -> None:
        self.errors.append(error)


async def settle(sink: Sink) -> int:
    return await sink.drain(asyncio.get_running_loop().time() + SETTLE_S)


async def until(look: Callable[[], object]) -> None:
    """The loop turns until this is true; ``drive`` ends a test in which it never is."""
    while not look():
        await asyncio.sleep(0.001)


def drive(test: Callable[[Sink], Awaitable[None]], sink: Sink) -> None:
    """Open the sink on a fresh loop, run the test, close it."""

    async def whole() -> None:
        await sink.open()
        try:
            async with asyncio.timeout(DRIVE_S):
                await test(sink)
        finally:
            await sink.close()

    uvloop.run(whole())
