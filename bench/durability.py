"""Measure the cost of durability: CPU per event of the intake, compared with the same without receipts and spool.

Place: `python -m bench durability` → HERE → rounds, servers, peers.undurable.
Rules: two services over one mock cluster, the broker well; rounds of both in turns, compared pair by pair, so that a
machine whose speed drifts treats both alike. The figure is the median of the ratios of pairs. A round in which events
were spooled or refused is told and not counted: the broker was not well.
Not here: what it costs while the broker is away (outage).
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import tempfile
from pathlib import Path
from typing import Any, Final

from bench import events, measure, rounds, servers
from bench.works import WORKS, Work
from server.shared.ledger import Ledger

RESULTS = Path(__file__).parent / "results" / "durability.json"
MOST_RATIO: Final = 1.03
CHOSEN: Final = ("example", "example-100")


def start(stack: contextlib.ExitStack, directory: Path) -> tuple[str, dict[str, tuple[int, int]]]:
    """The brokers, and of the service with and without its process and port."""
    brokers = stack.enter_context(servers.mock_cluster(directory)).line()
    made = {}
    for peer, begin in (("with", servers.intake), ("without", servers.undurable)):
        folder = directory / peer
        folder.mkdir()
        port = servers.free_port()
        child = stack.enter_context(begin(port, brokers, events.workload("example"), folder))
        child.wait_for(port)
        made[peer] = (child.pid, port)
    return brokers, made


def measured(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Of each work."""
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        brokers, made = start(stack, Path(name))
        watermarks = stack.enter_context(rounds.Watermarks(brokers))
        ledger = Ledger.open(made["with"][0])
        return [_compare(work, made, ledger, watermarks, options) for work in map(WORKS.__getitem__, CHOSEN)]


def _compare(
    work: Work,
    made: dict[str, tuple[int, int]],
    ledger: Ledger,
    watermarks: rounds.Watermarks,
    options: argparse.Namespace,
) -> dict[str, Any]:
    for pid, port in made.values():
        rounds.warm(pid, port, work)
    pairs, left_out = [], 0
    for number in range(options.rounds):
        before = _spooled(ledger)
        order = list(made) if number % 2 else list(made)[::-1]
        taken = {peer: rounds.take(*made[peer], work, options.seconds, watermarks) for peer in order}
        if _spooled(ledger) != before or any(one.refused for one in taken.values()):
            left_out += 1
        else:
            pairs.append((taken["with"], taken["without"]))
    if not pairs:
        raise RuntimeError("events were spooled or refused in all rounds: the machine is too busy")
    ratios = sorted(kept.cpu_us / lossy.cpu_us for kept, lossy in pairs)
    return {
        "work": work.name,
        "with_us": round(statistics.median(kept.cpu_us for kept, _ in pairs), 2),
        "without_us": round(statistics.median(lossy.cpu_us for _, lossy in pairs), 2),
        "ratio": round(statistics.median(ratios), 3),
        "ratio_quartiles": [round(ratios[len(ratios) // 4], 3), round(ratios[3 * len(ratios) // 4], 3)],
        "lost": sum(kept.lost for kept, _ in pairs),
        "rounds": len(pairs),
        "rounds_left_out": left_out,
    }


def _spooled(ledger: Ledger) -> int:
    return sum(numbers["spooled"] for numbers in ledger.totals().values())


def run(arguments: list[str]) -> int:
    """Print, keep; 1 when it costs more than MOST_RATIO."""
    parser = argparse.ArgumentParser(prog="python -m bench durability", description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=1.2, help="of load in each round")
    parser.add_argument("--keep", action="store_true", help=f"write the figures to bench/results/{RESULTS.name}")
    options = parser.parse_args(arguments)
    results = measured(options)
    print(json.dumps(results, indent=1))
    if options.keep:
        environment = measure.environment() | {"load_average": os.getloadavg()[0]}
        RESULTS.write_text(
            json.dumps({"environment": environment, "results": results}, indent=1) + "\n", encoding="utf-8"
        )
    return int(any(one["ratio"] > MOST_RATIO for one in results))
