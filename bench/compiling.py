"""Measure the cost of compiling the largest allowed schema, for each kind of construct.

Place: `python -m bench compiling`; what it prints is the ground of the numbers in validators.load.cost_limits.
Rules:
1. Each kind (large_schemas) is grown until the registry refuses it. The largest that passes, and some that do not, are
   measured, each in a process of its own: CPU seconds, and the peak of resident memory above that before.
2. Every process is bounded in CPU time; one that is ended there counts as a failure.
Not here: what a check costs (validators, refusals).
"""

from __future__ import annotations

import gc
import json
import os
import resource
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

from bench import large_schemas
from validators import Registry, SchemaError

LIMIT_S = 5
LARGEST = 2**20
WARM = "warm/1.0.0"


class Cost(NamedTuple):
    """What one attempt took; ``refused`` is the reason, "" when the schema was compiled."""

    seconds: float
    megabytes: float
    refused: str


def _peak_mb() -> float:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def _attempt(registry: Registry) -> Cost:
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # The peak begins anew.
    before_mb, before_s = _peak_mb(), time.process_time()
    try:
        registry.validator(large_schemas.URI)
        refused = ""
    except SchemaError as error:
        refused = str(error).partition(": ")[2]
    return Cost(time.process_time() - before_s, _peak_mb() - before_mb, refused)


def measure(kind: str, n: int, *, as_yaml: bool) -> Cost:
    """Try one schema in a process of its own."""
    with tempfile.TemporaryDirectory() as directory:
        for name, text in large_schemas.documents(kind, n, as_yaml=as_yaml).items():
            file = Path(directory, f"{name}.yaml")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        return _in_child(directory)


def _in_child(directory: str) -> Cost:
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        resource.setrlimit(resource.RLIMIT_CPU, (LIMIT_S, LIMIT_S))
        os.write(write, json.dumps(_attempt(Registry([directory], allow_insecure=True))).encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        answer = pipe.read()
    os.waitpid(child, 0)
    return Cost(*json.loads(answer)) if answer else Cost(LIMIT_S, 0, "(it was ended)")


def _row(kind: str, as_yaml: bool) -> tuple[int, Cost, Cost]:
    """Grow until it is refused, then halve the distance until that hardly matters."""
    n = 4
    while not (cost := measure(kind, n, as_yaml=as_yaml)).refused and n < LARGEST:
        n *= 2
    passed, refused, refusal = n // 2, n, cost
    while refused - passed > max(1, passed // 50):
        middle = (passed + refused) // 2
        cost = measure(kind, middle, as_yaml=as_yaml)
        if cost.refused:
            refused, refusal = middle, cost
        else:
            passed = middle
    return passed, measure(kind, passed, as_yaml=as_yaml), max(refusal, measure(kind, 4 * refused, as_yaml=as_yaml))


def run(arguments: list[str]) -> int:
    """Print the table, of the kinds that are named or of all. About 3 min."""
    with tempfile.TemporaryDirectory() as directory:  # Meta-schemas and the like are compiled once a process.
        Path(directory, "warm").mkdir()
        Path(directory, f"{WARM}.yaml").write_text("{type: object}")
        Registry([directory]).validator(f"/{WARM}")
    worst: dict[str, Any] = {"seconds": 0.0, "megabytes": 0.0}
    print(f"{'kind':40} {'largest':>8} {'s':>6} {'MB':>6}   refusing it: s, MB, why")
    for kind in arguments or large_schemas.NAMES:
        for as_yaml in (False, True):
            n, cost, refusal = _row(kind, as_yaml)
            name = f"{kind}{' (YAML)' * as_yaml}"
            print(
                f"{name:40} {n:8} {cost.seconds:6.2f} {cost.megabytes:6.1f}   "
                f"{refusal.seconds:.2f} {refusal.megabytes:.1f} {refusal.refused[:70]}",
                flush=True,
            )
            worst["seconds"] = max(worst["seconds"], cost.seconds, refusal.seconds)
            worst["megabytes"] = max(worst["megabytes"], cost.megabytes, refusal.megabytes)
    print(f"worst: {worst['seconds']:.2f} s, {worst['megabytes']:.1f} MB")
    return 0 if worst["seconds"] < 1 and worst["megabytes"] < 50 else 1
