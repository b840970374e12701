"""Measure the page-change processor: events per second and core, memory, latency, and bytes of state per page.

Place: `python -m bench page-change`; the figures stand in docs/PAGE_CHANGE.md.
Rules: histories by a seed, read from databases on this disk to the end. CPU is that of the whole process, with reading,
validation, rendering and commits. Latency is the time of the output behind its event, on the clock of the events: it is
D + R and the time until the next event moves the watermark.
Not here: whether the output is right (processors.page_change.oracle).
"""

from __future__ import annotations

import argparse
import gc
import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from processors.page_change.catalog import open_catalog
from processors.page_change.consolidator import Consolidator
from processors.page_change.draft import Bounds
from processors.page_change.embedded.run import Runner
from processors.page_change.format import Names
from processors.page_change.oracle.inputs import Inputs
from processors.page_change.oracle.run import history_of, prepared
from processors.page_change.settings import load

PERCENTILES: Final = (50, 99)


def run(arguments: list[str]) -> int:
    """Measure, and print one JSON object."""
    parser = argparse.ArgumentParser(prog="python -m bench page-change")
    parser.add_argument("--pages", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args(arguments)
    _, inputs = history_of(1, options.pages)
    core = max(_core(inputs) for _ in range(options.rounds))
    rates, sizes = [], (0, 0)
    for _ in range(options.rounds):
        with tempfile.TemporaryDirectory() as name:
            settings, base_dir = load(prepared(Path(name), inputs.centres, ttl_h=8_000, commit_s=3_600))
            runner = Runner(settings, base_dir, open_catalog(settings, base_dir))
            began, wall = time.process_time(), time.perf_counter()
            runner.run(once=True)
            rates.append((inputs.count / (time.process_time() - began), inputs.count / (time.perf_counter() - wall)))
            sizes = runner.state_sizes()
            runner.close()
    found = {
        "events": inputs.count,
        "core_events_per_cpu_s": round(core),
        "embedded_events_per_cpu_s": round(max(rate for rate, _ in rates)),
        "embedded_events_per_s": round(max(rate for _, rate in rates)),
        "most_rss_mib": _most_rss_mib(inputs),
        "pages": sizes[0],
        "state_bytes_per_page": round(sizes[1] / max(sizes[0], 1)),
        "latency_s": _latency(inputs),
    }
    sys.stdout.write(json.dumps(found) + "\n")
    return 0


def _most_rss_mib(inputs: Inputs) -> int:
    """The most memory that the command holds, in a process of its own."""
    with tempfile.TemporaryDirectory() as name:
        config = prepared(Path(name), inputs.centres)
        command = [sys.executable, "-m", "server", "process", "page-change", "-c", str(config), "--once"]
        most = 0
        with subprocess.Popen(command) as process:
            while process.poll() is None:
                # Not getrusage: what it says of a child begins with the memory of this process.
                status = Path(f"/proc/{process.pid}/status").read_text("ascii")
                most = max(most, *(int(kib) for kib in re.findall(r"^VmHWM:\s+(\d+)", status, re.MULTILINE)), 0)
                time.sleep(0.05)
    return most // 1024


def _core(inputs: Inputs) -> float:
    """Events per CPU second of the core alone: no input, no store, no validation."""
    records = sorted((one for found in inputs.centres.values() for one in found), key=lambda one: one.at)
    consolidator = Consolidator(Bounds(), Names())
    gc.collect()
    gc.disable()  # As the runner does.
    began = time.process_time()
    for number, one in enumerate(records):
        consolidator.take(one.raw, one.at)
        if number % 500 == 0:
            consolidator.advance(one.at - 60_000)
            consolidator.clean()
    consolidator.flush()
    taken = time.process_time() - began
    gc.enable()
    return len(records) / taken


def _latency(inputs: Inputs) -> dict[str, float]:
    """Percentiles of the time from an event to its output, in seconds of the events' clock."""
    records = sorted((one for found in inputs.centres.values() for one in found), key=lambda one: one.at)
    consolidator = Consolidator(Bounds(), Names())
    behind: list[int] = []
    for one in records:
        consolidator.take(one.raw, one.at)
        behind += [one.at - output.at for output in consolidator.advance(one.at - 60_000)]
    behind.sort()
    return {f"p{percent}": behind[len(behind) * percent // 100] / 1000 for percent in PERCENTILES}
