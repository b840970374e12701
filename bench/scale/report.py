"""`python -m bench scale`: simulate fleets, write bench/results/scale.json with --keep, and draw pictures from it.

Place: `python -m bench scale` → HERE → fleet, draw. docs/designs/scale.md says what the figures mean.
Rules: the simulation has no random numbers, so the same code gives the same bytes. It starts no service and no broker.
The figures that were measured with a real service are read from bench/results/recovery.json and outage.json.
Not here: the model (host).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from bench.orders import CHAIN_PER_S, NEW_PER_S
from bench.recovery import CHAINS
from bench.scale import draw
from bench.scale.fleet import simulate
from bench.scale.host import Fleet

RESULTS: Final = Path(__file__).parents[1] / "results"
KEPT: Final = RESULTS / "scale.json"
CAPACITIES: Final = (1.05, 1.1, 1.2, 1.5, 2.0, 3.0)
WINDOWS_S: Final = (0.5, 1.0, 2.0, 4.0, 6.0, 8.0)
KEYS: Final = (0, 50, 2000, 100_000)
WITHIN: Final = 0.2
ALL_KEYS: Final = 1 << 30  # Of `bench recovery`: each event has a key of its own.
TIMEOUT_S: Final = 4.0  # The message.timeout.ms of both benches.
LONG: Final = 60.0  # Times the outage that some runs go on.
UNLOADED: Final = 10.0  # Brokers that serve ten times the load.


def measured() -> list[dict[str, Any]]:
    """The way back as it was measured with a real service, and simulated."""
    return [*_recovery(), *_outage()]


def _recovery() -> Iterator[dict[str, Any]]:
    """The rows of `python -m bench recovery`, with its load: one request in ten is guaranteed, and all keys come in
    turn. One Apache Kafka has room for many times the load."""
    kept = json.loads((RESULTS / "recovery.json").read_text(encoding="utf-8"))
    fresh_per_s = NEW_PER_S + CHAINS * CHAIN_PER_S
    for row in kept["results"]:
        is_share = row["asked"].endswith("%")
        fleet = Fleet(
            per_s=row["per_s"],
            guaranteed=0.1,
            fresh_per_s=fresh_per_s,
            capacity=100 / float(row["asked"].removesuffix("%")) if is_share else UNLOADED,
            outage_s=row["outage_s"],
            timeout_s=TIMEOUT_S,
            keys=0 if row["keys"] == ALL_KEYS else row["keys"],
            is_cyclic=True,
            retries=False,
        )
        yield {
            "bench": "recovery",
            "workers": row["workers"],
            "per_s": row["per_s"],
            "keys": row["keys"],
            "outage_s": row["outage_s"],
            "is_modelled": not is_share,
            "measured_s": row["empty_s"],
            "simulated_s": _rounded(simulate(fleet).empty_s),
        }


def _outage() -> Iterator[dict[str, Any]]:
    """The rows of `python -m bench outage`: events without keys, a minute without mock brokers."""
    kept = json.loads((RESULTS / "outage.json").read_text(encoding="utf-8"))
    for row in kept["results"]:
        # Fifty guaranteed requests a second came as well.
        fleet = Fleet(
            per_s=kept["per_s"], fresh_per_s=50.0, outage_s=row["outage"]["seconds"], timeout_s=TIMEOUT_S, retries=False
        )
        yield {
            "bench": f"outage, {row['brokers']}",
            "workers": 1,
            "per_s": round(kept["per_s"]),
            "keys": ALL_KEYS,
            "outage_s": row["outage"]["seconds"],
            "is_modelled": True,
            "measured_s": row["recovery"]["seconds"],
            "simulated_s": _rounded(simulate(fleet).empty_s),
        }


def agreement(rows: list[dict[str, Any]]) -> str:
    """The table of docs/designs/scale.md, without the rows whose load the model does not have."""
    lines = [
        "| bench | workers | events/s | keys | outage | measured | simulated | difference |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        keys = "all new" if row["keys"] == ALL_KEYS else f"{row['keys']:,}"
        off = off_by(row)
        said = "not back" if row["simulated_s"] is None else f"{row['simulated_s']} s"
        found = (
            f"{off:+.0%}"
            if off is not None and abs(off) <= WITHIN
            else f"**{off:+.0%}**"
            if off is not None
            else "**–**"
        )
        lines.append(
            f"| {row['bench']} | {row['workers']} | {row['per_s']:,} | {keys} | {row['outage_s']:g} s | "
            f"{row['measured_s']} s | {said} | {found} |"
        )
    return "\n".join(lines) + "\n"


def off_by(row: dict[str, Any]) -> float | None:
    """How far the simulated time is from the measured one, as a share of it."""
    return None if row["simulated_s"] is None else float(row["simulated_s"] / row["measured_s"] - 1)


def figures() -> dict[str, Any]:
    """Every figure of the page."""
    return {
        "measured": measured(),
        "way_back": [_row(Fleet(capacity=one, outage_s=long)) for long in (60.0, 300.0) for one in CAPACITIES],
        "windows": [_row(Fleet(capacity=one, window_s=wide)) for wide in WINDOWS_S for one in CAPACITIES],
        "keys": [_row(Fleet(per_s=3000.0, outage_s=6.0, keys=keys)) for keys in KEYS],
        "pace": [_row(Fleet(capacity=one, is_paced=paced)) for paced in (True, False) for one in CAPACITIES],
        "long": [_row(Fleet(capacity=one, window_s=wide), LONG) for wide in (0.5, 4.0, 6.0) for one in (1.05, 1.1)],
        "hosts": [_row(Fleet(hosts=hosts, per_s=1000.0)) for hosts in (1, 4, 16)],
    }


def _row(fleet: Fleet, most: float = 6.0) -> dict[str, Any]:
    outcome = simulate(fleet, most)
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
