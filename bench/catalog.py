"""Measure the cost of a large catalog: seconds to start and reload, memory, and how first events delay others.

Place: `python -m bench catalog`.
Rules: the small catalog beside the large one is what growth is measured from. Wall time is what an operator waits, CPU
time what it would be on an idle machine; both are from the start of the process to the first ready worker.
Not here: what a catalog looks like (declared), how requests are timed (steady).
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import re
import shutil
import signal
import tempfile
import time
from pathlib import Path
from typing import Any

from bench import declared, measure, servers, steady

RESULTS = Path(__file__).parent / "results" / "catalog.json"
LIMIT_S = 120.0
WORKERS = 2
PER_S = 300.0  # Of bystanders.
COLD_PER_S = 1.0  # Each of a schema that no worker has; a new schema a second is a busy day.
COLD_S = 12.0


class Service:
    """One server over a catalog, for as long as the ``with`` lasts."""

    def __init__(self, directory: Path, settings: Path, port: int) -> None:
        self.port = port
        self._log = directory / "catalog.log"
        self._began = time.monotonic()
        self._child = servers.Child("catalog", ["server", "serve", "-c", str(settings)], servers.ALL_CORES, directory)

    def __enter__(self) -> Service:
        return self

    def __exit__(self, *_: Any) -> None:
        self._child.__exit__(None, None, None)

    def ready(self, generation: int) -> dict[str, float]:
        """Wait for a generation; seconds since it was asked for, and CPU seconds of the master in all."""
        deadline = time.monotonic() + LIMIT_S
        while f"ready: generation {generation}," not in self._log.read_text(errors="replace"):
            if time.monotonic() > deadline or self._child.process.poll() is not None:
                raise RuntimeError(f"generation {generation} did not come:\n{self._log.read_text()[-2000:]}")
            time.sleep(0.01)
        return {"s": round(time.monotonic() - self._began, 2), "cpu_s": round(_own_cpu_s(self._child.pid), 2)}

    def reload(self, generation: int) -> dict[str, float]:
        """HUP, and wait for the generation. CPU is the master's alone: old workers have theirs."""
        before_s = _own_cpu_s(self._child.pid)
        self._began = time.monotonic()
        os.kill(self._child.pid, signal.SIGHUP)
        took = self.ready(generation)["s"]
        return {"s": took, "cpu_s": round(_own_cpu_s(self._child.pid) - before_s, 2)}

    def unread(self) -> int:
        """Schemas that were left for their first event at the last reading."""
        last = re.split(r"ready: generation", self._log.read_text(errors="replace"))[-2]
        found = re.findall(r"(\d+) schemas are left", last)
        return int(found[-1]) if found else 0

    def memory_mb(self) -> dict[str, float]:
        """Of the largest worker, once the old ones are gone."""
        deadline = time.monotonic() + 15.0
        while len(workers := measure.tree(self._child.pid)[1:]) > WORKERS and time.monotonic() < deadline:
            time.sleep(0.1)
        return max((measure.memory_mb(pid) for pid in workers[:WORKERS]), key=lambda each: each["rss"])


def run(arguments: list[str]) -> int:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(prog="python -m bench catalog", description=__doc__.partition("\n")[0])
    parser.add_argument("--streams", type=int, default=10_000)
    parser.add_argument("--schemas", type=int, default=2_000)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name:
        found = _measured(Path(name), options.streams, options.schemas // declared.VERSIONS)
    found["environment"] = measure.environment() | {"load_average": os.getloadavg()[0]}
    _print(found)
    RESULTS.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 0


def _measured(directory: Path, streams: int, titles: int) -> dict[str, Any]:
    found: dict[str, Any] = {"streams": streams, "schemas": titles * declared.VERSIONS}
    with _service(directory / "small", 50, 10) as small:
        small.ready(1)
        found["small_mb"] = small.memory_mb()
    with _service(directory / "large", streams, titles) as large:
        found["first_start"] = large.ready(1) | {"unread": large.unread()}
        found["first_mb"] = large.memory_mb()
        # Each has its time for schemas that are not kept yet.
        found["reloads"] = [large.reload(number) | {"unread": large.unread()} for number in range(2, 6)]
        found["mb"] = large.memory_mb()
    with contextlib.ExitStack() as stack:
        large = stack.enter_context(_service(directory / "large", streams, titles, is_new=False))
        found["later_start"] = large.ready(1) | {"unread": large.unread()}
        large.memory_mb()
        found["bystanders"] = asyncio.run(_bystanders(large.port, directory / "large", streams, titles))
    return found


def _service(directory: Path, streams: int, titles: int, *, is_new: bool = True) -> Service:
    port = servers.free_port()
    if is_new:
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir()
        settings = declared.write(directory, streams=streams, titles=titles, port=port, workers=WORKERS)
    else:
        settings = directory / "penstock.yaml"
        settings.write_text(declared.SETTINGS.format(port=port, workers=WORKERS), encoding="utf-8")
    return Service(directory, settings, port)


async def _bystanders(port: int, directory: Path, streams: int, titles: int) -> dict[str, Any]:
    """Times of events of a schema that is ready, alone and while others send first events of schemas that are not."""
    hot = steady.post(declared.event(0, 0, "1.0.0"))

    def look(number: int, answer: steady.Answer) -> str | None:
        return None if answer[0] == 201 else f"status {answer[0]}"

    cold = int(COLD_PER_S * COLD_S)
    own = {f"late_{at}": declared.KINDS[at % len(declared.KINDS)] for at in range(20)}
    for number in range(1, cold + 1):  # Nobody can have read these ahead.
        declared.write_schema(directory, number % titles, "1.9.0", own)
    firsts = [steady.post(declared.event(number % titles, number % titles, "1.9.0")) for number in range(1, cold + 1)]
    found: dict[str, Any] = {"per_s": PER_S, "cold_per_s": COLD_PER_S}
    for name in ("alone", "beside", "alone again"):
        others = steady.Steady(port, PER_S, lambda _: hot, look, connections=16)
        first = steady.Steady(port, COLD_PER_S, lambda number: firsts[number % cold], look, connections=4)
        both = [others.run(COLD_S), *([first.run(COLD_S)] if name == "beside" else [])]
        await asyncio.gather(*both)
        found[name] = {
            "p50_ms": others.percentile_ms(0.5),
            "p99_ms": others.percentile_ms(0.99),
            "wrong": dict(others.wrong),
        }
        if name == "beside":
            found["first events"] = {
                "p50_ms": first.percentile_ms(0.5),
                "p99_ms": first.percentile_ms(0.99),
                "wrong": dict(first.wrong),
            }
    return found


def _own_cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * measure.TICK_S


def _print(found: dict[str, Any]) -> None:
    print(f"{found['streams']} streams, {found['schemas']} schemas")
    rows = [("first start", found["first_start"]), ("later start", found["later_start"])]
    rows += [(f"reload {number}", each) for number, each in enumerate(found["reloads"], 1)]
    for name, row in rows:
        print(f"  {name:<12} {row['s']:6.2f} s  {row['cpu_s']:6.2f} s CPU  {row['unread']:5} schemas left")
    for name in ("rss", "own"):
        grown = found["mb"][name] - found["small_mb"][name]
        small, first, large = found["small_mb"][name], found["first_mb"][name], found["mb"][name]
        print(f"  worker {name}: small {small}, large {first}, reloaded {large} MB: {grown:+.1f}")
    for name, row in found["bystanders"].items():
        if isinstance(row, dict):
            print(f"  {name:<12} p50 {row['p50_ms']:7.2f}  p99 {row['p99_ms']:7.2f} ms  wrong {row['wrong']}")
    print(f"  load average {found['environment']['load_average']:.1f}")
