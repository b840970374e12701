"""Measure the cost of a check, compared with an untyped decode of the same bytes, for every schema of the corpus; or of
the project's examples where there is no corpus.

Place: `python -m bench validators`, `make bench-validators`.
Rule: all are timed in turns, in one process on one core; the best round of each counts, because the work is compared.
Not here: whole requests (quick), refused events (refusals).
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import orjson

from bench import measure
from server.compiled import finder
from validators import Registry, Validator

CORPUS = Path(__file__).parents[1].parent / "shared" / "corpus" / "jsonschema"
EXAMPLES = Path(__file__).parents[1] / "server" / "examples" / "schemas"
RESULTS = Path(__file__).parent / "results" / "validators.json"
ROUNDS, CALLS = 25, 100
WORST = 10


class Row(NamedTuple):
    """One example: bytes, and µs for each of what is compared."""

    uri: str
    size: int
    is_one_pass: bool
    check_us: float
    decode_us: float
    reference_us: float

    @property
    def ratio(self) -> float:
        """A check against ``msgspec.json.decode``."""
        return self.check_us / self.decode_us


def versions(directory: Path) -> Iterator[str]:
    """The URI of every version in a directory of schemas."""
    for file in sorted(directory.rglob("*.yaml")):
        if re.fullmatch(r"\d+\.\d+\.\d+", file.stem):
            yield f"/{file.relative_to(directory).as_posix().removesuffix('.yaml')}"


def _best_us(calls: list[Callable[[bytes], Any]], raw: bytes) -> list[float]:
    best = [float("inf")] * len(calls)
    for _ in range(ROUNDS):
        for at, call in enumerate(calls):
            start = time.perf_counter_ns()
            for _ in range(CALLS):
                call(raw)
            best[at] = min(best[at], time.perf_counter_ns() - start)
    return [one / CALLS / 1_000 for one in best]


def _is_one_pass(validator: Validator, raw: bytes) -> bool:
    before = validator.reference_checks
    return validator.check(raw) is None and validator.reference_checks == before


def _row(validator: Validator, raw: bytes) -> Row:
    is_one_pass = _is_one_pass(validator, raw)

    def refer(raw: bytes) -> None:
        validator._validate(orjson.loads(raw))

    times = _best_us([validator.check, msgspec.json.decode, refer], raw)
    return Row(validator.uri, len(raw), is_one_pass, *times)


def summary(rows: list[Row], ways: Counter[str]) -> dict[str, Any]:
    """The figures that are promised, and what is behind them."""
    ratios = sorted(row.ratio for row in rows)
    slow = {row.uri for row in rows if not row.is_one_pass}
    return {
        "versions": len({row.uri for row in rows}),
        "one_pass_versions": len({row.uri for row in rows} - slow),
        "examples": len(rows),
        "ways": dict(ways),
        "check_us": round(statistics.median(row.check_us for row in rows), 2),
        "decode_us": round(statistics.median(row.decode_us for row in rows), 2),
        "reference_us": round(statistics.median(row.reference_us for row in rows), 2),
        "ratio_median": round(statistics.median(ratios), 2),
        "ratio_p90": round(ratios[int(len(ratios) * 0.9)], 2),
        "ratio_max": round(ratios[-1], 2),
        "above_2": sum(ratio > 2 for ratio in ratios),
    }


def _print(rows: list[Row], figures: dict[str, Any]) -> None:
    print(f"the hot path is          {finder.mode()}")
    print(
        f"versions with examples   {figures['versions']}, one decode {figures['one_pass_versions']}: {figures['ways']}"
    )
    print(f"check µs                 median {figures['check_us']}")
    print(f"msgspec.json.decode µs   median {figures['decode_us']}")
    print(f"loads + fastjsonschema   median {figures['reference_us']}")
    shares = f"p90 {figures['ratio_p90']}, max {figures['ratio_max']}; above 2: {figures['above_2']} of {len(rows)}"
    print(f"check / decode           median {figures['ratio_median']}, {shares}")
    for row in sorted(rows, key=lambda row: -row.ratio)[:WORST]:
        print(f"  {row.ratio:5.2f}  {row.size:5} bytes {row.check_us:6.2f} µs  {row.uri}")


def run(arguments: list[str]) -> int:
    """Print the table. About 15 s."""
    parser = argparse.ArgumentParser(prog="python -m bench validators", description=__doc__.partition("\n")[0])
    parser.add_argument("--keep", action="store_true", help=f"write the figures to bench/results/{RESULTS.name}")
    options = parser.parse_args(arguments)
    directory = CORPUS if CORPUS.is_dir() else EXAMPLES
    if directory is EXAMPLES:
        print(f"There is no {CORPUS}, a copy of Wikimedia's schemas: these are the examples.", file=sys.stderr)
        if options.keep:
            print("Only figures of the corpus are kept.", file=sys.stderr)
            return 2
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    registry = Registry([str(directory)])
    rows: list[Row] = []
    ways: Counter[str] = Counter()
    for uri in versions(directory):
        validator = registry.validator(uri)
        examples = [msgspec.json.encode(example) for example in validator.schema.get("examples", [])]
        ways[validator.way.kind] += bool(examples)
        rows += [_row(validator, raw) for raw in examples]
    figures = summary(rows, ways)
    _print(rows, figures)
    if options.keep:
        kept = {"environment": measure.environment(), "summary": figures, "rows": [row._asdict() for row in rows]}
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return 0
