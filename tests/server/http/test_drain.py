"""Draining: what is under way is answered, what is idle is given a moment, what is left at the end is cut off."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, cast

import pytest
import uvloop

from server.config.limit_settings import Limits
from server.config.settings import Http
from server.http.limits import GRACE_S
from server.http.request import Request
from server.http.server import HttpServer
from server.http.wheel import TICK_S
from server.shared.scoreboard import Scoreboard
from tests.server.http.fakes import Harness, Wire, get, keep, post, responses, statuses

LATE_S = 3 * TICK_S


def _draining(sent: bytes = b"", *, is_held: bool = False) -> tuple[Harness, Wire]:
    harness = Harness()
    if is_held:
        harness.hold()
    wire = harness.wire()
    wire.send(sent)
    harness.server.is_draining = True
    wire.connection.drain(harness.server.wheel.now + GRACE_S)
    return harness, wire


@pytest.mark.parametrize("sent", [b"", get()])
def test_an_idle_connection_is_closed_after_the_grace(sent: bytes) -> None:
    harness, wire = _draining(sent)
    harness.pass_time(GRACE_S - TICK_S)
    assert not wire.is_lost()
    harness.pass_time(LATE_S)

    assert wire.is_lost()


@pytest.mark.parametrize("sent", [b"", get()])
def test_a_request_that_was_on_its_way_is_served_and_the_connection_closed(sent: bytes) -> None:
    harness, wire = _draining(sent)
    harness.pass_time(GRACE_S / 2)
    wire.send(post(b"late"))

    assert responses(wire.sent)[-1].headers["Connection"] == "close"
    assert harness.seen[-1].body == b"late"
    assert wire.is_lost()


def test_a_request_under_way_is_answered_and_the_connection_closed() -> None:
    harness, wire = _draining(post(), is_held=True)
    harness.pass_time(GRACE_S + LATE_S)
    assert not wire.is_lost()
    harness.seen[0].reply(200, "OK")
    wire.pump()

    assert responses(wire.sent)[0].headers["Connection"] == "close"
    assert wire.is_lost()


@pytest.mark.parametrize("sent", [b"PO", b"POST /events HTTP/1.1\r\nHo", post()[:-1]])
def test_half_a_request_may_come_to_its_end(sent: bytes) -> None:
    harness, wire = _draining(sent)
    harness.pass_time(GRACE_S + LATE_S)
    wire.send(post()[len(sent) :])

    assert statuses(wire) == [200]
    assert wire.is_lost()


def test_pipelined_requests_are_all_answered_and_the_last_answer_says_close() -> None:
    harness, wire = _draining(post() * 3, is_held=True)
    wire.send(post() * 2)
    for at in range(5):
        harness.seen[at].reply(200, "OK")
        wire.pump()

    says_close = ["Connection" in response.headers for response in responses(wire.sent)]
    assert says_close == [False, False, True] or says_close == [False] * 4 + [True]
    assert wire.is_lost()


def test_an_idle_connection_in_a_drain_counts_as_no_refusal() -> None:
    harness, wire = _draining()
    harness.pass_time(GRACE_S + LATE_S)

    assert wire.is_lost()
    assert harness.server.refused["idle"] == 0


# On sockets, with the listener.

Serve = Callable[..., None]  # The handler, the test's coroutine, and perhaps the limits.


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Run a test's coroutine beside a server on a socket of its own."""
    loop = uvloop.new_event_loop()

    def run(
        handler: Callable[[Request], None],
        test: Callable[[HttpServer, int], Coroutine[Any, Any, None]],
        limits: Limits | None = None,
    ) -> None:
        async def go() -> None:
            listening = socket.create_server(("127.0.0.1", 0))
            listening.setblocking(False)
            row = Scoreboard(1).claim(0, 0)
            assert row is not None
            settings = Http(limits=limits or Limits(max_body_bytes=1_000_000))
            server = HttpServer(
                asyncio.get_running_loop(), settings, {"/events": {"POST": handler}}, row, logging.getLogger("test")
            )
            server.start([listening])
            try:
                await asyncio.wait_for(test(server, listening.getsockname()[1]), 60)
            finally:
                server.close()
                while row.connections:
                    await asyncio.sleep(0)

        loop.run_until_complete(go())

    yield run
    loop.close()


def _answer(request: Request) -> None:
    request.reply(200, "OK", b"done", b"text/plain")


async def _open(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", port)


def test_a_drain_without_connections_is_over_at_once(serve: Serve) -> None:
    async def test(server: HttpServer, port: int) -> None:
        assert await server.drain(asyncio.get_running_loop().time() + 3600) == 0
        with pytest.raises(ConnectionRefusedError):
            await _open(port)

    serve(_answer, test)


def test_a_drain_ends_with_the_last_answer(serve: Serve) -> None:
    waiting: list[Request] = []

    async def test(server: HttpServer, port: int) -> None:
        reader, writer = await _open(port)
        writer.write(post())
        while not waiting:
            await asyncio.sleep(0)
        drain = asyncio.ensure_future(server.drain(asyncio.get_running_loop().time() + 60))
        await asyncio.sleep(0)
        waiting[0].reply(200, "OK", b"done")
        answered = await reader.read()
        writer.close()

        assert responses(answered)[0].headers["Connection"] == "close"
        assert await drain == 0

    serve(waiting.append, test)


async def _rest(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    """All that the server sends until it closes, or cuts."""
    try:
        return await reader.read()
    except ConnectionResetError:
        return b""
    finally:
        writer.close()


def test_half_a_request_is_cut_off_at_the_deadline_and_an_idle_connection_is_not_counted(serve: Serve) -> None:
    async def test(server: HttpServer, port: int) -> None:
        idle = await _open(port)
        half = await _open(port)
        half[1].write(post()[:-1])
        while not server.in_flight_bytes or server.connections < 2:
            await asyncio.sleep(0)
        cut = await server.drain(asyncio.get_running_loop().time() + 0.05)

        assert cut == 1
        assert (await _rest(*half), await _rest(*idle)) == (b"", b"")

    serve(keep, test)


def test_what_waits_for_an_ack_at_the_deadline_is_answered_before_the_end(serve: Serve) -> None:
    """Acks that are settled after HTTP's deadline, in the very turn of the end, still reach all their clients."""
    waiting: list[Request] = []

    async def test(server: HttpServer, port: int) -> None:
        loop = asyncio.get_running_loop()
        clients = [await _open(port) for _ in range(20)]
        for _, writer in clients:
            writer.write(post())
        while len(waiting) < 20:
            await asyncio.sleep(0)
        assert await server.drain(loop.time() + 0.05) == 0
        for request in waiting:
            request.problem(503, "The outcome is not known.", retry_after_s=1)
        assert await server.finish(loop.time()) == 0
        answers = [responses(await _rest(*client)) for client in clients]

        assert [[answer.status for answer in answered] for answered in answers] == [[503]] * 20

    serve(waiting.append, test)


def test_the_end_waits_for_a_client_that_is_slow_to_take_its_answer(serve: Serve) -> None:
    body = b"x" * 20_000_000

    async def test(server: HttpServer, port: int) -> None:
        loop = asyncio.get_running_loop()
        reader, writer = await _open(port)
        writer.write(post())
        while not server.in_flight_bytes:
            await asyncio.sleep(0)
        assert await server.drain(loop.time()) == 0, "an answer on its way is not cut off yet"
        finish = asyncio.ensure_future(server.finish(loop.time() + 60))
        answered = await _rest(reader, writer)

        assert await finish == 0
        assert responses(answered)[0].body == body

    serve(lambda request: request.reply(200, "OK", body), test)


def test_what_is_never_answered_is_cut_off_at_the_end(serve: Serve) -> None:
    async def test(server: HttpServer, port: int) -> None:
        loop = asyncio.get_running_loop()
        reader, writer = await _open(port)
        writer.write(post())
        while not server.requests:
            await asyncio.sleep(0)
        cut = (await server.drain(loop.time() + 0.05), await server.finish(loop.time() + 0.05))

        assert cut == (0, 1)
        assert await _rest(reader, writer) == b""

    serve(keep, test)


def test_one_connection_too_many_is_told_so(serve: Serve) -> None:
    """The listener takes some more than are served, so that they need not wait in vain."""

    async def test(server: HttpServer, port: int) -> None:
        clients = [await _open(port) for _ in range(9)]
        answered = await _rest(*clients[8])
        for _, writer in clients:
            writer.close()

        assert [response.status for response in responses(answered)] == [503]
        assert server.refused["connections"] == 1

    serve(_answer, test, Limits(max_connections=8))


def test_a_client_in_the_middle_of_a_large_body_gets_to_read_its_413(serve: Serve) -> None:
    """The kernel would reset the connection, and destroy the answer, were it closed with bytes unread."""

    async def test(server: HttpServer, port: int) -> None:
        reader, writer = await _open(port)
        writer.write(b"POST /events HTTP/1.1\r\nHost: a\r\nContent-Length: 8000000\r\n\r\n")
        for _ in range(80):
            writer.write(b"x" * 100_000)
            await writer.drain()
        writer.write_eof()
        answered = await reader.read()
        writer.close()

        assert [response.status for response in responses(answered)] == [413]

    serve(_answer, test)


def test_a_client_that_reads_nothing_does_not_make_the_server_grow(serve: Serve) -> None:
    def answer_much(request: Request) -> None:
        request.reply(200, "OK", b"x" * 1_000_000)

    async def test(server: HttpServer, port: int) -> None:
        client = socket.create_connection(("127.0.0.1", port))
        client.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(client, post() * 200)
        served = -1
        while served != server.requests:
            served = server.requests
            await asyncio.sleep(0.05)
        assert served < 20

        received = 0
        while received < 200 * 1_000_000:
            received += len(await loop.sock_recv(client, 1 << 20))
        client.close()
        assert server.requests == 200

    serve(answer_much, test)


def test_counts_reach_the_row(serve: Serve) -> None:
    async def test(server: HttpServer, port: int) -> None:
        reader, writer = await _open(port)
        writer.write(post())
        await reader.readuntil(b"done")
        row = cast(Any, server)._row
        assert (row.connections, server.connections, server.requests, server.answered(200)) == (1, 1, 1, 1)
        writer.close()
        while row.connections:
            await asyncio.sleep(0)

    serve(_answer, test)
