"""Measure the latency of answers at a quarter, half, three quarters and nine tenths of capacity, on a real Kafka.

Place: `python -m bench latency`, part of `make bench`.
Rules:
1. Capacity is what the server answers in a closed loop of the same generator on the same machine: the broker and the
   generator share the other core, and may be what ends it. The rates are shares of that, in an open loop (generator),
   and one that is the same for all servers: half of what a fast one can do may be more than the broker can.
2. After each load everything that came to the topic is read back: ``lost`` is what was answered 2xx and is not there,
   ``duplicated`` is what is there more than once, by the identity that the server gave it.
3. A broker that has just started answers several times more slowly than later: it gets a load of its own first, which
   is not measured.
4. Where no Kafka can be had a mock cluster stands in, and the output says so.
Not here: CPU (costs), overload beyond capacity and outages (outage).
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, TopicPartition

from bench import costs, generator, measure, rounds, servers
from bench.peers import start
from bench.works import WORKS, Work
from tests.harness.broker import Kafka, KafkaUnavailableError

RESULTS = Path(__file__).parent / "results" / "latency.json"
SHARES = (0.25, 0.5, 0.75, 0.9)
CAPACITY_S = 4.0
WARM_S = 15.0
READ_S = 30.0
ALL = "of all servers the first, of ours the others too"
IDENTITY = re.compile(rb'"meta":\{[^{}]*?"id":"([0-9a-f-]{36})"')


def brokers(stack: contextlib.ExitStack, directory: Path, *, is_mock: bool) -> tuple[str, str]:
    """Addresses, and what they are."""
    if not is_mock:
        node = Kafka(directory)
        before = os.sched_getaffinity(0)
        try:
            os.sched_setaffinity(0, servers.LOAD_CORES)
            node.start()
        except KafkaUnavailableError as error:
            print(f"SKIPPED Apache Kafka: {error}. A mock cluster stands in.", file=sys.stderr)
        else:
            stack.callback(node.stop)
            return node.servers, "Apache Kafka, one node"
        finally:
            os.sched_setaffinity(0, before)
    cluster = stack.enter_context(servers.mock_cluster(directory))
    return cluster.line(), "a mock cluster"


def arrived(addresses: str, topic: str, before: dict[int, int], after: dict[int, int]) -> tuple[int, int]:
    """How many records came between two ends, and how many different events they are. Raises RuntimeError."""
    consumer = Consumer({"bootstrap.servers": addresses, "group.id": "bench-read", "enable.auto.commit": False})
    consumer.assign([TopicPartition(topic, partition, before.get(partition, 0)) for partition in after])
    want = sum(after.values()) - sum(before.values())
    found: set[bytes] = set()
    records, deadline = 0, time.monotonic() + READ_S
    while records < want and time.monotonic() < deadline:
        for message in consumer.consume(5000, timeout=0.5):
            partition, offset, value = message.partition(), message.offset(), message.value()
            if partition is not None and offset is not None and value is not None and offset < after[partition]:
                records += 1
                identity = IDENTITY.search(value)
                found.add(identity[1] if identity else b"")
    consumer.close()
    if records < want:
        raise RuntimeError(f"{want} records should be in {topic}, {records} could be read in {READ_S:g} s")
    return records, len(found)


def settled(ends: rounds.Watermarks, topic: str) -> dict[int, int]:
    """The ends once they move no more."""
    before = ends.ends(topic)
    while True:
        time.sleep(0.5)
        now = ends.ends(topic)
        if now == before:
            return now
        before = now


def measured(
    peer: str, work: Work, addresses: str, seconds: float, same_per_s: float, directory: Path
) -> dict[str, Any]:
    """One server: its capacity, the rate that is the same for all, then each share of the capacity."""
    port = servers.free_port()
    topic, label = work.workload.topics[0], f"{peer}-{work.name}"
    with (
        rounds.Watermarks(addresses) as ends,
        start.peer(peer, port, addresses, [work.workload], directory, label) as child,
    ):
        child.wait_for(port)
        rounds.warm(child.pid, port, work)
        most = generator.run(port, work, CAPACITY_S, 0.0, work.connections, directory)
        rates = []
        for share in (same_per_s / most.per_s, *SHARES):
            before = settled(ends, topic)
            meter = measure.Meter(child.pid)
            told = generator.run(port, work, seconds, most.per_s * share, work.connections, directory)
            used_s = meter.read().total_s
            after = settled(ends, topic)
            records, different = arrived(addresses, topic, before, after)
            rates.append(
                {"share": round(share, 3), "asked_per_s": round(most.per_s * share)}
                | told._asdict()
                | {
                    "core": round(used_s / seconds, 3),
                    "lost": told.accepted * work.accepted - different,
                    "duplicated": records - different,
                }
            )
        peak_mb = max(measure.peak_mb(pid) for pid in measure.tree(child.pid))
    return {"peer": peer, "work": work.name, "capacity_per_s": most.per_s, "rates": rates, "peak_mb": peak_mb}


def warm(work: Work, addresses: str, directory: Path) -> None:
    """Make the broker as fast as it will be: its code is compiled while it runs."""
    port = servers.free_port()
    with start.peer("naive", port, addresses, [work.workload], directory, "warm") as child:
        child.wait_for(port)
        generator.run(port, work, WARM_S, 0.0, work.connections, directory)


def table(kept: dict[str, Any]) -> str:
    """Lines for people."""
    lines = [f"open loop, on {kept['brokers']}; ms"]
    head = f"{'of capacity':>12}{'per s':>9}{'reached':>9}{'p50':>8}{'p99':>8}{'p99.9':>8}{'max':>9}{'core':>7}"
    lines.append(f"{'':<38}{head}{'lost':>6}{'twice':>6}{'refused':>8}")
    for one in kept["results"]:
        for rate in one["rates"]:
            times = "".join(f"{rate[name]:>8.2f}" for name in ("p50_ms", "p99_ms", "p999_ms"))
            row = (
                f"{one['peer'] + ', ' + WORKS[one['work']].title:<38.38}{rate['share']:>12.0%}{rate['asked_per_s']:>9,}"
            )
            row += f"{rate['per_s']:>9,.0f}{times}{rate['max_ms']:>9.2f}{rate['core']:>7.2f}"
            lines.append(row + f"{rate['lost']:>6}{rate['duplicated']:>6}{rate['refused']:>8}")
    return "\n".join([*lines, *(f"SKIPPED {name}: {why}" for name, why in kept["missing"].items())])


def run(arguments: list[str]) -> int:
    """Measure, print, keep. 1 when an event is lost."""
    parser = argparse.ArgumentParser(prog="python -m bench latency", description=__doc__.partition("\n")[0])
    parser.add_argument("--peers", nargs="+", choices=start.PEERS, default=["intake", "naive", "rust"])
    parser.add_argument("--works", nargs="+", choices=WORKS, default=["single-256", "single-hasty"], help=ALL)
    parser.add_argument("--seconds", type=float, default=4.0, help="of load at each rate")
    parser.add_argument("--same-per-s", type=float, default=2000.0, help="the rate that is the same for all")
    parser.add_argument("--mock", action="store_true", help="a mock cluster instead of Apache Kafka")
    parser.add_argument("--keep", action="store_true", help=f"write the figures to bench/results/{RESULTS.name}")
    options = parser.parse_args(arguments)
    if why := generator.missing():
        print(f"SKIPPED latency: {why}", file=sys.stderr)
        return 0
    peers, missing = costs.chosen(options.peers)
    with contextlib.ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        addresses, what = brokers(stack, directory, is_mock=options.mock)
        try:
            warm(WORKS[options.works[0]], addresses, directory)
            results = [
                measured(peer, WORKS[work], addresses, options.seconds, options.same_per_s, directory)
                for at, work in enumerate(options.works)
                for peer in peers
                if at == 0 or peer == "intake"
            ]
        except RuntimeError as error:
            print(f"latency: {error}", file=sys.stderr)
            return 1
    environment = measure.environment() | {"tools": start.versions()}
    kept = {"environment": environment, "brokers": what, "missing": missing, "results": results}
    print(table(kept))
    if options.keep:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    is_lost = any(rate["lost"] for one in results if one["peer"] == "intake" for rate in one["rates"])
    return 1 if is_lost else 0
