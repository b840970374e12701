"""Measure a minute without brokers under steady hasty events: memory, the cost of a refusal, and how the spool empties.

Place: `python -m bench outage` → HERE → away.
Rules: one worker, an open loop, brokers that refuse connections from the start, that are killed under load, and that
hang. Guaranteed events come all the while; those that are refused are timed by themselves. The load goes on while the
spool empties. Latency there is compared with that of the same run before the outage and after the recovery.
Not here: what is lost when processes die too (penstock soak).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from bench import measure
from bench.away import Guaranteed, Hasty, Stand, brokers, percentile, stand
from soak.brokers import Mock

RESULTS = Path(__file__).parent / "results" / "outage.json"
STATES: Final = ("refused", "killed", "hung")
CALM_S: Final = 10.0
LOOK_S: Final = 1.0
EMPTY_S: Final = 300.0
MOST_MB: Final = 100.0
MOST_REFUSAL_MS: Final = 50.0
MOST_RATIO: Final = 2.0


class Watch:
    """What the service looked like once a second: ``waiting`` events in the spool, ``replayed_per_s``, ``rss_mb``."""

    def __init__(self, service: Stand) -> None:
        self._service = service
        self._replayed = service.books().get("replayed", 0)
        self._at = time.monotonic()
        self.waiting: list[int] = []
        self.replayed_per_s: list[float] = []
        self.rss_mb: list[float] = []

    def cpu_s(self) -> float:
        """What the service has used so far."""
        return measure.cpu_s(self._service.service.pid)

    def look(self) -> int:
        """Note it. Returns what waits."""
        books, now = self._service.books(), time.monotonic()
        replayed = books.get("replayed", 0)
        self.replayed_per_s.append((replayed - self._replayed) / (now - self._at))
        self._replayed, self._at = replayed, now
        self.waiting.append(books.get("spooled", 0) - replayed)
        self.rss_mb.append(self._service.worker_rss_mb())
        return self.waiting[-1]


class Loads:
    """Sends hasty and guaranteed events, and keeps the response times of the current phase."""

    def __init__(self, port: int, per_s: float) -> None:
        self.hasty = Hasty(port, per_s)
        self.guaranteed = Guaranteed(port, per_s / 100)

    async def run(self) -> None:
        """Send until ``stop`` is called."""
        await asyncio.gather(self.hasty.run(3600), self.guaranteed.run(3600))

    def stop(self) -> None:
        """No request is due after this."""
        self.hasty.stop()
        self.guaranteed.stop()

    def begin(self) -> None:
        """A new phase: forget the times."""
        self.hasty.times_s.clear()
        self.guaranteed.by_status_ms.clear()

    def told(self) -> dict[str, Any]:
        """Quantiles of this phase."""
        guaranteed = self.guaranteed.by_status_ms
        return {
            "hasty_p50_ms": self.hasty.percentile_ms(0.5),
            "hasty_p99_ms": self.hasty.percentile_ms(0.99),
            "guaranteed": {status: len(times) for status, times in sorted(guaranteed.items())},
            "guaranteed_201_p99_ms": percentile(guaranteed.get(201, []), 0.99),
            "guaranteed_503_p99_ms": percentile(guaranteed.get(503, []), 0.99),
        }


async def phase(loads: Loads, watch: Watch, seconds: float, *, until_empty: bool = False) -> dict[str, Any]:
    """Run one phase for ``seconds``, or until no event waits any more."""
    loads.begin()
    began, before_s = time.monotonic(), watch.cpu_s()
    while (passed_s := time.monotonic() - began) < seconds:
        await asyncio.sleep(LOOK_S)
        if watch.look() <= 0 and until_empty:
            break
    told = {"seconds": round(passed_s, 1), "waiting": watch.waiting[-1], "rss_mb": watch.rss_mb[-1]}
    return loads.told() | told | {"cores": round((watch.cpu_s() - before_s) / passed_s, 2)}


async def scenario(service: Stand, mock: Mock, state: str, options: argparse.Namespace) -> dict[str, Any]:
    """Calm, outage, recovery, calm."""
    loads, watch = Loads(service.port, options.per_s), Watch(service)
    running = asyncio.create_task(loads.run())
    before = await phase(loads, watch, CALM_S) if state != "refused" else None
    start_mb = service.worker_rss_mb()
    if state == "killed":
        mock.down()
    elif state == "hung":
        mock.hang()
    first = len(watch.rss_mb)
    outage = await phase(loads, watch, options.seconds)
    most_mb = max(watch.rss_mb[first:])
    mock.go_on()
    mock.up()
    first = len(watch.replayed_per_s)
    recovery = await phase(loads, watch, EMPTY_S, until_empty=True)
    fastest = max(watch.replayed_per_s[first:])
    after = await phase(loads, watch, CALM_S)
    loads.stop()
    await running
    return {
        "brokers": state,
        "before": before,
        "outage": outage | {"rss_grew_mb": round(most_mb - start_mb, 1)},
        "recovery": recovery | {"replayed_per_s_at_most": round(fastest)},
        "after": after,
        "wrong": dict(loads.hasty.wrong),
        "books": {key: count for key, count in service.books().items() if count},
    }


def findings(one: dict[str, Any], replay_per_s: float) -> list[str]:
    """Which bounds are broken."""
    calm_ms = max(phase["hasty_p99_ms"] for phase in (one["before"], one["after"]) if phase)
    outage, recovery = one["outage"], one["recovery"]
    broken = {
        f"memory grew by {outage['rss_grew_mb']} MB": outage["rss_grew_mb"] > MOST_MB,
        f"a refusal took {outage['guaranteed_503_p99_ms']} ms": outage["guaranteed_503_p99_ms"] > MOST_REFUSAL_MS,
        f"p99 in recovery {recovery['hasty_p99_ms']} ms, else {calm_ms}": recovery["hasty_p99_ms"]
        > MOST_RATIO * calm_ms,
        f"{recovery['waiting']} events still wait": recovery["waiting"] > 0,
        f"replayed {recovery['replayed_per_s_at_most']} a second": recovery["replayed_per_s_at_most"]
        > 1.2 * replay_per_s,
    }
    return [f"{one['brokers']}: {what}" for what, is_broken in broken.items() if is_broken]


def measured(state: str, options: argparse.Namespace) -> dict[str, Any]:
    """One kind of outage."""
    with tempfile.TemporaryDirectory() as name, brokers() as mock:
        if state == "refused":
            mock.down()
        settings = {"path": str(Path(name) / "spool"), "replay_per_s": options.replay_per_s}
        with stand(Path(name), mock.servers, spool=settings) as service:
            return asyncio.run(scenario(service, mock, state, options))


def run(arguments: list[str]) -> int:
    """Print, keep; 1 when a bound is broken."""
    parser = argparse.ArgumentParser(prog="python -m bench outage", description=__doc__.partition("\n")[0])
    parser.add_argument("--per-s", type=float, default=5000.0, help="hasty events a second")
    parser.add_argument("--seconds", type=float, default=60.0, help="of the outage")
    parser.add_argument("--replay-per-s", type=float, default=10_000.0, help="spool.replay_per_s")
    parser.add_argument("--brokers", nargs="+", choices=STATES, default=list(STATES))
    parser.add_argument("--keep", action="store_true", help=f"write the figures to bench/results/{RESULTS.name}")
    options = parser.parse_args(arguments)
    results = [measured(state, options) for state in options.brokers]
    print(json.dumps(results, indent=1))
    broken = [line for one in results for line in findings(one, options.replay_per_s)]
    print("\n".join(broken) or "all bounds hold")
    if options.keep:
        environment = measure.environment() | {"load_average": os.getloadavg()[0]}
        kept = {"environment": environment, "per_s": options.per_s, "results": results, "broken": broken}
        RESULTS.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    return int(bool(broken))
