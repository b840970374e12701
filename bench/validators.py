"""What a check costs, beside the untyped decoding of the same bytes: every schema of the corpus, its own examples.

Place: `python -m bench validators`.
Rule: the two are timed in turns, in one process, and the best round of each counts: what is compared is the work.
Not here: whole requests (quick).
"""

from __future__ import annotations

import re
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from validators import Registry, Validator

CORPUS = Path(__file__).parents[1].parent / "shared" / "corpus" / "jsonschema"
ROUNDS, CALLS = 9, 300


def versions() -> Iterator[str]:
    for file in sorted(CORPUS.rglob("*.yaml")):
        if re.fullmatch(r"\d+\.\d+\.\d+", file.stem):
            yield f"/{file.relative_to(CORPUS).as_posix().removesuffix('.yaml')}"


def _time_us(call: Callable[[bytes], Any], raw: bytes) -> float:
    start = time.perf_counter_ns()
    for _ in range(CALLS):
        call(raw)
    return (time.perf_counter_ns() - start) / CALLS / 1_000


def _compare(check: Callable[[bytes], Any], raw: bytes) -> tuple[float, float]:
    decode = msgspec.json.Decoder().decode
    pairs = [(_time_us(check, raw), _time_us(decode, raw)) for _ in range(ROUNDS)]
    return min(pair[0] for pair in pairs), min(pair[1] for pair in pairs)


def _is_one_pass(validator: Validator, raw: bytes) -> bool:
    before = validator.reference_checks
    return validator.check(raw) is None and validator.reference_checks == before


def run(_arguments: list[str]) -> int:
    """Print the table. About 10 s."""
    if not CORPUS.is_dir():
        print(f"validators: there is no {CORPUS}", file=sys.stderr)
        return 2
    registry = Registry([str(CORPUS)])
    rows: list[tuple[float, float, float, bool, str]] = []
    for uri in versions():
        validator = registry.validator(uri)
        for example in validator.schema.get("examples", []):
            raw = msgspec.json.encode(example)
            checked_us, decoded_us = _compare(validator.check, raw)
            rows.append((checked_us / decoded_us, checked_us, decoded_us, _is_one_pass(validator, raw), uri))
    rows.sort()
    passed = [row for row in rows if row[3]]
    others = sorted({row[4] for row in rows if not row[3]})
    with_examples = {row[4] for row in rows}
    print(f"versions with examples  {len(with_examples)}, one-pass {len(with_examples) - len(others)}")
    print(f"check µs                median {statistics.median(row[1] for row in passed):.2f} of one-pass events")
    print(f"untyped decode µs       median {statistics.median(row[2] for row in passed):.2f} of one-pass events")
    for name, some in (("one-pass", passed), ("all", rows)):
        print(f"ratio, {name:15}  median {statistics.median(row[0] for row in some):.2f}, max {some[-1][0]:.2f}")
    print(f"                        (max: {rows[-1][4]})")
    for uri in others:
        print(f"reference: {uri}: {registry.validator(uri).way.reason or 'its example'}")
    return 0
