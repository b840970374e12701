"""Measure whether the cost of an event stays the same with more workers, connections, streams and schemas.

Place: `python -m bench scaling`, part of `make bench`.
Rules: the rate is fixed (generator), so what changes is the cost and not the load. Single hasty events; the brokers are
a mock cluster. Workers share one core, however many they are, so their number says what forks cost, not what they gain:
spread over threads of one core, or over cores that share a cache, each of them runs more slowly for its neighbours'
sake, and the same work takes up to twice the CPU. ``bare`` is the control: as many processes that answer 204 and do
nothing else. Every step is measured several times, in turns with the others.
Not here: what a large catalog costs at the start (catalog).
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

from bench import declared, generator, measure, servers
from bench.events import Workload, best, workload
from bench.works import WORKS

RESULTS = Path(__file__).parent / "results" / "scaling.json"
CONNECTIONS = (1, 100, 1000, 10_000)
WORKERS = (1, 2, 4, 8)
STREAMS = (1, 100, 1000)
SCHEMAS = (1, 20, 200)


class Step(NamedTuple):
    """One setting of one thing."""

    what: str
    number: int
    workers: int
    connections: int
    work: Workload


def steps(directory: Path) -> list[Step]:
    """All of them."""
    real = workload(best("real"))
    found = [Step("workers", count, count, 64, real) for count in WORKERS]
    found += [Step("bare", count, count, 64, real) for count in WORKERS]
    found += [Step("connections", count, 1, count, real) for count in CONNECTIONS]
    found += [Step("streams", count, 1, 64, catalog(directory / f"streams{count}", count, 1)) for count in STREAMS]
    found += [Step("schemas", count, 1, 64, catalog(directory / f"schemas{count}", count, count)) for count in SCHEMAS]
    return found


def catalog(directory: Path, streams: int, titles: int) -> Workload:
    """So many streams of so many schemas, each with one event, all of one size."""
    own = {f"own_{at}": declared.KINDS[at % len(declared.KINDS)] for at in range(16)}
    for title in range(titles):
        declared.write_schema(directory, title, "1.0.0", own)
    names = [(number, number % titles) for number in range(streams)]
    lines = ["streams:\n"]
    for number, title in names:
        lines.append(f"  {declared.stream_of(number, title)}: {{schema_title: {declared.title_of(title)}}}\n")
    (directory / "streams.yaml").write_text("".join(lines), encoding="utf-8")
    events = [declared.event(number, title, "1.0.0") for number, title in names]
    uris = tuple(f"/{declared.title_of(title)}/1.0.0" for title in range(titles))
    topics = tuple(declared.stream_of(number, title) for number, title in names)
    return Workload(directory.name, directory / "schemas", directory / "streams.yaml", uris, topics, events, events)


def established(pid: int, port: int) -> int:
    """How many connections on ``port`` a process holds."""
    inodes = set()
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[3] == "01" and int(fields[1].rpartition(":")[2], 16) == port:
            inodes.add(f"socket:[{fields[9]}]")
    held = 0
    for entry in os.scandir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):  # Closed meanwhile.
            held += os.readlink(entry.path) in inodes
    return held


class Running:
    """One step's server."""

    def __init__(self, step: Step, brokers: str, directory: Path) -> None:
        self.step = step
        self.costs: list[float] = []
        self.parts: list[measure.Usage] = []
        self.events = 0
        self.reached: list[float] = []
        self.refused = 0
        self.balance: list[int] = []
        self._directory = directory
        self._brokers = brokers

    def take(self, per_s: float, seconds: float) -> None:
        """One load on a fresh server: a new process each time, because where one lies in memory moves its speed."""
        port = servers.free_port()
        step = self.step
        label = f"{step.what}-{step.number}"
        if step.what == "bare":
            command = ["bench.peers.bare", str(port), str(step.workers)]
            running = servers.Child(label, command, servers.SERVER_CORES, self._directory)
        else:
            running = servers.intake(port, self._brokers, step.work, self._directory, name=label, workers=step.workers)
        with running as child:
            child.wait_for(port)
            workers = measure.tree(child.pid)[step.what != "bare" :]
            self._load(port, per_s, 1.0)
            meter = measure.Meter(child.pid)
            told = self._load(port, per_s, seconds, workers)
            measure.settle(child.pid, 3.0)
            used = meter.read()
            self.costs.append(used.total_s / max(told.accepted, 1) * 1e6)
            self.parts.append(used)
            self.events += told.accepted
            self.reached.append(told.per_s)
            self.refused += told.refused

    def _load(self, port: int, per_s: float, seconds: float, workers: list[int] | None = None) -> generator.Times:
        work, bodies = WORKS["single-hasty"], self._directory / "bodies.ndjson"
        bodies.write_bytes(b"\n".join(self.step.work.events) + b"\n")
        with generator.started(port, work, seconds, per_s, self.step.connections, bodies, self._directory) as child:
            if workers:
                time.sleep(seconds / 2)
                self.balance = sorted(established(pid, port) for pid in workers)
            return generator.answer(child, seconds)

    def told(self) -> dict[str, Any]:
        """For the results."""
        cost = statistics.median(self.costs)
        return {
            "what": self.step.what,
            "count": self.step.number,
            "cpu_us_per_event": round(cost, 3),
            **{
                f"{part}_us": round(sum(getattr(one, f"{part}_s") for one in self.parts) / max(self.events, 1) * 1e6, 3)
                for part in ("user", "system", "producer")
            },
            "spread_us": round(max(self.costs) - min(self.costs), 3),
            "per_s": round(statistics.median(self.reached)),
            "refused": self.refused,
            "connections_of_workers": self.balance,
        }


def table(results: list[dict[str, Any]]) -> str:
    """Each thing, with the cost of an event beside that of the first step."""
    names = "".join(f"{name:>8}" for name in ("user", "kernel", "kafka"))
    lines = [f"{'':<13}{'':>8}{'µs':>9}{names}{'× first':>9}{'per s':>9}{'refused':>9}  connections of each worker"]
    first: dict[str, float] = {}
    for one in results:
        ratio = one["cpu_us_per_event"] / first.setdefault(one["what"], one["cpu_us_per_event"])
        parts = "".join(f"{one[f'{part}_us']:>8.2f}" for part in ("user", "system", "producer"))
        row = (
            f"{one['what']:<13}{one['count']:>8,}{one['cpu_us_per_event']:>9.2f}{parts}{ratio:>9.2f}{one['per_s']:>9,}"
        )
        lines.append(f"{row}{one['refused']:>9}  {one['connections_of_workers']}")
    return "\n".join(lines)


def run(arguments: list[str]) -> int:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(prog="python -m bench scaling", description=__doc__.partition("\n")[0])
    parser.add_argument("--only", nargs="+", choices=("workers", "bare", "connections", "streams", "schemas"))
    parser.add_argument("--per-s", type=float, default=6000.0, help="requests a second, for all steps")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=1.5, help="of load in each round")
    parser.add_argument("--keep", action="store_true", help=f"write the figures to bench/results/{RESULTS.name}")
    options = parser.parse_args(arguments)
    if why := generator.missing():
        print(f"SKIPPED scaling: {why}", file=sys.stderr)
        return 0
    with tempfile.TemporaryDirectory() as name, servers.mock_cluster(Path(name)) as cluster:
        brokers = cluster.line()
        chosen = [step for step in steps(Path(name)) if not options.only or step.what in options.only]
        running = [Running(step, brokers, Path(name)) for step in chosen]
        for _ in range(options.rounds):
            for one in running:
                one.take(options.per_s, options.seconds)
    results = [one.told() for one in running]
    print(table(results))
    if options.keep:
        kept = {"environment": measure.environment(), "per_s": options.per_s, "results": results}
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return 0
