"""Measure the cost of an event step by step: parse, decode and validate, enrich, submit, ack, answer, kernel.

Place: `python -m bench budget`.
Rules:
1. The whole is measured without a sampler: CPU per event by the scheduler's count, in user code, in the kernel, and of
   librdkafka's threads.
2. User code is divided by samples of the worker's stack (profile): the innermost frame that a rule knows names the
   step. Samples inside a system call are left out: their time is the kernel's, which the scheduler has counted.
3. What no rule knows stands there as such. The named steps must make up the whole within 10 %, or it is a failure
   (exit 1). Each is a median of its own, so they may make up a little more, too.
Not here: which server code is at fault: the flame graph shows that.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from bench import measure, profile, rounds
from bench.measure import Meter, Usage
from bench.works import WORKS, Work

RESULTS = Path(__file__).parent / "results" / "budget.json"
ROUNDS = 5
MOST_OFF = 0.1

PARSE, SPLIT, CHECK, ENRICH = "parse request", "split body", "decode and validate", "enrich"
PREPARE, SUBMIT, ACK, ANSWER = "receive, route, address", "submit", "ack", "answer"
BOOKS, LOOP, KERNEL, THREADS = "books, receipts, beat", "event loop", "kernel", "librdkafka's threads"
MASTER, UNKNOWN = "master", "not named"
STEPS = (PARSE, SPLIT, CHECK, ENRICH, PREPARE, SUBMIT, ACK, ANSWER, BOOKS, LOOP, KERNEL, THREADS, MASTER, UNKNOWN)

# A frame is "function (file:line)". The first rule that fits the innermost frame wins; then the next frame outwards.
RULES = [
    (CHECK, r"<(validator|reader)[^)]*>|/validators/"),
    (ENRICH, r"/intake/(enrich|filling|splice|arrival|members)\.py|/http/client_address\.py|/identity\.py"),
    (SPLIT, r"/intake/decode\.py"),
    (BOOKS, r"/(receipts|rings|ledger|scoreboard|row|counts|durability|spool\w*|replay|tally)\.py"),
    (BOOKS, r"^(?!(Worker\.)?run \().*/server/worker\.py:"),  # All that a worker does, it does in ``run``.
    (SUBMIT, r"submit\w* \(|_wake \(|is_full \(|outstanding \(|/intake/delivery\.py"),
    (ACK, r"KafkaSink\.(_tick|_serve)|on_ack|/intake/pending\.py|_on_settled"),
    (ANSWER, r"/http/(response|outgoing|problem)\.py|Request\.(reply|identity)|Connection\.answer|Sender\.answer"),
    (ANSWER, r"/intake/(verdict|report)\.py"),
    (PREPARE, r"/intake/"),
    (PARSE, r"/http/"),
    (LOOP, r"/server/|uvloop|/asyncio/"),
]
_rules = [(step, re.compile(pattern)) for step, pattern in RULES]

# libc's functions that are a system call and nothing else.
CALLS = re.compile(r"^_*(epoll_p?wait\w*|writev?|readv?|send\w*|recv\w*|poll|futex|pthread_cond_\w+|syscall|ioctl) \(")

# A thread of a pool that waits for work: the sampler takes it for busy.
IDLE = re.compile(r"_worker \(\S*/concurrent/futures/thread\.py")


def step_of(stack: list[str]) -> str:
    """The step that a sample belongs to. ``stack``: outermost frame first."""
    if CALLS.match(stack[-1]):
        return KERNEL
    for frame in reversed(stack):
        for step, pattern in _rules:
            if pattern.search(frame):
                return step
    return UNKNOWN


def shares(raw: str) -> tuple[dict[str, float], int]:
    """What part of the worker's user code each step has, and of how many samples."""
    found: Counter[str] = Counter()
    for line in raw.splitlines():
        frames, _, count = line.rpartition(" ")
        if IDLE.search(frames):
            continue
        found[step_of(frames.split(";"))] += int(count)
    del found[KERNEL]
    total = sum(found.values())
    return {step: count / max(total, 1) for step, count in found.items()}, total


def whole(target: profile.Target, work: Work, seconds: float) -> dict[str, float]:
    """µs for each event, the median of several rounds."""
    used: dict[str, list[float]] = {"user": [], "kernel": [], "threads": [], "master": [], "all": []}
    for _ in range(ROUNDS):
        meter = Meter(target.worker)
        one = rounds.take(target.master, target.port, work, seconds, None)
        worker: Usage = meter.read()
        per_event = 1e6 / max(one.events, 1)
        used["all"].append(one.cpu_us)
        used["user"].append(worker.user_s * per_event)
        used["kernel"].append(worker.system_s * per_event)
        used["threads"].append(worker.producer_s * per_event)
        used["master"].append(max(one.usage.total_s - worker.total_s, 0.0) * per_event)
    return {name: statistics.median(values) for name, values in used.items()}


def budget(work: Work, seconds: float) -> dict[str, Any]:
    """Both, and what each step costs."""
    with profile.served(work) as target, tempfile.TemporaryDirectory() as name:
        file = Path(name) / "raw"
        profile.sample(target, work, seconds, "raw", file)
        told = whole(target, work, max(seconds / ROUNDS, 1.0))
        parts, samples = shares(file.read_text(encoding="utf-8"))
    steps = {step: parts.get(step, 0.0) * told["user"] for step in STEPS}
    steps |= {KERNEL: told["kernel"], THREADS: told["threads"], MASTER: told["master"]}
    named = (sum(steps.values()) - steps[UNKNOWN]) / told["all"]
    return {
        "steps_us": {step: round(cost, 3) for step, cost in steps.items()},
        "whole_us": round(told["all"], 3),
        "named": round(named, 4),
        "samples": samples,
    }


def table(results: dict[str, dict[str, Any]]) -> str:
    """A column for each work."""
    lines = [f"{'CPU µs per event':<26}" + "".join(f"{name:>20}" for name in results)]
    for step in STEPS:
        row = f"{step:<26}"
        for one in results.values():
            cost = one["steps_us"][step]
            row += f"{cost:>12.2f} {cost / one['whole_us']:>6.1%}"
        lines.append(row)
    lines.append(f"{'the whole':<26}" + "".join(f"{one['whole_us']:>12.2f}{'':>8}" for one in results.values()))
    lines.append(f"{'named of it':<26}" + "".join(f"{one['named']:>12.1%}{'':>8}" for one in results.values()))
    lines.append(f"{'samples':<26}" + "".join(f"{one['samples']:>12}{'':>8}" for one in results.values()))
    return "\n".join(lines)


def run(arguments: list[str]) -> int:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(prog="python -m bench budget", description=__doc__.partition("\n")[0])
    parser.add_argument("--works", nargs="+", choices=WORKS, default=["single-hasty", "single-256", "batch-100"])
    parser.add_argument("--seconds", type=float, default=12.0, help="of samples, and again without the sampler")
    parser.add_argument("--keep", action="store_true", help=f"write the figures to bench/results/{RESULTS.name}")
    options = parser.parse_args(arguments)
    if profile.is_missing():
        print("budget: py-spy is not installed: make bench-venv", file=sys.stderr)
        return 2
    results = {name: budget(WORKS[name], options.seconds) for name in options.works}
    print(table(results))
    if options.keep:
        kept = {"environment": measure.environment(), "works": results}
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    unnamed = [name for name, one in results.items() if abs(one["named"] - 1) > MOST_OFF]
    if unnamed:
        print(f"the named steps do not make up the whole within a tenth: {', '.join(unnamed)}", file=sys.stderr)
    return 1 if unnamed else 0
