"""Measure the cost of ``duplicate_keys: reject`` per event: the search for names that occur twice in an object.

Place: `python -m bench duplicates`.
Rule: CPU time in this process, the best round of several, beside an untyped decode of the same bytes.
Not here: what becomes of such an event (intake.pipeline).
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import msgspec

from bench import events
from server.intake.text import decode

ROUNDS, CALLS = 7, 20


def _time_us(call: Callable[[bytes], Any], raws: list[bytes]) -> float:
    best = float("inf")
    for _ in range(ROUNDS):
        start = time.process_time_ns()
        for _ in range(CALLS):
            for raw in raws:
                call(raw)
        best = min(best, (time.process_time_ns() - start) / CALLS / len(raws) / 1_000)
    return best


def run(_arguments: list[str]) -> int:
    """Print a row for each workload. About 5 s."""
    untyped = msgspec.json.Decoder().decode
    print(f"{'events':28} {'bytes':>6} {'decode µs':>10} {'look µs':>8} {'every object µs':>16}")
    for name in events.names():
        raws = events.workload(name).events
        colon = [raw.replace(b"{", b'{"\\u003a":1,', 1) for raw in raws]
        for title, some in ((name, raws), (f"{name}, an escaped colon", colon)):
            size = round(statistics.mean(map(len, some)))
            look, every = _time_us(decode.has_duplicate_names, some), _time_us(decode._has_duplicate_names, some)
            print(f"{title:28} {size:6} {_time_us(untyped, some):10.2f} {look:8.2f} {every:16.2f}")
    return 0
