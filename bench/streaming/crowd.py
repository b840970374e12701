"""Clients of a stream for the bench: a process of many that read, and connections that never do.

Place: bench.streaming.measured.
Rule: a client counts events by their data line, and reads the time of production from one in 50 pieces.
Not here: the servers (measured), events (load).
"""

from __future__ import annotations

import asyncio
import multiprocessing
import re
import socket
import time
from multiprocessing.connection import Connection
from typing import Final, Self, cast

SENT: Final = re.compile(rb'\ndata: \{"sent_ns":(\d+)')
PATIENCE_S: Final = 120.0

Address = tuple[str, int]


class Reader(asyncio.Protocol):
    """One client: counts events, and notes how long those of some pieces took."""

    def __init__(self, crowd: Crowd, path: str) -> None:
        self._crowd = crowd
        self._path = path
        self._rest = b""
        self._is_open = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast(asyncio.Transport, transport).write(f"GET {self._path} HTTP/1.1\r\nHost: bench\r\n\r\n".encode())

    def data_received(self, received: bytes) -> None:
        text = self._rest + received
        count = received.count(b"\ndata: ")
        self._crowd.events += count
        if not self._is_open:
            self._is_open = True
            self._crowd.opened(self)
        if count and self._crowd.turn():
            self._crowd.note(SENT.findall(text))
        self._rest = text[-64:] if not text.endswith(b"\n") else b""

    def connection_lost(self, exc: Exception | None) -> None:
        self._crowd.lost += 1


class Crowd:
    """All clients of a process. ``lost`` counts connections that ended."""

    def __init__(self, count: int) -> None:
        self.events = 0
        self.waits_ms: list[float] = []
        self.lost = 0
        self.all_open = asyncio.Event()
        self._left = count
        self._turns = 0

    def opened(self, _: Reader) -> None:
        self._left -= 1
        if self._left == 0:
            self.all_open.set()

    def turn(self) -> bool:
        self._turns += 1
        return self._turns % 50 == 0

    def note(self, sent_ns: list[bytes]) -> None:
        now = time.time_ns()
        self.waits_ms += [(now - int(found)) / 1e6 for found in sent_ns]


def read(address: Address, path: str, clients: int, pipe: Connection) -> None:
    """Be the process of the clients. It answers each message with its counts, and ends on None."""

    async def serve() -> None:
        crowd, loop = Crowd(clients), asyncio.get_running_loop()
        transports = [(await loop.create_connection(lambda: Reader(crowd, path), *address))[0] for _ in range(clients)]
        await asyncio.wait_for(crowd.all_open.wait(), PATIENCE_S)
        pipe.send("open")
        while (await loop.run_in_executor(None, pipe.recv)) is not None:
            pipe.send((crowd.events, crowd.waits_ms, crowd.lost))
            crowd.events, crowd.waits_ms = 0, []
        for transport in transports:
            transport.abort()

    import uvloop

    uvloop.run(serve())


class Clients:
    """A process of clients: ``with Clients(…) as clients``. All are open when the block begins."""

    def __init__(self, address: Address, path: str, count: int) -> None:
        context = multiprocessing.get_context("spawn")
        self.count = count
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=read, args=(address, path, count, theirs), daemon=True)

    def __enter__(self) -> Self:
        self._process.start()
        assert self._pipe.poll(PATIENCE_S + 30) and self._pipe.recv() == "open", "not all clients could be opened"
        return self

    def counts(self) -> tuple[int, list[float]]:
        """Return the events since the last call, and some of their waits. Raises RuntimeError if a client was cut off:
        then the others' figures say nothing."""
        self._pipe.send("counts")
        events, waits_ms, lost = self._pipe.recv()
        if lost:
            raise RuntimeError(f"{lost} clients lost their connection")
        return events, waits_ms

    def __exit__(self, *_: object) -> None:
        try:
            self._pipe.send(None)
            self._process.join(10)
        finally:
            if self._process.is_alive():
                self._process.kill()
                self._process.join()


class Frozen:
    """Clients that ask for a stream and never read. ``with Frozen(…)``."""

    def __init__(self, address: Address, path: str, count: int) -> None:
        self._address, self._path, self._count = address, path, count
        self._sockets: list[socket.socket] = []

    def __enter__(self) -> Self:
        for _ in range(self._count):
            one = socket.socket()
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            one.connect(self._address)
            one.sendall(f"GET {self._path} HTTP/1.1\r\nHost: bench\r\n\r\n".encode())
            self._sockets.append(one)
        return self

    def __exit__(self, *_: object) -> None:
        for one in self._sockets:
            one.close()
