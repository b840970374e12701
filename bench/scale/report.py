"""`python -m bench scale`: simulate fleets, write bench/results/scale.json with --keep, and draw pictures from it.

Place: `python -m bench scale` → HERE → fleet, draw. docs/designs/scale.md says what the figures mean.
Rules: the simulation has no random numbers, so the same code gives the same bytes. It starts no service and no broker.
The one figure that was measured with a real service is read from bench/results/outage.json.
Not here: the model (fleet).
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any, Final

from bench.scale import draw
from bench.scale.fleet import Fleet, simulate

RESULTS: Final = Path(__file__).parents[1] / "results"
KEPT: Final = RESULTS / "scale.json"
CAPACITIES: Final = (1.05, 1.1, 1.2, 1.5, 2.0, 3.0)
WINDOWS_S: Final = (0.5, 1.0, 2.0, 4.0, 6.0, 8.0)
KEYS: Final = (0, 50, 2000, 100_000)


def measured() -> list[dict[str, Any]]:
    """The way back after a minute without brokers, as `python -m bench outage` measured it, and simulated."""
    kept = json.loads((RESULTS / "outage.json").read_text(encoding="utf-8"))
    found = []
    for row in kept["results"]:
        # Guaranteed requests came as well, fifty a second: the books have what was accepted in all.
        fleet = Fleet(per_s=kept["per_s"], outage_s=row["outage"]["seconds"])
        empty_s = simulate(fleet).empty_s
        real_s = row["recovery"]["seconds"]
        found.append({"brokers": row["brokers"], "measured_s": real_s, "simulated_s": _rounded(empty_s)})
    return found


def figures() -> dict[str, Any]:
    """Every figure of the page."""
    return {
        "measured": measured(),
        "way_back": [_row(Fleet(capacity=one, outage_s=long)) for long in (60.0, 300.0) for one in CAPACITIES],
        "windows": [_row(Fleet(capacity=one, window_s=wide)) for wide in WINDOWS_S for one in CAPACITIES],
        "keys": [_row(Fleet(per_s=3000.0, outage_s=6.0, keys=keys)) for keys in KEYS],
        "pace": [_row(Fleet(capacity=one, is_paced=paced)) for paced in (True, False) for one in CAPACITIES],
        "hosts": [_row(Fleet(hosts=hosts, per_s=1000.0)) for hosts in (1, 4, 16)],
    }


def _row(fleet: Fleet) -> dict[str, Any]:
    outcome = simulate(fleet)
    return {
        "hosts": fleet.hosts,
        "capacity": fleet.capacity,
        "outage_s": fleet.outage_s,
        "window_s": fleet.window_s,
        "keys": fleet.keys,
        "is_paced": fleet.is_paced,
        "empty_s": _rounded(outcome.empty_s),
        "wasted_share": round(outcome.wasted / (fleet.per_s * fleet.hosts * fleet.outage_s), 3),
        "refused": round(outcome.refused),
        "peak": round(outcome.peak, 2),
    }


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 1)


def run(arguments: list[str]) -> int:
    """Print the figures; with --keep write them and the pictures."""
    parser = argparse.ArgumentParser(prog="python -m bench scale", description=__doc__.partition("\n")[0])
    parser.add_argument("--keep", action="store_true", help="write bench/results/scale.json and the pictures")
    options = parser.parse_args(arguments)
    found = figures()
    for name, rows in found.items():
        print(name)
        for row in rows:
            print("  " + ", ".join(f"{key} {value}" for key, value in row.items()))
    if options.keep:
        KEPT.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        for file, text in draw.pictures(found).items():
            (RESULTS / file).write_text(text, encoding="utf-8")
    return 0
