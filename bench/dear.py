"""Measure how long the dearest event of each family of schemas holds a process.

Place: `python -m bench dear`; dear_events has the families, validators.steps the bound.
Rule: each check runs in a process of its own, which is ended after ``LIMIT_S`` of CPU time.
Not here: schemas that are dear to compile (compiling), refusals of real schemas (refusals).
"""

from __future__ import annotations

import json
import os
import resource
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from bench import dear_events
from validators import Registry, SchemaError, TooDearError, TooLargeError, Validator

LIMIT_S = 20  # For all of it.
MOST_S = 1.0
ROUNDS = 2
URI = "/dear/1.0.0"


class Cost(NamedTuple):
    """CPU seconds of judging the event for the first time, when functions are compiled, and later; what came out."""

    first_s: float
    later_s: float
    outcome: str


def measure(family: str) -> Cost:
    """Judge the event of a family, in a process of its own."""
    schema, event = dear_events.FAMILIES[family]()
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory, "dear", "1.0.0.yaml")
        file.parent.mkdir()
        file.write_text(json.dumps(schema))
        return _in_child(directory, event.encode())


def _in_child(directory: str, event: bytes) -> Cost:
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        resource.setrlimit(resource.RLIMIT_CPU, (LIMIT_S, LIMIT_S))
        os.write(write, json.dumps(_judged(directory, event)).encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        answer = pipe.read()
    os.waitpid(child, 0)
    return Cost(*json.loads(answer)) if answer else Cost(LIMIT_S, LIMIT_S, "(it was ended)")


def _judged(directory: str, event: bytes) -> Cost:
    try:
        validator = Registry([directory]).validator(URI)
    except SchemaError as error:
        return Cost(0, 0, f"no schema: {error}")
    first_s, _ = _judge(validator, event)
    later_s, outcome = min(_judge(validator, event) for _ in range(ROUNDS))
    return Cost(first_s, later_s, f"{validator.way.kind}: {outcome}")


def _judge(validator: Validator, event: bytes) -> tuple[float, str]:
    began_s = time.process_time()
    try:
        found = validator.check(validator.fill_defaults(event, dear_events.MOST_BYTES))
        outcome = "valid" if found is None else found[0].message
    except (TooDearError, TooLargeError) as error:
        outcome = type(error).__name__
    return time.process_time() - began_s, outcome


def run(arguments: list[str]) -> int:
    """Print a row for each family, or for those that are named."""
    worst_s = 0.0
    print(f"{'family':42} {'bytes':>9} {'first s':>8} {'s':>8}  outcome")
    for family in arguments or dear_events.FAMILIES:
        cost = measure(family)
        worst_s = max(worst_s, cost.later_s)
        size = len(dear_events.FAMILIES[family]()[1])
        print(f"{family:42} {size:9,} {cost.first_s:8.3f} {cost.later_s:8.3f}  {cost.outcome[:80]}", flush=True)
    print(f"worst: {worst_s:.2f} s")
    return 0 if worst_s < MOST_S else 1
