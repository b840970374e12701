"""Accepting, on a real loop with real sockets and a scoreboard row for each pretended worker."""

from __future__ import annotations

import asyncio
import errno
import resource
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import ExitStack, asynccontextmanager
from typing import Any

import pytest
import uvloop

from server.http.listener import BURST, MARGIN, Listener
from server.shared.row import ALL_SOCKETS, NOT_TAKING, WorkerRow
from server.shared.scoreboard import Scoreboard


class Place:
    """One listening socket, one row, and the protocols of all that was accepted."""

    def __init__(self, stack: ExitStack, max_connections: int = 1000) -> None:
        self.stack = stack
        self.board = Scoreboard(2)
        row = self.board.claim(0, 1)
        assert row is not None
        self.row: WorkerRow = row
        self.listening = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=256))
        self.listening.setblocking(False)
        self.address = self.listening.getsockname()
        self.max_connections = max_connections
        self.open: list[Open] = []

    @asynccontextmanager
    async def listener(self) -> AsyncIterator[Listener]:
        """Made on the running loop, not yet started; nothing is left open behind it."""
        loop = asyncio.get_running_loop()
        listener = Listener(loop, [self.listening], lambda: Open(self), self.row, max_connections=self.max_connections)
        try:
            yield listener
        finally:
            listener.stop()
            await until(listener.is_idle)
            for connection in list(self.open):
                connection.transport.abort()
            await until(lambda: not self.open)

    def sibling(self, load: int) -> WorkerRow:
        """Another worker, with so many connections."""
        row = self.board.claim(1, 1)
        assert row is not None
        row.set_taking(True)
        row.connections = load
        return row

    def connect(self, count: int) -> list[socket.socket]:
        """So many clients; their connections are made by the kernel, accepted or not."""
        return [self.stack.enter_context(socket.create_connection(self.address, timeout=60)) for _ in range(count)]


class Open(asyncio.Protocol):
    """One accepted connection, counted as the HTTP server does."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.place.open.append(self)
        self.place.row.connections = len(self.place.open)

    def connection_lost(self, exc: Exception | None) -> None:
        self.place.open.remove(self)
        self.place.row.connections = len(self.place.open)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as held:
        yield held


def on_loop(coroutine: Coroutine[Any, Any, None]) -> None:
    """Run on the loop that workers use."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(coroutine)


async def until(look: Callable[[], bool], within_s: float = 60.0) -> None:
    """Let the loop turn until something is so."""
    async with asyncio.timeout(within_s):
        while not look():
            await asyncio.sleep(0.001)


def test_every_connection_gets_a_protocol(stack: ExitStack) -> None:
    """And is counted once, before and after its protocol is made."""

    async def run() -> None:
        place = Place(stack)
        async with place.listener() as listener:
            listener.start()
            place.connect(20)
            await until(lambda: len(place.open) == 20 and listener.is_idle())

            assert place.row.load == 20
            assert listener.accepted == 20

    on_loop(run())


def test_a_worker_that_is_ahead_lets_a_sibling_go_first(stack: ExitStack) -> None:
    """It stays ahead by the margin only as long as the sibling may be about to come."""

    async def run() -> None:
        place = Place(stack)
        place.sibling(0)
        async with place.listener() as listener:
            place.connect(MARGIN + 1)
            listener.start()
            await until(lambda: len(place.open) == MARGIN + 1)
            place.connect(1)
            await until(lambda: len(place.open) == MARGIN + 2)

            assert listener.waits == 1

    on_loop(run())


def test_a_sibling_that_never_comes_costs_a_wait_for_a_burst(stack: ExitStack) -> None:
    """200 connections that a stuck worker should have had half of are all accepted soon."""

    async def run() -> None:
        place = Place(stack)
        place.sibling(0)
        async with place.listener() as listener:
            place.connect(200)
            listener.start()
            await until(lambda: len(place.open) == 200)

            assert listener.waits <= 200 / BURST + BURST

    on_loop(run())


def test_above_max_connections_the_queue_is_left_to_the_siblings(stack: ExitStack) -> None:
    """And nobody waits for this worker; when connections have gone it accepts again."""

    async def run() -> None:
        place = Place(stack, max_connections=10)
        async with place.listener() as listener:
            listener.start()
            clients = place.connect(15)
            await until(lambda: len(place.open) == 10)
            await until(lambda: place.board.least_load() == NOT_TAKING)
            for client in clients[:5]:
                client.close()
            await until(lambda: len(place.open) == 10 and listener.accepted == 15)

    on_loop(run())


def test_a_worker_out_of_descriptors_looks_away_and_comes_back(stack: ExitStack) -> None:
    """It does not spin, says it once, and accepts when there are descriptors again."""

    async def run() -> None:
        place = Place(stack)
        async with place.listener() as listener:
            place.connect(3)
            soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
            lowest_free = stack.enter_context(socket.socket()).fileno()
            try:
                resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free, hard))
                listener.start()
                await until(lambda: listener.errors > 0)
                await asyncio.sleep(0.1)

                assert listener.errors <= 4
                assert place.board.least_load() == NOT_TAKING
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            await until(lambda: len(place.open) == 3)

    on_loop(run())


@pytest.mark.parametrize("number", [errno.ECONNABORTED, errno.EPROTO, errno.ENETDOWN])
def test_a_connection_that_is_gone_before_it_was_accepted_is_passed_over(stack: ExitStack, number: int) -> None:
    """accept(2) reports the errors of the connection as its own."""

    async def run() -> None:
        place = Place(stack)
        real = place.listening
        errors = [OSError(number, "gone")]

        class Unlucky:
            def accept(self) -> tuple[socket.socket, Any]:
                if errors:
                    raise errors.pop()
                return real.accept()

            def fileno(self) -> int:
                return real.fileno()

            def close(self) -> None:
                real.close()

        place.listening = Unlucky()  # type: ignore[assignment]
        async with place.listener() as listener:
            listener.start()
            place.connect(1)
            await until(lambda: len(place.open) == 1)

            assert errors == []
            assert listener.errors == 0

    on_loop(run())


@pytest.mark.parametrize(("last_call", "taken"), [(ALL_SOCKETS, 5), (0, 0)])
def test_the_queue_is_emptied_on_the_last_call_and_else_left_to_the_siblings(
    stack: ExitStack, last_call: int, taken: int
) -> None:
    """Whatever the limits say: these connections would be reset otherwise."""

    async def run() -> None:
        place = Place(stack, max_connections=2)
        async with place.listener() as listener:
            listener.start()
            place.row.set_last_call(last_call)
            place.connect(5)
            listener.stop()
            await until(lambda: listener.is_idle() and len(place.open) == taken)

            assert place.listening.fileno() == -1
            assert place.board.least_load() == NOT_TAKING

    on_loop(run())
