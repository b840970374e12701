"""Work out the constants of `penstock size` from the kept results of the other benches, without a load of its own.

Place: bench/results → HERE → server/commands/size_constants.json. `quick --keep` ends with it.
Rules: every constant names the file that it came from; a test holds the two together. The dearer of two figures wins.
Not here: what they are used for (server.commands.size).
"""

from __future__ import annotations

import json
import statistics
import sys
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
CONSTANTS = Path(__file__).parent.parent / "server" / "commands" / "size_constants.json"
BATCH = 100


def derive() -> dict[str, Any]:
    """All constants, each with its source."""
    quick, validators = _kept("quick"), _kept("validators")
    per_request, per_event, rows = [], [], []
    for work in sorted({row["workload"] for row in quick["results"]}):
        alone, among = _row(quick, work, 1), _row(quick, work, BATCH)
        # One event costs request + event; one of a hundred costs a hundredth of the request, and the event.
        event = max((BATCH * among["cpu_us_per_event"] - alone["cpu_us_per_event"]) / (BATCH - 1), 0.0)
        per_request.append(max(alone["cpu_us_per_event"] - event, 0.0))
        per_event.append(event)
        rows.append(among["event_bytes"])
    # Checking grows with the event more than anything else does, so its share stands for all of them, twice.
    per_byte = 2 * statistics.median(row["check_us"] / row["size"] for row in validators["rows"])
    base = max(event - per_byte * size for event, size in zip(per_event, rows, strict=True))
    idle = [processes for name, processes in quick["idle_mb"].items() if name.startswith("intake")]
    environment = quick["environment"]
    return {
        "cpu_us_per_request": _of(max(per_request), "quick.json"),
        "cpu_us_per_event": _of(max(base, 0.0), "quick.json"),
        "cpu_us_per_byte": _of(per_byte, "validators.json", 5),
        "master_mb": _of(max(one[0]["rss"] for one in idle), "quick.json"),
        "worker_mb": _of(max(one[1]["rss"] for one in idle), "quick.json"),
        "machine": {name: environment[name] for name in ("time", "cpu", "cores", "python", "is_python_optimised")},
    }


def write() -> None:
    """Write the file."""
    CONSTANTS.write_text(json.dumps(derive(), indent=1) + "\n", encoding="utf-8")


def run(arguments: list[str]) -> int:
    """Write the file, and show it."""
    if arguments:
        print("usage: python -m bench sizing", file=sys.stderr)
        return 2
    write()
    print(CONSTANTS.read_text(encoding="utf-8"), end="")
    return 0


def _kept(name: str) -> dict[str, Any]:
    kept: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    return kept


def _row(quick: dict[str, Any], work: str, batch: int) -> dict[str, Any]:
    rows = quick["results"]
    found: dict[str, Any] = next(
        row for row in rows if (row["peer"], row["workload"], row["batch"]) == ("intake", work, batch)
    )
    return found


def _of(value: float, source: str, digits: int = 2) -> dict[str, Any]:
    return {"value": round(value, digits), "source": f"bench/results/{source}"}
