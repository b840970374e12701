"""What it costs that nothing is lost: CPU per event of the intake, and of the same without bounds, books and receipts.

Place: `python -m bench durability` → HERE → quick, servers, peers.undurable.
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

from bench import events, measure, quick, servers
from bench.quick import Cell
from server.ledger import Ledger

RESULTS = Path(__file__).parent / "results" / "durability.json"
MOST_RATIO: Final = 1.03


def cells(stack: contextlib.ExitStack, directory: Path) -> tuple[str, dict[int, tuple[Cell, Cell]]]:
    """The brokers, and of each batch size the service with and without."""
    brokers = stack.enter_context(servers.mock_cluster(directory)).line()
    work = events.workload("example")
    made = []
    for peer in ("with", "without"):
        folder = directory / peer
        folder.mkdir()
        port = servers.free_port()
        start = servers.intake if peer == "with" else servers.undurable
        child = stack.enter_context(start(port, brokers, work, folder))
        child.wait_for(port)
        made.append((peer, port, child.pid))
    pairs = {batch: tuple(Cell(peer, work, batch, port, pid) for peer, port, pid in made) for batch in quick.BATCHES}
    return brokers, {batch: (pair[0], pair[1]) for batch, pair in pairs.items()}


def measured(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Of each batch size."""
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        brokers, pairs = cells(stack, Path(name))
        watermarks = quick.Watermarks(brokers)
        stack.callback(watermarks.close)
        results = []
        for batch, pair in pairs.items():
            for cell in pair:
                quick.load(cell, quick.WARM_UP_S)
                measure.settle(cell.pid, quick.SETTLE_S)
            rounds, left_out = [], 0
            ledger = Ledger.open(pair[0].pid)
            for number in range(options.rounds):
                order = pair if number % 2 else pair[::-1]
                before = _spooled(ledger)
                samples = {cell.peer: quick.sample(cell, options.seconds, watermarks) for cell in order}
                if _spooled(ledger) != before or any(sample.refused for sample in samples.values()):
                    left_out += 1
                else:
                    rounds.append((samples["with"], samples["without"]))
            if not rounds:
                raise RuntimeError("events were spooled or refused in all rounds: the machine is too busy")
            ratios = sorted(kept.cpu_us / lossy.cpu_us for kept, lossy in rounds)
            results.append(
                {
                    "batch": batch,
                    "with_us": round(statistics.median(kept.cpu_us for kept, _ in rounds), 2),
                    "without_us": round(statistics.median(lossy.cpu_us for _, lossy in rounds), 2),
                    "ratio": round(statistics.median(ratios), 3),
                    "ratio_quartiles": [round(ratios[len(ratios) // 4], 3), round(ratios[3 * len(ratios) // 4], 3)],
                    "lost": sum(kept.lost for kept, _ in rounds),
                    "rounds": len(rounds),
                    "rounds_left_out": left_out,
                }
            )
        return results


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
