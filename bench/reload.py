"""What reloads do to those who send: failed requests, and the p99 with 100 reloads and without.

Place: `python -m bench reload`.
Rules: two stream files take turns, each with the same mark in two streams, so that an answer made of both would show.
A reload begins ``PAUSE_S`` after the one before has taken over: its old workers have just left then. All connections
are kept, as clients keep them.
Not here: what a large catalog costs (catalog), how requests are timed (steady).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import tempfile
import time
from pathlib import Path
from typing import Any

from bench import measure, servers, steady

RESULTS = Path(__file__).parent / "results" / "reload.json"
CONNECTIONS = 64
PER_S = 400.0
READS = 20  # One request in so many reads the settings.
PAUSE_S = 1.0
BLOCKS = 5
LIMIT_S = 60.0  # Of one block of reloads.

SETTINGS = """\
workers: 2
drain_s: 5
http: {{listen: ["127.0.0.1:{port}"]}}
schemas: {{base_uris: ["{schemas}"]}}
streams: {{sources: [streams.yaml]}}
sink: {{kind: memory}}
"""
STREAMS = "streams:\n  one: {{schema_title: app/tick, mark: {mark}}}\n  two: {{schema_title: app/tick, mark: {mark}}}\n"
EVENT = b'{"$schema":"/app/tick/1.0.0","meta":{"stream":"one"},"count":1}'


def run(arguments: list[str]) -> int:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(prog="python -m bench reload", description=__doc__.partition("\n")[0])
    parser.add_argument("--reloads", type=int, default=100)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name:
        found = asyncio.run(_measured(Path(name), options.reloads))
    found["environment"] = measure.environment() | {"load_average": os.getloadavg()[0]}
    _print(found)
    RESULTS.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 0


async def _measured(directory: Path, reloads: int) -> dict[str, Any]:
    port = servers.free_port()
    schemas = Path(__file__).parents[1] / "server" / "examples" / "schemas"
    settings = directory / "penstock.yaml"
    settings.write_text(SETTINGS.format(port=port, schemas=schemas), encoding="utf-8")
    _write(directory, 0)
    with servers.Child("reload", ["server", "serve", "-c", str(settings)], servers.ALL_CORES, directory) as child:
        child.wait_for(port)
        await _load(port).run(2.0)
        quiet, busy = _load(port), _load(port)
        done = 0
        for _ in range(BLOCKS):  # In turns: what else the machine does meets both alike.
            await quiet.run(reloads / BLOCKS * PAUSE_S)
            done, _ = await asyncio.gather(_reload(child, directory, done, reloads // BLOCKS, busy), busy.run(LIMIT_S))
        return {
            "connections": CONNECTIONS,
            "per_s": PER_S,
            "reloads": done,
            "without": _row(quiet),
            "with": _row(busy),
        }


async def _reload(child: servers.Child, directory: Path, done: int, reloads: int, load: steady.Steady) -> int:
    """Reload so often, or until the time is over; how many took over, with those that were ``done`` before."""
    log = directory / "reload.log"
    deadline = time.monotonic() + LIMIT_S - 10
    for number in range(done + 1, done + reloads + 1):
        _write(directory, number)
        os.kill(child.pid, signal.SIGHUP)
        while f"ready: generation {number + 1}," not in log.read_text(errors="replace"):
            if time.monotonic() > deadline:
                load.stop()
                return number - 1
            await asyncio.sleep(0.02)
        await asyncio.sleep(PAUSE_S)
    load.stop()
    return done + reloads


def _load(port: int) -> steady.Steady:
    event, read = steady.post(EVENT), steady.get("/v1/streamconfigs?streams=one|two")
    return steady.Steady(port, PER_S, lambda number: event if number % READS else read, _look, CONNECTIONS)


def _look(number: int, answer: steady.Answer) -> str | None:
    status, body = answer
    if number % READS:
        return None if status == 201 else f"status {status}"
    if status != 200:
        return f"status {status} of a read"
    marks = {settings["mark"] for settings in json.loads(body)["streams"].values()}
    return None if len(marks) == 1 else "two snapshots in one answer"


def _write(directory: Path, number: int) -> None:
    beside = directory / "streams.yaml.new"
    beside.write_text(STREAMS.format(mark=f"m{number % 2}"), encoding="utf-8")
    beside.replace(directory / "streams.yaml")


def _row(load: steady.Steady) -> dict[str, Any]:
    return {
        "answered": len(load.times_s),
        "failed": sum(load.wrong.values()),
        "what": dict(load.wrong),
        "repeated": load.repeated,
        "p50_ms": load.percentile_ms(0.5),
        "p99_ms": load.percentile_ms(0.99),
    }


def _print(found: dict[str, Any]) -> None:
    print(f"{found['reloads']} reloads, {found['connections']} connections, {found['per_s']}/s")
    for name in ("without", "with"):
        row = found[name]
        print(
            f"  {name:<8} answered {row['answered']:6}  failed {row['failed']} {row['what'] or ''}"
            f"  repeated {row['repeated']}  p50 {row['p50_ms']:.2f}  p99 {row['p99_ms']:.2f} ms"
        )
    print(f"  load average {found['environment']['load_average']:.1f}")
