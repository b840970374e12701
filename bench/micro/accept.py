"""Three ways for worker processes to share listening addresses: spread, CPU, and what a fault does to connections.

Place: run by hand, ``python -m bench.micro.accept``; its table is in docs/decisions/0001-listening-sockets.md.
Rules: real forks on loopback, the load in a process of its own, the ways interleaved, everything bounded in time.
The ways: ``shared`` = one inherited socket, uvloop's own server in each worker; ``polite`` = the same socket behind
``server.http.listener``; ``reuseport`` = a SO_REUSEPORT socket for each slot, held by the master.
Not here: the cost of HTTP and events (bench.load).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import socket
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import uvloop

from server.http.listener import Listener
from server.shared.row import READY, WorkerRow
from server.shared.scoreboard import Scoreboard

WAYS = ("shared", "polite", "reuseport")
ANSWER_S = 2.0  # A client that has waited this long counts as left hanging.
_REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


# The workers.


class Answer(asyncio.Protocol):
    """Answers every request with the slot of this worker."""

    def __init__(self, row: WorkerRow) -> None:
        self.row = row

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.row.connections += 1

    def connection_lost(self, exc: Exception | None) -> None:
        self.row.connections -= 1

    def data_received(self, data: bytes) -> None:
        self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%d" % self.row.slot)


def work(way: str, listening: socket.socket, row: WorkerRow) -> None:
    """The whole life of a worker: take connections until TERM, then leave the queue alone and go."""
    loop = uvloop.new_event_loop()
    asyncio.set_event_loop(loop)
    if way == "polite":
        listener = Listener(loop, [listening], lambda: Answer(row), row)
        listener.start()
        stop: Callable[[], None] = listener.stop
    else:
        server = loop.run_until_complete(loop.create_server(lambda: Answer(row), sock=listening))
        stop = server.close

    def leave() -> None:
        stop()
        loop.call_later(0.3, loop.stop)

    loop.add_signal_handler(signal.SIGTERM, leave)

    def beat() -> None:
        row.beat()
        loop.call_later(0.1, beat)

    beat()
    row.set_state(READY)
    loop.run_forever()


class Service:
    """What a master does, for the length of one measurement."""

    def __init__(self, way: str, workers: int) -> None:
        self.way = way
        self.board = Scoreboard(workers * 4)
        self.sockets = [self._bind(0)]
        self.port: int = self.sockets[0].getsockname()[1]
        if way == "reuseport":
            self.sockets += [self._bind(self.port) for _ in range(workers - 1)]
        self.rows = [self.fork(slot) for slot in range(workers)]

    def _bind(self, port: int) -> socket.socket:
        listening = socket.socket()
        if self.way == "reuseport":
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listening.bind(("127.0.0.1", port))
        listening.listen(4096)
        listening.setblocking(False)
        return listening

    def fork(self, slot: int) -> WorkerRow:
        """Start a worker and wait until it takes connections."""
        row = self.board.claim(slot, 1)
        assert row is not None
        row.pid = os.fork() or self._child(slot, row)
        deadline = time.monotonic() + 10
        while row.state is not READY and time.monotonic() < deadline:
            time.sleep(0.001)
        return row

    def _child(self, slot: int, row: WorkerRow) -> int:
        code = 1
        try:
            work(self.way, self.sockets[slot % len(self.sockets)], row)
            code = 0
        finally:
            os._exit(code)

    def end(self, row: WorkerRow, number: signal.Signals) -> None:
        os.kill(row.pid, number)
        os.waitpid(row.pid, 0)
        self.board.release(row)
        self.rows.remove(row)

    def close(self) -> None:
        for row in list(self.rows):
            self.end(row, signal.SIGKILL)
        for listening in self.sockets:
            listening.close()

    def cpu_s(self) -> float:
        """CPU seconds of all workers, from the scheduler's own nanosecond counts."""
        return sum(int(Path(f"/proc/{row.pid}/schedstat").read_text().split()[0]) for row in self.rows) / 1e9


# The clients, in a process of their own.


async def attempt(port: int) -> tuple[str, str, float]:
    """One connection, one request: outcome, answering slot, milliseconds."""
    begun = time.monotonic()
    slot, writer = "", None
    try:
        async with asyncio.timeout(ANSWER_S):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(_REQUEST)
            answer = await reader.readuntil(b"\r\n\r\n")
            slot = (await reader.readexactly(1)).decode()
            outcome = "ok" if answer else "eof"
    except TimeoutError:
        outcome = "hanging"
    except ConnectionRefusedError:
        outcome = "refused"
    except (ConnectionResetError, asyncio.IncompleteReadError):
        outcome = "reset"
    if writer is not None:
        writer.close()
    return outcome, slot, (time.monotonic() - begun) * 1e3


async def spread(port: int, connections: int) -> Counter[str]:
    """Open all at once and keep them: connections per slot."""

    async def hold() -> tuple[str, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(_REQUEST)
        await reader.readuntil(b"\r\n\r\n")
        return (await reader.readexactly(1)).decode(), writer

    held = await asyncio.gather(*(hold() for _ in range(connections)))
    slots = Counter(slot for slot, _ in held)
    for _, writer in held:
        writer.close()
    return slots


async def churn(port: int, connections: int, at_once: int = 16) -> list[tuple[str, str, float]]:
    """A connection for each request, ``at_once`` of them at a time."""

    async def one_client() -> list[tuple[str, str, float]]:
        return [await attempt(port) for _ in range(connections // at_once)]

    return [line for lines in await asyncio.gather(*(one_client() for _ in range(at_once))) for line in lines]


async def steady(port: int, for_s: float, per_s: int) -> list[tuple[str, str, float]]:
    """Make attempts at a fixed rate, without waiting for the outcome of earlier ones."""
    tasks = []
    begun = time.monotonic()
    for number in range(int(for_s * per_s)):
        await asyncio.sleep(max(0.0, begun + number / per_s - time.monotonic()))
        tasks.append(asyncio.create_task(attempt(port)))
    return await asyncio.gather(*tasks)


class Load:
    """Run a coroutine function in a process of its own; ``result`` waits for what it returned."""

    def __init__(self, client: Callable[..., Any], *arguments: object) -> None:
        reader, writer = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            code = 1
            try:
                os.write(writer, json.dumps(asyncio.run(client(*arguments))).encode())
                code = 0
            finally:
                os._exit(code)
        os.close(writer)
        self._reader = reader

    def result(self) -> Any:
        pieces = iter(lambda: os.read(self._reader, 1 << 20), b"")
        answer = json.loads(b"".join(pieces))
        os.close(self._reader)
        os.waitpid(self.pid, 0)
        return answer


# The measurements.


def measure_spread(way: str, workers: int, connections: int) -> str:
    service = Service(way, workers)
    try:
        slots = Load(spread, service.port, connections).result()
    finally:
        service.close()
    return "/".join(str(slots.get(str(slot), 0)) for slot in range(workers))


def measure_cpu_us(way: str, workers: int, connections: int) -> float:
    """CPU of the workers for a connection with one request: the median of three runs."""
    costs = []
    service = Service(way, workers)
    try:
        Load(churn, service.port, 320).result()
        for _ in range(3):
            before = service.cpu_s()
            Load(churn, service.port, connections).result()
            costs.append((service.cpu_s() - before) / connections * 1e6)
    finally:
        service.close()
    return statistics.median(costs)


def measure_fault(way: str, fault: str, workers: int = 2) -> str:
    """Attempts at 300/s for 3 s; one second in, the fault happens to one worker."""
    service = Service(way, workers)
    try:
        load = Load(steady, service.port, 3.0, 300)
        time.sleep(1.0)
        victim = service.rows[0]
        if fault == "stopped 1 s":
            os.kill(victim.pid, signal.SIGSTOP)
            time.sleep(0.3)
            victim.ignore_load()  # As the master does for a worker that beats late.
            time.sleep(0.7)
            os.kill(victim.pid, signal.SIGCONT)
        elif fault == "killed, back after 0.5 s":
            service.end(victim, signal.SIGKILL)
            time.sleep(0.5)
            service.rows.append(service.fork(0))
        elif fault == "replaced":
            service.rows.append(service.fork(0))
            service.end(victim, signal.SIGTERM)
        lines = load.result()
    finally:
        service.close()
    outcomes = Counter(outcome for outcome, _, _ in lines)
    slow = sum(ms > 50 for _, _, ms in lines)
    bad = {name: count for name, count in outcomes.items() if name != "ok"}
    return f"{bad or 'none lost'}, {slow} over 50 ms, worst {max(ms for _, _, ms in lines):.0f} ms"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.micro.accept", description=__doc__.splitlines()[0])
    parser.add_argument("--connections", type=int, default=4000, help="connections for each CPU figure")
    parser.add_argument("--only", choices=("spread", "cpu", "fault"), help="one of the three tables")
    options = parser.parse_args()
    versions = f"Python {sys.version.split()[0]}, uvloop {version('uvloop')}, Linux {os.uname().release}"
    print(f"{os.cpu_count()} cores, {versions}")
    for workers in (2, 4):
        for way in WAYS:
            if options.only in (None, "spread"):
                for connections in (64, 1000):
                    runs = ", ".join(measure_spread(way, workers, connections) for _ in range(3))
                    print(f"spread  {way:<10} {workers} workers {connections:>4} connections: {runs}", flush=True)
            if options.only in (None, "cpu"):
                cost = measure_cpu_us(way, workers, options.connections)
                print(f"cpu     {way:<10} {workers} workers: {cost:.1f} us a connection with one request", flush=True)
    if options.only in (None, "fault"):
        for fault in ("stopped 1 s", "killed, back after 0.5 s", "replaced"):
            for way in WAYS:
                print(f"fault   {way:<10} {fault}: {measure_fault(way, fault)}", flush=True)


if __name__ == "__main__":
    main()
