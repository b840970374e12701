"""Measure EventStreams with many clients: deliveries, CPU, memory, and the time from producing an event to a client.

Place: `python -m bench eventstreams`; part of no other bench.
Rules: broker, program, peer, clients and producer are processes of one machine, over loopback. Three parts, each by
itself with `--only`:
1. rates: memory per idle client, a steady rate (latency, CPU), a fast one (deliveries per second).
2. frozen: the steady rate, in turns without and with as many clients that never read. Before each turn with them,
   events are sent until their buffers are full. The exit code is 1 if memory grows while they stay, or if the p99 of
   the others is above `--let-pass` times the one without.
3. peer: the steady rate, in turns here and with a server of KafkaSSE's design (bench.peers.kafka_sse), each with the
   same number of clients of its own topic. Which of the two begins changes with each round.
Not here: the intake, whose benches are others; correctness (tests/eventstreams).
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

from bench.streaming.crowd import Address, Clients, Frozen
from bench.streaming.load import percentile, produce, resident, steady
from tests.harness.broker import Kafka
from tests.harness.running import ROOT
from tests.harness.streaming import OWN, Streams
from tests.harness.topics import create

TOPIC: Final = "bench.eventstreams"
PEER_TOPIC: Final = "bench.kafka-sse"
PATH: Final = f"/v2/stream/{TOPIC}"
PARTS: Final = ("rates", "frozen", "peer")
STEADY_PER_S: Final = 20.0
FAST_PER_S: Final = 400.0
FILL_PER_S, FILLS = 100.0, 20  # The kernel holds 128 KiB for a client that does not read.
GROWTH_BYTES: Final = 4_000_000  # Of all frozen clients together, between two looks at the memory.

Figures = dict[str, Any]


class Bench:
    """What all parts need. ``worker`` is the process that serves the streams."""

    def __init__(self, kafka: Kafka, streams: Streams, options: argparse.Namespace) -> None:
        self.servers = kafka.servers
        self.streams = streams
        (self.worker,) = streams.workers()
        self.count: int = options.clients
        self.seconds: float = options.seconds
        self.rounds: int = options.rounds
        self.let_pass: float = options.let_pass

    def clients(self, count: int) -> Clients:
        return Clients(self.streams.address, PATH, count)

    def steady(self, clients: Clients, per_s: float = STEADY_PER_S) -> tuple[Figures, list[float]]:
        return steady(self.servers, TOPIC, self.worker, clients, per_s, self.seconds)

    def until_open(self, count: int) -> None:
        """Wait until so many streams are open."""
        self.streams.until(lambda: b'"clients":%d}' % count in self.streams.get("/_info")[1])

    def fill(self) -> None:
        """Send events until only the clients that read get the newest ones together."""
        for _ in range(FILLS):
            produce(self.servers, TOPIC, FILL_PER_S, 2.0)
            time.sleep(1)
            if self.live() == self.count:
                return
        raise RuntimeError(f"{self.live()} clients still get the newest events")

    def live(self) -> int:
        """Return how many clients get the newest events together."""
        text = self.streams.get("/metrics", is_admin=True)[1].decode()
        found = re.search(r"^penstock_eventstreams_live_clients (\S+)$", text, re.MULTILINE)
        assert found is not None
        return int(float(found[1]))


def rates(bench: Bench) -> Figures:
    """Measure one client, and many."""
    with bench.clients(1) as one:
        found: Figures = {"one client": bench.steady(one, 100.0)[0]}
    before = resident(bench.worker)
    with bench.clients(bench.count) as many:
        time.sleep(2)
        found["resident_kb_per_idle_client"] = round((resident(bench.worker) - before) / bench.count / 1000, 1)
        found["steady"] = bench.steady(many)[0]
        found["fast"] = bench.steady(many, FAST_PER_S)[0]
    return found


def frozen(bench: Bench) -> Figures:
    """Measure the others without and with clients that never read, in turns."""
    waits: dict[str, list[float]] = {"without": [], "with": []}
    turns: dict[str, list[Figures]] = {"without": [], "with": []}
    growths = []
    with bench.clients(bench.count) as many:
        for _ in range(bench.rounds):
            figures, noted = bench.steady(many)
            turns["without"].append(figures)
            waits["without"] += noted
            with Frozen(bench.streams.address, PATH, bench.count):
                bench.until_open(2 * bench.count)
                bench.fill()
                before = resident(bench.worker)
                figures, noted = bench.steady(many)
                growths.append(resident(bench.worker) - before)
            turns["with"].append(figures)
            waits["with"] += noted
            bench.until_open(bench.count)
    p99 = {name: percentile(noted, 0.99) for name, noted in waits.items()}
    ratio = p99["with"] / p99["without"]
    return {
        "p50_ms": {name: percentile(noted, 0.5) for name, noted in waits.items()},
        "p99_ms": p99,
        "p99_ratio": round(ratio, 3),
        "grown_bytes": growths,
        "cpu_us_per_delivery": {
            name: statistics.median(one["cpu_us_per_delivery"] for one in every) for name, every in turns.items()
        },
        "turns": turns,
        "is_good": max(growths) < GROWTH_BYTES and ratio <= bench.let_pass,
    }


@contextmanager
def peer_running(servers: str) -> Iterator[tuple[Address, int]]:
    """Run the peer. Yields its address and process."""
    command = [sys.executable, "-m", "bench.peers.kafka_sse", servers]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, cwd=ROOT)
    try:
        assert process.stdout is not None
        yield ("127.0.0.1", int(process.stdout.readline())), process.pid
    finally:
        process.terminate()
        process.wait(60)


def peer(bench: Bench) -> Figures:
    """Measure both designs in turns."""
    create(bench.servers, PEER_TOPIC)
    turns: dict[str, list[Figures]] = {"penstock": [], "one consumer per client": []}
    with peer_running(bench.servers) as (address, pid):
        both = {
            "penstock": (bench.streams.address, TOPIC, bench.worker),
            "one consumer per client": (address, PEER_TOPIC, pid),
        }
        for round_ in range(bench.rounds):
            for name in list(both)[:: -1 if round_ % 2 else 1]:
                to, topic, process = both[name]
                before = resident(process)
                with Clients(to, f"/v2/stream/{topic}", bench.count) as many:
                    time.sleep(2)
                    grown = resident(process) - before
                    figures, _ = steady(bench.servers, topic, process, many, STEADY_PER_S, bench.seconds)
                threads = len(list(Path(f"/proc/{process}/task").iterdir()))
                turns[name].append(
                    figures | {"grown_kb_per_client": round(grown / bench.count / 1000, 1), "threads": threads}
                )
    names = ("cpu_us_per_delivery", "cpu_share", "delivered_share", "p50_ms", "p99_ms", "resident_mb")
    medians = {
        name: {figure: statistics.median(one[figure] for one in every) for figure in names}
        for name, every in turns.items()
    }
    ours, theirs = medians.values()
    return {
        "medians": medians,
        "cpu_ratio": round(theirs["cpu_us_per_delivery"] / ours["cpu_us_per_delivery"], 1),
        "turns": turns,
    }


def run(arguments: list[str]) -> int:
    """Run the bench. Prints JSON. Returns 1 if frozen clients cost others something."""
    parser = argparse.ArgumentParser(prog="python -m bench eventstreams", description=__doc__)
    parser.add_argument("--clients", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each phase")
    parser.add_argument("--rounds", type=int, default=3, help="of the parts that go in turns")
    parser.add_argument(
        "--let-pass", type=float, default=1.1, help="how much frozen clients may add to p99, as a factor"
    )
    parser.add_argument("--only", choices=PARTS, action="append")
    options = parser.parse_args(arguments)
    parts = {"rates": rates, "frozen": frozen, "peer": peer}
    found: Figures = {"clients": options.clients}
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        (directory / "kafka").mkdir()
        kafka = Kafka(directory / "kafka")
        stack.callback(kafka.stop)
        kafka.start()
        create(kafka.servers, TOPIC)
        bench = Bench(kafka, stack.enter_context(served(directory, kafka.servers)), options)
        for name in options.only or PARTS:
            found[name] = parts[name](bench)
            print(name, json.dumps(found[name]), file=sys.stderr)
    json.dump(found, sys.stdout, indent=1)
    print()
    return 0 if found.get("frozen", {}).get("is_good", True) else 1


def served(directory: Path, servers: str) -> Streams:
    """Return EventStreams with one worker, for the topic of the bench."""
    declared = f"streams: {{{TOPIC}: {{schema_title: web/page_view, consumers: {{eventstreams: {{enabled: true}}}}}}}}"
    (directory / "own.yaml").write_text(declared)
    own = OWN | {"limits": {"max_clients_per_address": 0, "write_stall_s": 3600.0}}
    sink = {"kind": "kafka", "kafka": {"bootstrap.servers": servers}}
    return Streams(directory, sink=sink, streams={"sources": [str(directory / "own.yaml")]}, eventstreams=own)
