"""Attacks by clients that are slow, that hold as much as they can, or that disconnect in the middle.

Place: table → HERE → wire.
Rule: they cost the attacker next to nothing, so they must cost the server next to nothing.
Not here: attacks by work (bodies), by number of names (names).
"""

from __future__ import annotations

import asyncio
import resource
import socket
import time
from collections import Counter

from bench.attacks.wire import Line, Outcome, Target, ask, post, request, together
from server.config.limit_settings import EXTERNAL

PACE_S = 0.1  # Between two bytes: far below any bound on standing still.
EVENT = b'{"$schema":"/web/page_view/1.1.0","meta":{"stream":"web.page_view"},"page":"/"}'
LARGE = post(b"[" + b",".join([b"{}"] * 1_000) + b"]", target="/v1/events")  # Answered with 170 kB.


async def _drip(target: Target, first: bytes, byte: bytes) -> str:
    """Send ``first``, then a byte now and then, until there is an answer."""
    line = await Line.open(target)
    line.writer.write(first)
    answer = asyncio.create_task(line.word(8 * target.patience_s + 4))
    while not answer.done():
        await asyncio.wait([answer], timeout=PACE_S)
        if not answer.done():
            line.writer.write(byte)
    line.close()
    return answer.result()


async def slow_heads(target: Target) -> Outcome:
    """A head of which a byte comes now and then."""
    first = b"POST /v1/events HTTP/1.1\r\nHost: attack.example\r\nX-Slow: "
    return await together(target.count(500), lambda _: _drip(target, first, b"a"))


async def slow_bodies(target: Target) -> Outcome:
    """A body that never stands still, and never ends."""
    first = post(b" " * 100_000)[:-100_000]
    return await together(target.count(500), lambda _: _drip(target, first, b" "))


async def slow_chunks(target: Target) -> Outcome:
    """The same in chunks of one byte, without a length."""
    first = b"POST /v1/events HTTP/1.1\r\nHost: attack.example\r\nTransfer-Encoding: chunked\r\n\r\n"
    return await together(target.count(500), lambda _: _drip(target, first, b"1\r\n \r\n"))


async def still_bodies(target: Target) -> Outcome:
    """Half of a body, and nothing more."""

    async def one(_: int) -> str:
        line = await Line.open(target)
        line.writer.write(post(b" " * 60_000)[:-30_000])
        word = await line.word(8 * target.patience_s + 4)
        line.close()
        return word

    return await together(target.count(200), one)


async def large_bodies(target: Target) -> Outcome:
    """A hundred times more bytes of bodies than a worker may hold, none of them whole."""
    body = b" " * EXTERNAL["max_body_bytes"]
    first = post(body)[:-1]
    # At least twice what may be held: fewer would show nothing.
    count = max(2 * EXTERNAL["max_in_flight_bytes"] // len(body), target.count(3_200))
    gate = asyncio.Semaphore(200)

    async def one(_: int) -> str:
        async with gate:
            line = await Line.open(target)
            line.writer.write(first)
            word = await line.word(8 * target.patience_s + 4)
            line.close()
            return word

    return await together(count, one)


async def _not_reading(target: Target, taken_bytes: int) -> str:
    """Ask for more than the kernel holds, take so many bytes of it every PACE_S, and see whether it ends."""
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(connection, ("127.0.0.1", target.port))
        sending = asyncio.ensure_future(loop.sock_sendall(connection, LARGE * 60))
        deadline = time.monotonic() + 10 * target.patience_s + 4
        try:
            while time.monotonic() < deadline:
                await asyncio.sleep(PACE_S)
                if _has_ended(connection):
                    return "cut off"
                if taken_bytes:
                    try:
                        connection.recv(taken_bytes)
                    except BlockingIOError:
                        continue
            return "still served"
        except ConnectionError:
            return "cut off"
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)


def _has_ended(connection: socket.socket) -> bool:
    """Whether the other side has closed or reset it, by the kernel's book (the first byte of tcp_info is the state)."""
    established = 1
    return connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] != established


async def no_readers(target: Target) -> Outcome:
    """Send requests and read no answers."""
    return await together(target.count(40), lambda _: _not_reading(target, 0))


async def slow_readers(target: Target) -> Outcome:
    """Answers of which a few bytes are taken now and then."""
    return await together(target.count(40), lambda _: _not_reading(target, 50))


async def idle(target: Target) -> Outcome:
    """10,000 connections: half of them say nothing, half have had one answer. They come from 40 addresses."""
    count = target.count(10_000)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard < count + 200:
        return Counter({f"not possible with {hard} descriptors": 1})
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    gate = asyncio.Semaphore(100)
    is_over = asyncio.Event()
    left = count

    async def one(number: int) -> str:
        nonlocal left
        async with gate:
            line = await Line.open(target, f"127.0.1.{number % 40 + 1}")
            word = "open"
            if number % 2:
                line.writer.write(request("GET", "/healthz"))
                word = await line.word()
        left -= 1
        if not left:
            is_over.set()
        await is_over.wait()
        await asyncio.sleep(1.0)  # All of them, at the same time.
        line.close()
        return word

    return await together(count, one)


async def forgotten(target: Target) -> Outcome:
    """Connections that are left open: the server closes them."""

    async def one(number: int) -> str:
        line = await Line.open(target)
        if number % 2:
            line.writer.write(request("GET", "/healthz"))
            await line.word()
        word = await line.word(8 * target.patience_s + 4)
        line.close()
        return word

    return await together(target.count(100), one)


async def half_closed(target: Target) -> Outcome:
    """The client's side is closed: behind a whole request, in a head, in a body."""
    whole = post(EVENT)

    async def one(number: int) -> str:
        line = await Line.open(target)
        line.writer.write((whole, whole[:20], whole[:-10])[number % 3])
        line.writer.write_eof()
        word = await line.word()
        line.close()
        return word

    return await together(target.count(1_500), one)


async def resets(target: Target) -> Outcome:
    """Connections reset behind a request, in a head, in a body, in an answer; one after another."""
    whole = post(EVENT)
    outcome: Outcome = Counter()
    for number in range(target.count(2_000)):
        line = await Line.open(target)
        line.writer.write((whole, whole[:20], whole[:-10], LARGE)[number % 4])
        if number % 4 == 3:
            await line.reader.read(100)
        line.reset()
        outcome["left"] += 1
    outcome[f"then {await ask(target, whole)}"] += 1
    return outcome


async def flood(target: Target) -> Outcome:
    """As many requests as fit, without waiting for answers: they must come in order."""
    outcome: Outcome = Counter()

    async def one(name: int) -> None:
        line = await Line.open(target)
        for first in range(0, target.count(5_000), 500):
            ids = [b"%d-%d" % (name, first + index) for index in range(500)]
            line.writer.write(b"".join(post(EVENT, b"X-Request-Id: " + each) for each in ids))
            for each in ids:
                answer = await line.answer()
                is_own = b"\r\nX-Request-Id: " + each + b"\r\n" in answer.head + b"\r\n"
                outcome[answer.word if is_own else "out of order"] += 1
            await asyncio.sleep(0.05)
        line.close()

    await asyncio.gather(*(one(name) for name in range(4)))
    return outcome


async def churn(target: Target) -> Outcome:
    """A connection for every request."""
    raws = (request("GET", "/healthz", b"", b"Connection: close") for _ in range(target.count(2_000)))
    outcome: Outcome = Counter()
    for raw in raws:
        outcome[await ask(target, raw)] += 1
        await asyncio.sleep(0.0005)
    return outcome
