"""Measure CPU per event of the served intake, compared with a bare and a naive server in one run.

Place: `python -m bench quick`, `make bench-quick`; README.md says how to read it.
Rule: CPU is per accepted event; what was refused, and what did not reach the brokers, stands beside it.
Not here: other peers (peers), latency (latency), how rounds are taken (suite).
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from bench import measure, sizing, suite
from bench.works import WORKS

RESULTS = Path(__file__).parent / "results" / "quick.json"
PEERS = ("bare", "naive", "intake")
CHOSEN = ("example", "example-100", "single-hasty", "batch-100")


def table(results: list[dict[str, Any]]) -> str:
    """Lines for people."""
    by_key = {(one["work"], one["peer"]): one["cpu_us_per_event"] for one in results}
    lines = [f"{'CPU µs per event':<50}{'µs':>13}{'× bare':>8}{'× naive':>9}{'events/s':>11}{'lost':>7}{'refused':>9}"]
    for one in results:
        own = one["cpu_us_per_event"]
        ratios = []
        for peer in ("bare", "naive"):
            other = by_key.get((one["work"], peer))
            ratios.append(f"{own / other:.2f}" if other and peer != one["peer"] else "")
        row = f"{WORKS[one['work']].title:<50}{one['peer']:<7}{own:>6.2f}{ratios[0]:>8}{ratios[1]:>9}"
        lines.append(row + f"{one['events_per_s']:>11,}{one['lost']:>7}{one['refused']:>9}")
    return "\n".join(lines)


def memory_lines(memory: dict[str, Any]) -> str:
    """An idle server: behind a master, the first child is the worker."""
    lines = ["", "idle, MB"]
    for name, processes in memory.items():
        worker, master = processes[min(1, len(processes) - 1)], processes[0]
        beside = f"; master {master['rss']} resident, {master['own']} of its own" if len(processes) > 1 else ""
        lines.append(f"  {name:<20} worker {worker['rss']} resident, {worker['own']} of its own{beside}")
    return "\n".join(lines)


def run(arguments: list[str]) -> int:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(prog="python -m bench quick", description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1.2, help="of load in each round")
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=list(PEERS))
    parser.add_argument("--keep", action="store_true", help="write the figures to bench/results/quick.json")
    options = parser.parse_args(arguments)
    try:
        # Without the corpus two of the works are the same: the names in the results still tell them apart.
        with suite.Suite(options.peers, [WORKS[name] for name in CHOSEN]) as servers:
            found = servers.measured(options.rounds, options.seconds)
            results, memory = suite.results(found), servers.idle_mb
    except RuntimeError as error:
        print(error, file=sys.stderr)
        return 1
    order = {name: at for at, name in enumerate(CHOSEN)}
    results.sort(key=lambda one: (order[one["work"]], PEERS.index(one["peer"])))
    print(table(results))
    print(memory_lines(memory))
    if options.keep:
        load = {"rounds": options.rounds, "seconds": options.seconds}
        kept = {"environment": measure.environment(), "load": load, "results": results, "idle_mb": memory}
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        sizing.write()
    return 0
