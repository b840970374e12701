"""Measure the cost of HTTP alone: an immediate 202 to a POST, compared with the bare server of bench.peers in one run.

Place: ``python -m bench.micro.http [--against TREE]``, about 20 s; bench.quick measures the whole intake.
Rules: each peer is a process of its own, asked in turns for short rounds. Minima of many: neighbours on a shared
machine only ever add. First without a kernel (bytes handed to the protocol, writes thrown away: Python's share, steady
to 2 %), then over loopback sockets (CPU of the server's process as the scheduler counts it, steady to 5 %).
``--against`` puts the ``server`` package of another checkout into the same run: before and after.
The heads: ``same`` one head again and again; ``lengths`` 200 lengths of bodies in turn; ``unique`` a header that never
comes twice, as behind a proxy that numbers requests.
Not here: events, handlers, many connections.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import uvloop

from bench.peers import bare

ROOT = Path(__file__).parents[2]
PEERS = ("bare", "http", "against")
HEADS = ("same", "lengths", "unique")
BODY_BYTES = 487  # The middle of real events.
BATCH = 1000  # Requests of a round without a kernel.
CONNECTIONS = 16
TURNS = 100  # Of all connections, a round over sockets.


def requests(head: str, count: int, start: int = 0) -> list[bytes]:
    """Requests as a client on a kept-alive connection sends them."""
    made = []
    for number in range(start, start + count):
        size = BODY_BYTES - number % 200 if head == "lengths" else BODY_BYTES
        more = b"X-Request-Id: %016x\r\n" % number if head == "unique" else b""
        made.append(
            b"POST /v1/events?hasty=true HTTP/1.1\r\nHost: intake.example.org:8192\r\nAccept: */*\r\n"
            b"User-Agent: python-requests/2.32.3\r\nAccept-Encoding: gzip, deflate\r\n"
            b"Content-Type: application/json\r\n%bContent-Length: %d\r\n\r\n%b" % (more, size, b"x" * size)
        )
    return made


# A peer: a child process.


class Drain:
    """A transport that throws away what is written."""

    def write(self, _: bytes) -> None:
        """Forget it."""

    def get_extra_info(self, name: str) -> Any:
        """The peer's address."""
        return ("192.0.2.1", 4711) if name == "peername" else None

    def is_closing(self) -> bool:
        """Never."""
        return False


def accept(request: Any) -> None:
    """The handler: what the intake answers to a hasty event."""
    request.reply(202, "1 events hastily received.")


def make(peer: str, tree: str, loop: asyncio.AbstractEventLoop) -> tuple[Callable[[], asyncio.Protocol], Any]:
    """What makes the peer's connections, and the server behind them, if any."""
    if peer == "bare":
        return bare.Connection, None
    sys.path.insert(0, tree)
    from server.config.settings import Http  # from ``tree``, whichever that is
    from server.http.server import HttpServer
    from server.shared.scoreboard import Scoreboard

    routes = {"/v1/events": {"POST": accept}}
    server = HttpServer(loop, Http(), routes, cast(Any, Scoreboard(1).claim(0, 0)), logging.getLogger())
    return server.connection, server


def be(peer: str, tree: str) -> None:
    """Measure batches without a kernel as told on standard input, then serve on a socket until killed."""
    loop = uvloop.new_event_loop()
    asyncio.set_event_loop(loop)
    factory, server = make(peer, tree, loop)
    number = 0
    for line in sys.stdin:
        if line == "serve\n":
            break
        batch = requests(line.strip(), BATCH, number)
        number += BATCH
        connection = factory()
        connection.connection_made(cast(Any, Drain()))
        receive = cast(Any, connection).data_received
        if server is not None:
            server.turn(loop.time(), time.time())
        start_ns = time.process_time_ns()
        for request in batch:
            receive(request)
        print((time.process_time_ns() - start_ns) / BATCH, flush=True)
    factory, server = make(peer, tree, loop)  # A new one: it knows nothing of the heads before.
    listening = socket.create_server(("127.0.0.1", 0))
    listening.setblocking(False)
    if server is not None:
        server.start([listening])
    else:
        loop.run_until_complete(loop.create_server(factory, sock=listening))
    print(listening.getsockname()[1], flush=True)
    loop.run_forever()


# Who asks them.


class Peer:
    """A peer's process and what its rounds cost."""

    def __init__(self, name: str, tree: Path) -> None:
        command = [sys.executable, "-m", "bench.micro.http", "--be", name, "--against", str(tree)]
        self.process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.costs_ns: dict[tuple[str, str], list[float]] = {}
        self._sockets: list[socket.socket] = []

    def ask(self, order: str) -> float:
        """Give an order, get a number."""
        assert self.process.stdin is not None and self.process.stdout is not None
        print(order, file=self.process.stdin, flush=True)
        return float(self.process.stdout.readline())

    def connect(self) -> None:
        """From now on over sockets."""
        address = ("127.0.0.1", int(self.ask("serve")))
        self._sockets = [socket.create_connection(address) for _ in range(CONNECTIONS)]

    def load(self, batch: list[bytes]) -> float:
        """CPU of the server for one request, in ns: each connection asks and waits for the answer, in turns."""
        used = Path(f"/proc/{self.process.pid}/schedstat")
        before_ns = int(used.read_text().split()[0])
        for start in range(0, len(batch), CONNECTIONS):
            for at, connection in enumerate(self._sockets):
                connection.sendall(batch[start + at])
            for connection in self._sockets:
                assert connection.recv(4096).startswith(b"HTTP/1.1 20")
        return (int(used.read_text().split()[0]) - before_ns) / len(batch)

    def add(self, how: str, head: str, cost_ns: float) -> None:
        """Keep what a round cost."""
        self.costs_ns.setdefault((how, head), []).append(cost_ns)


def measure(peers: list[Peer], rounds: int) -> None:
    """All rounds, in turns; each begins with another peer."""
    for head in HEADS:
        for turn in range(rounds):
            for at in range(len(peers)):
                peer = peers[(turn + at) % len(peers)]
                peer.add("no kernel", head, peer.ask(head))
    for peer in peers:
        peer.connect()
    for head in HEADS:
        for turn in range(rounds):
            batch = requests(head, TURNS * CONNECTIONS, turn * TURNS * CONNECTIONS)
            for at in range(len(peers)):
                peer = peers[(turn + at) % len(peers)]
                peer.add("socket", head, peer.load(batch))


def show(peers: dict[str, Peer]) -> None:
    """A table: µs of CPU for a request, and the ratio to ``bare``."""
    print(f"{'µs CPU a request':20}" + "".join(f"{name:>10}" for name in peers) + "   http : bare")
    for key in peers["bare"].costs_ns:
        costs = {name: min(peer.costs_ns[key]) / 1000 for name, peer in peers.items()}
        ratio = costs["http"] / costs["bare"]
        print(f"{', '.join(key):20}" + "".join(f"{cost:10.2f}" for cost in costs.values()) + f"{ratio:12.2f}")


def run(argv: list[str]) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="bench http", description="What HTTP alone costs beside a bare server.")
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--against", type=Path, help="another checkout: its server in the same run")
    parser.add_argument("--be", choices=PEERS, help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.be:
        be(options.be, str(options.against))
        return 0
    trees = {"bare": ROOT, "http": ROOT} | ({"against": options.against.resolve()} if options.against else {})
    peers = {name: Peer(name, tree) for name, tree in trees.items()}
    try:
        measure(list(peers.values()), options.rounds)
    finally:
        for peer in peers.values():
            peer.process.kill()
            peer.process.wait()
    show(peers)
    return 0


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
