"""Measure CPU per event of the intake, its peers and the floors, under every kind of work, in one run.

Place: `python -m bench costs`, part of `make bench`.
Rules: all servers stay up, rounds are taken in turns (suite), the floors stand between the works. A peer that cannot be
had here is named with the reason, in the output and in the results.
Not here: latency (latency), one worker against several (scaling), what the figures must be (marks).
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from pathlib import Path
from typing import Any

from bench import measure, servers, suite
from bench.peers import start
from bench.works import WORKS, Work

CLOSE = ("bare", "nginx", "intake", "pure", "naive", "rust")
RESULTS = Path(__file__).parent / "results" / "costs.json"


def alone(brokers: str, directory: Path) -> dict[str, float]:
    """The floors that are no servers, once."""
    with servers.Child("floors", ["bench.floors", brokers, "single-hasty"], servers.SERVER_CORES, directory) as child:
        found: dict[str, float] = json.loads(child.line())
    return found


def usual(peer: str, work: Work) -> bool:
    """The slower peers are given the main work alone: the rest says little more of them, and takes minutes."""
    return start.takes(peer, work) and (work.is_main or peer in CLOSE)


def chosen(names: list[str]) -> tuple[list[str], dict[str, str]]:
    """Which peers can be had here; why not the others. What has to be built is."""
    found, missing = [], {}
    for name in names:
        why = start.missing(name) or start.build(name)
        if why:
            missing[name] = why
            print(f"SKIPPED {name}: {why}", file=sys.stderr)
        else:
            found.append(name)
    return found, missing


def run(arguments: list[str]) -> int:
    """Measure, keep, print."""
    parser = argparse.ArgumentParser(prog="python -m bench costs", description=__doc__.partition("\n")[0])
    parser.add_argument("--works", nargs="+", choices=WORKS, default=[name for name in WORKS if "example" not in name])
    parser.add_argument("--peers", nargs="+", choices=start.PEERS, default=list(start.PEERS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=0.6, help="of load in each round")
    parser.add_argument("--all", action="store_true", help="every peer under every work: twice as long")
    parser.add_argument("--build", action="store_true", help="only build what has to be built")
    parser.add_argument("--keep", action="store_true", help=f"write the figures to bench/results/{RESULTS.name}")
    options = parser.parse_args(arguments)
    peers, missing = chosen(options.peers)
    if options.build:
        return 0
    try:
        takes = start.takes if options.all else usual
        with suite.Suite(peers, [WORKS[name] for name in options.works], takes) as running:
            floors = [alone(running.brokers, running.directory)]
            found = running.measured(options.rounds, options.seconds)
            floors.append(alone(running.brokers, running.directory))
            results, idle = suite.results(found), running.idle_mb
    except RuntimeError as error:
        print(f"costs: {error}", file=sys.stderr)
        return 1
    results.sort(key=lambda one: (list(WORKS).index(one["work"]), list(start.PEERS).index(one["peer"])))
    kept = {
        "environment": measure.environment() | {"tools": start.versions()},
        "load": {"rounds": options.rounds, "seconds": options.seconds},
        "missing": missing,
        "floors": {name: round(statistics.median(one[name] for one in floors), 3) for name in floors[0]},
        "results": results,
        "idle_mb": idle,
    }
    print(table(kept))
    if options.keep:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return 0


def table(kept: dict[str, Any]) -> str:
    """Lines for people: CPU µs per event, a column for each server."""
    peers = [name for name in start.PEERS if any(one["peer"] == name for one in kept["results"])]
    cells = {(one["work"], one["peer"]): one for one in kept["results"]}
    lines = [f"{'CPU µs per event':<44}" + "".join(f"{name:>9}" for name in peers)]
    for work in dict.fromkeys(one["work"] for one in kept["results"]):
        row = f"{WORKS[work].title:<44}"
        for peer in peers:
            cell = cells.get((work, peer))
            trouble = "!" if cell and (cell["lost"] or cell["refused"]) else " "
            row += f"{cell['cpu_us_per_event']:>8.2f}{trouble}" if cell else f"{'–':>8} "
        lines.append(row)
    lines.append("! = lost or refused events, see the JSON file; – = not measured")
    lines += [f"{name.removesuffix('_us')} alone: {value} µs" for name, value in kept["floors"].items()]
    lines += [f"SKIPPED {name}: {why}" for name, why in kept["missing"].items()]
    return "\n".join(lines)
