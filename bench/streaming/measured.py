"""Measure EventStreams with many clients: deliveries, CPU, memory, and the time from producing an event to a client.

Place: `python -m bench eventstreams`; part of no other bench.
Rules: broker, program, clients and producer are processes or threads of one machine, over loopback. A client counts
events by their first line and reads the time of production from the event. Phases: idle (memory for each client), a
steady rate (latency, CPU), as fast as it goes (deliveries per second), and the steady rate again with as many frozen
clients (memory, latency of the others).
Not here: the intake, whose benches are others; correctness (tests/eventstreams).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import re
import socket
import sys
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, cast

from confluent_kafka import Producer

from tests.harness.broker import Kafka
from tests.harness.streaming import OWN, Streams
from tests.harness.topics import create

TOPIC = "bench.eventstreams"
PATH = f"/v2/stream/{TOPIC}"
SENT = re.compile(rb'\ndata: \{"sent_ns":(\d+)')
PADDING = "x" * 700  # An event of Wikimedia's recentchange has about this size.
WARM_S = 2.0


class Reader(asyncio.Protocol):
    """One client: counts events, and notes how long each 50th took."""

    def __init__(self, crowd: Crowd) -> None:
        self._crowd = crowd
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast(asyncio.Transport, transport).write(f"GET {PATH} HTTP/1.1\r\nHost: bench\r\n\r\n".encode())

    def data_received(self, received: bytes) -> None:
        text = self._rest + received
        count = received.count(b"\ndata: ")
        self._crowd.events += count
        if count and self._crowd.turn():
            now = time.time_ns()
            self._crowd.waits_ms += [(now - int(found)) / 1e6 for found in SENT.findall(text)]
        self._rest = text[-64:] if not text.endswith(b"\n") else b""


class Crowd:
    """All clients of a process."""

    def __init__(self) -> None:
        self.events = 0
        self.waits_ms: list[float] = []
        self._turns = 0

    def turn(self) -> bool:
        self._turns += 1
        return self._turns % 50 == 0


def read(address: tuple[str, int], clients: int, pipe: Connection) -> None:
    """Be the process of the clients. It answers each message with its counts, and ends on None."""

    async def serve() -> None:
        crowd, loop = Crowd(), asyncio.get_running_loop()
        transports = [(await loop.create_connection(lambda: Reader(crowd), *address))[0] for _ in range(clients)]
        pipe.send("open")
        while (await loop.run_in_executor(None, pipe.recv)) is not None:
            pipe.send((crowd.events, crowd.waits_ms))
            crowd.events, crowd.waits_ms = 0, []
        for transport in transports:
            transport.close()

    import uvloop

    uvloop.run(serve())


class Clients:
    """A process of clients, as the bench sees it."""

    def __init__(self, address: tuple[str, int], count: int) -> None:
        self._pipe, theirs = multiprocessing.get_context("spawn").Pipe()
        self._process = multiprocessing.get_context("spawn").Process(target=read, args=(address, count, theirs))
        self._process.start()
        assert self._pipe.recv() == "open"

    def counts(self) -> tuple[int, list[float]]:
        self._pipe.send("counts")
        events, waits_ms = self._pipe.recv()
        return events, waits_ms

    def close(self) -> None:
        self._pipe.send(None)
        self._process.join(10)


def produce(servers: str, per_s: float, seconds: float) -> int:
    """Produce events at a steady rate. Returns their number."""
    producer = Producer({"bootstrap.servers": servers, "linger.ms": 0})
    began, sent = time.monotonic(), 0
    while (now := time.monotonic()) < began + seconds:
        while sent < (now - began) * per_s:
            event = f'{{"sent_ns":{time.time_ns()},"meta":{{"stream":"{TOPIC}","id":"{sent}"}},"text":"{PADDING}"}}'
            producer.produce(TOPIC, event)
            sent += 1
        producer.poll(0)
        time.sleep(0.002)
    producer.flush(10)
    return sent


def usage(pid: int) -> tuple[float, int]:
    """Return CPU seconds and resident bytes of a process."""
    stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(stat[11]) + int(stat[12])) / 100, int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096


def percentile(waits_ms: list[float], share: float) -> float:
    """Return a percentile, in milliseconds."""
    return round(sorted(waits_ms)[int(len(waits_ms) * share)], 1) if waits_ms else float("nan")


def steady(servers: str, worker: int, clients: Clients, per_s: float, seconds: float) -> dict[str, Any]:
    """Measure a steady rate."""
    produce(servers, per_s, WARM_S)
    time.sleep(0.5)
    clients.counts()
    before_s = usage(worker)[0]
    began = time.monotonic()
    produced = produce(servers, per_s, seconds)
    time.sleep(0.5)
    elapsed_s = time.monotonic() - began
    events, waits_ms = clients.counts()
    used_s, resident = usage(worker)
    return {
        "produced_per_s": round(produced / seconds),
        "deliveries_per_s": round(events / elapsed_s),
        "deliveries": events,
        "cpu_us_per_delivery": round((used_s - before_s) / max(events, 1) * 1e6, 2),
        "cpu_share": round((used_s - before_s) / elapsed_s, 2),
        "p50_ms": percentile(waits_ms, 0.5),
        "p99_ms": percentile(waits_ms, 0.99),
        "resident_mb": round(resident / 1e6, 1),
    }


def freeze(address: tuple[str, int], count: int) -> list[socket.socket]:
    """Return clients that ask and never read."""
    frozen = []
    for _ in range(count):
        one = socket.socket()
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        one.connect(address)
        one.sendall(f"GET {PATH} HTTP/1.1\r\nHost: bench\r\n\r\n".encode())
        frozen.append(one)
    return frozen


def measured(kafka: Kafka, directory: Path, clients: int, seconds: float) -> dict[str, Any]:
    """Return all figures."""
    declared = f"streams: {{{TOPIC}: {{schema_title: web/page_view, consumers: {{eventstreams: {{enabled: true}}}}}}}}"
    (directory / "own.yaml").write_text(declared)
    own = OWN | {"limits": {"max_clients_per_address": 0, "write_stall_s": 3600.0}}
    more = {"streams": {"sources": [str(directory / "own.yaml")]}, "eventstreams": own}
    sink = {"kind": "kafka", "kafka": {"bootstrap.servers": kafka.servers}}
    create(kafka.servers, TOPIC)
    found: dict[str, Any] = {"clients": clients}
    with Streams(directory, sink=sink, **more) as streams:
        (worker,) = streams.workers()
        one = Clients(streams.address, 1)
        found["one client"] = steady(kafka.servers, worker, one, 100, seconds)
        before = usage(worker)[1]
        many = Clients(streams.address, clients)
        time.sleep(2)
        found["resident_kb_per_idle_client"] = round((usage(worker)[1] - before) / clients / 1000, 1)
        found["steady"] = steady(kafka.servers, worker, many, 20, seconds)
        found["fast"] = steady(kafka.servers, worker, many, 400, seconds)
        before = usage(worker)[1]
        frozen = freeze(streams.address, clients)
        found["steady, with as many frozen"] = steady(kafka.servers, worker, many, 20, 2 * seconds)
        found["resident_kb_per_frozen_client"] = round((usage(worker)[1] - before) / clients / 1000, 1)
        for each in frozen:
            each.close()
        many.close()
        one.close()
    return found


def run(arguments: list[str]) -> int:
    """Run the bench. Prints JSON."""
    parser = argparse.ArgumentParser(prog="python -m bench eventstreams", description=__doc__)
    parser.add_argument("--clients", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each phase")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as text:
        directory = Path(text)
        (directory / "kafka").mkdir()
        kafka = Kafka(directory / "kafka")
        kafka.start()
        try:
            found = measured(kafka, directory, options.clients, options.seconds)
        finally:
            kafka.stop()
    json.dump(found, sys.stdout, indent=1)
    print()
    return 0
