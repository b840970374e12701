"""Measure the loss at TERM under hasty traffic, with brokers that live, are dead or hang: which of the 202s are lost?

Place: `python -m bench shutdown` → HERE → away.
Rules: the load goes on until the service is gone. An event that was answered 202 is found in the brokers' log or on
disk, or it is lost; a hung broker goes on before anybody looks. Bounded in events a second and in time.
Not here: faults in any order (penstock soak).
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

from bench import away, measure
from bench.away import Hasty, Stand, brokers, stand
from soak.brokers import Mock

RESULTS = Path(__file__).parent / "results" / "shutdown.json"
STATES = ("live", "dead", "hung")
BEFORE_S, AWAY_S = 2.0, 1.5  # TERM comes while librdkafka still holds what it could not send.


async def terminated(stand: Stand, mock: Mock, state: str, load: Hasty) -> float:
    """Load, take the brokers away, TERM. Returns how many seconds the service took to leave."""
    running = asyncio.create_task(load.run(60.0))
    await asyncio.sleep(BEFORE_S)
    if state == "dead":
        mock.down()
    elif state == "hung":
        mock.hang()
    await asyncio.sleep(AWAY_S)
    began = time.monotonic()
    stand.service.process.send_signal(signal.SIGTERM)
    while stand.service.process.poll() is None and time.monotonic() < began + 2 * away.DRAIN_S:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    seconds = time.monotonic() - began
    load.stop()
    await running
    return seconds


def measured(state: str, per_s: float) -> dict[str, Any]:
    """One state of the brokers."""
    with tempfile.TemporaryDirectory() as name, brokers() as mock, stand(Path(name), mock.servers) as service:
        load = Hasty(service.port, per_s)
        seconds = asyncio.run(terminated(service, mock, state, load))
        mock.go_on()
        mock.up()
        there, on_disk = away.delivered(mock), service.spooled()
        lost = load.told - set(there) - on_disk
        return {
            "brokers": state,
            "answered_202": len(load.told),
            "delivered": len(set(there)),
            "delivered_twice": len(there) - len(set(there)),
            "on_disk": len(on_disk),
            "lost": len(lost),
            "exit_code": service.service.process.poll(),
            "exit_s": round(seconds, 2),
            "drain_s": away.DRAIN_S,
            "books": {key: count for key, count in service.books().items() if count},
        }


def run(arguments: list[str]) -> int:
    """Print, keep; 1 when anything was lost or late."""
    parser = argparse.ArgumentParser(prog="python -m bench shutdown", description=__doc__.partition("\n")[0])
    parser.add_argument("--per-s", type=float, default=5000.0, help="hasty events a second")
    parser.add_argument("--brokers", nargs="+", choices=STATES, default=list(STATES))
    parser.add_argument("--keep", action="store_true", help=f"write the figures to bench/results/{RESULTS.name}")
    options = parser.parse_args(arguments)
    results = [measured(state, options.per_s) for state in options.brokers]
    print(json.dumps(results, indent=1))
    if options.keep:
        environment = measure.environment() | {"load_average": os.getloadavg()[0]}
        kept = {"environment": environment, "per_s": options.per_s, "results": results}
        RESULTS.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    return int(any(one["lost"] or one["exit_code"] or one["exit_s"] > one["drain_s"] for one in results))
