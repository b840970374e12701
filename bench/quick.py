"""CPU per event of the served intake beside a bare and a naive server, interleaved in one run.

Place: `python -m bench quick`, `make bench-quick`; README.md says how to read it.
Rule: every figure is the median of several short rounds, taken in turns, so that a machine whose speed drifts treats
all alike. CPU is per accepted event; what was refused, and what did not reach the brokers, stands beside it.
Not here: latency, overload, real brokers.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from confluent_kafka import Consumer, KafkaException, TopicPartition

from bench import events, measure, servers, sizing
from bench.events import Workload

RESULTS = Path(__file__).parent / "results" / "quick.json"
BATCHES = (1, 100)
CONNECTIONS = {1: 64, 100: 16}
WARM_UP_S = 0.4  # Idempotent producers take half a second for their first message.
SETTLE_S = 3.0
PEERS = ("bare", "naive", "intake")


class Cell(NamedTuple):
    """One column of the table in one row: who, under which load."""

    peer: str
    work: Workload
    batch: int
    port: int
    pid: int


class Sample(NamedTuple):
    """What one round said."""

    cpu_us: float
    events_per_s: float
    lost: int
    refused: int


class Watermarks:
    """Counts what the brokers hold of a topic. Both servers write to the same one, in turns."""

    def __init__(self, brokers: str) -> None:
        self._consumer = Consumer({"bootstrap.servers": brokers, "group.id": "bench", "enable.auto.commit": False})

    def count(self, topic: str) -> int:
        """The sum of the ends of its partitions; 0 before the topic is there."""
        partitions = self._consumer.list_topics(topic, timeout=10).topics[topic].partitions
        total = 0
        for partition in partitions:
            try:
                total += self._consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=10)[1]
            except KafkaException:
                return 0
        return total

    def close(self) -> None:
        """Before the brokers go: a client without brokers complains on standard error."""
        self._consumer.close()


def load(cell: Cell, seconds: float) -> dict[str, Any]:
    """One counted load from a process of its own, on its own core."""
    arguments = [
        *("--port", str(cell.port), "--workload", cell.work.name, "--batch", str(cell.batch)),
        *("--connections", str(CONNECTIONS[cell.batch]), "--seconds", str(seconds)),
    ]
    with tempfile.TemporaryDirectory() as directory:
        with servers.Child("load", ["bench.load.client", *arguments], servers.LOAD_CORES, Path(directory)) as client:
            line = client.line()
            client.process.wait(seconds + 20)
        if not line:
            raise RuntimeError(f"the load client failed against {cell.peer}")
    answer: dict[str, Any] = json.loads(line)
    return answer


def sample(cell: Cell, seconds: float, watermarks: Watermarks) -> Sample:
    """CPU of the whole tree of processes around one load, deliveries included."""
    held = watermarks.count(cell.work.stream)
    before = measure.cpu_s(cell.pid)
    said = load(cell, seconds)
    measure.settle(cell.pid, SETTLE_S)
    used_s = measure.cpu_s(cell.pid) - before
    requests = sum(said["statuses"].values())
    accepted = sum(count for status, count in said["statuses"].items() if status.startswith("2")) * cell.batch
    lost = 0 if cell.peer == "bare" else accepted - (watermarks.count(cell.work.stream) - held)
    refused = requests * cell.batch - accepted + said["broken"]
    return Sample(used_s / max(accepted, 1) * 1e6, accepted / said["seconds"], lost, refused)


def start(
    stack: contextlib.ExitStack, options: argparse.Namespace, directory: Path
) -> tuple[list[Cell], str, dict[str, Any]]:
    """Everything that is measured, running, with what an idle process weighs."""
    cluster = stack.enter_context(servers.mock_cluster(directory))
    brokers = cluster.line()
    cells: list[Cell] = []
    memory: dict[str, Any] = {}
    for name in events.names():
        work = events.workload(name)
        for peer in options.peers:
            port = servers.free_port()
            if peer == "bare":
                child = servers.bare(port, directory)
            else:
                child = (servers.naive if peer == "naive" else servers.intake)(port, brokers, work, directory)
            stack.enter_context(child)
            child.wait_for(port)
            memory[f"{peer} {name}"] = [measure.memory_mb(pid) for pid in measure.tree(child.pid)]
            # A bare answer to a batch says nothing per event.
            cells += [Cell(peer, work, batch, port, child.pid) for batch in BATCHES if peer != "bare" or batch == 1]
    return cells, brokers, memory


def summary(samples: list[Sample]) -> dict[str, float]:
    """Medians; losses and refusals are added up."""
    return {
        "cpu_us_per_event": round(statistics.median(one.cpu_us for one in samples), 2),
        "events_per_s": round(statistics.median(one.events_per_s for one in samples)),
        "lost": sum(one.lost for one in samples),
        "refused": sum(one.refused for one in samples),
        "cpu_us_spread": round(max(one.cpu_us for one in samples) - min(one.cpu_us for one in samples), 2),
    }


def table(results: list[dict[str, Any]]) -> str:
    """Lines for people."""
    by_key = {(one["workload"], one["batch"], one["peer"]): one for one in results}
    lines = [
        f"{'hasty, CPU µs per event':<38}{'µs':>8}{'× bare':>8}{'× naive':>9}{'events/s':>11}{'lost':>7}{'refused':>9}"
    ]
    for one in results:
        own = one["cpu_us_per_event"]
        ratios = []
        for peer in ("bare", "naive"):
            other = by_key.get((one["workload"], one["batch"], peer))
            ratios.append(f"{own / other['cpu_us_per_event']:.2f}" if other and other is not one else "")
        shape = "single" if one["batch"] == 1 else f"batch of {one['batch']}"
        what = f"{one['workload']} ({one['event_bytes']} B) {shape}"
        row = f"{what:<31}{one['peer']:<7}{own:>8.2f}{ratios[0]:>8}{ratios[1]:>9}"
        lines.append(row + f"{one['events_per_s']:>11,}{one['lost']:>7}{one['refused']:>9}")
    return "\n".join(lines)


def memory_lines(memory: dict[str, Any]) -> str:
    """An idle server: the last process of its tree is the one that serves."""
    lines = ["", "idle, MB"]
    for name, processes in memory.items():
        worker, others = processes[-1], processes[:-1]
        beside = f"; master {others[0]['rss']} resident, {others[0]['own']} of its own" if others else ""
        lines.append(f"  {name:<16} worker {worker['rss']} resident, {worker['own']} of its own{beside}")
    return "\n".join(lines)


def _order(cell: Cell) -> tuple[str, int, int]:
    return cell.work.name, cell.batch, PEERS.index(cell.peer)


def run(arguments: list[str]) -> int:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(prog="python -m bench quick", description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1.2, help="of load in each round")
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=list(PEERS))
    parser.add_argument("--keep", action="store_true", help="write the figures to bench/results/quick.json")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        try:
            cells, brokers, memory = start(stack, options, Path(name))
        except RuntimeError as error:
            print(error, file=sys.stderr)
            return 1
        watermarks = Watermarks(brokers)
        for cell in cells:
            load(cell, WARM_UP_S)
            measure.settle(cell.pid, SETTLE_S)
        samples: list[list[Sample]] = [[] for _ in cells]
        for number in range(options.rounds):
            for step in range(len(cells)):
                turn = (number + step) % len(cells)
                samples[turn].append(sample(cells[turn], options.seconds, watermarks))
        watermarks.close()
    results = [
        {"peer": cell.peer, "workload": cell.work.name, "batch": cell.batch, "event_bytes": cell.work.event_bytes}
        | summary(samples[turn])
        for turn, cell in sorted(enumerate(cells), key=lambda one: _order(one[1]))
    ]
    print(table(results))
    print(memory_lines(memory))
    if options.keep:
        load_of = {"rounds": options.rounds, "seconds": options.seconds, "connections": CONNECTIONS}
        kept = {"environment": measure.environment(), "load": load_of, "results": results, "idle_mb": memory}
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        sizing.write()
    return 0
