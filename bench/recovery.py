"""Measure the way back after brokers hung: when the spool is empty again, and when every key is answered 201.

Place: `python -m bench recovery` → HERE → a served intake, the soak's brokers, steady.
Rules: an open loop of keyed events, one in ten guaranteed, goes on through the outage and all of the way back, and
guaranteed events of new keys come 20 times a second. CHAINS clients send events of one key each, one after the answer
to the other over one connection. A rate of ``80%`` is that share of the events that the service took before, from
clients that do not pause. The brokers are stopped by SIGSTOP. The bench looks for the promised events in their log
afterwards. A row holds if the spool is empty within twice the outage, at least MIN_EMPTY_S; new keys are answered 201
within NEW_KEYS_S, but for OTHERS of them; nothing is lost; the events of chains are in order; and until the spool is
empty the brokers get at most LOAD times their usual events. ``peak`` is that of a second, in which brokers that go on
take the events in their queues.
Not here: order across connections, and faults of processes (penstock soak).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any, Final

from bench import measure
from bench.events import ROOT
from bench.orders import CHAIN_PER_S, CHAIN_SIZE, CHAINED, NEW_PER_S, TOPIC, Chain, NewKeys, Orders
from bench.servers import Child, free_port
from server.shared.ledger import Ledger
from soak.brokers import PARTITIONS, Brokers, Kafka, Mock
from soak.service import spooled_events
from soak.topic_reader import TopicReader

RESULTS: Final = Path(__file__).parent / "results" / "recovery.json"
CALM_S: Final = 5.0
LOOK_S: Final = 0.1
MIN_EMPTY_S: Final = 10.0
NEW_KEYS_S: Final = 5.0
OTHERS: Final = 0.01  # Of the answers to new keys after that: the map of keys makes one in 140 wait for other keys.
LOAD: Final = 2.0
MOST_S: Final = 6.0  # Times the outage, and a minute: then it is not waited for any longer.
CHAINS: Final = 8
FULL_BATCH: Final = 50
FULL_S: Final = 4.0
FULL_FIRST: Final = 3_000_000_000
ROW: Final = (
    "{workers:>7} {per_s:>8} {keys:>6} {outage_s:>8} {empty_s:>9} {new_201_s:>9} {all_201_s:>9} "
    "{load:>6} {peak:>6}  {verdict}"
)


async def scenario(port: int, pid: int, spool: Path, cluster: Brokers, one: dict[str, Any]) -> dict[str, Any]:
    """Calm, outage, and the way back."""
    ledger = Ledger.open(pid)
    if isinstance(one["per_s"], str):
        one["per_s"] = round(await _capacity(port) * float(one["per_s"].removesuffix("%")) / 100)
    orders, new = Orders(port, one["per_s"], one["keys"], one["batch"]), NewKeys(port)
    chains = [Chain(port, place) for place in range(CHAINS)]
    running = asyncio.gather(*(each.run(3600) for each in (orders, new, *chains)))
    await asyncio.sleep(CALM_S)
    cluster.hang()
    await asyncio.sleep(one["outage_s"])
    cluster.go_on()
    back_at = time.monotonic()
    rates, kept, kept_at, empty_at, empty_since = [0.0], _kept(ledger), back_at, 0.0, 0
    at_return, mean = kept, 0.0
    while time.monotonic() < back_at + MOST_S * one["outage_s"] + 60 and empty_since < 30:
        await asyncio.sleep(LOOK_S)
        waiting = await asyncio.to_thread(spooled_events, spool)
        empty_since = empty_since + 1 if waiting == 0 else 0
        if empty_since == 1:
            empty_at = time.monotonic()
            mean = (_kept(ledger) - at_return) / (empty_at - back_at)
        if (now := time.monotonic()) >= kept_at + 1.0:
            rates.append((_kept(ledger) - kept) / (now - kept_at))
            kept, kept_at = _kept(ledger), now
    for each in (orders, new, *chains):
        each.stop()
    await running
    usual = one["per_s"] + NEW_PER_S + CHAINS * CHAIN_PER_S
    return {
        "empty_s": round(empty_at - back_at, 1) if empty_since else None,
        "new_201_s": round(max(0.0, new.refused_at - back_at), 1),
        "all_201_s": round(max(0.0, orders.refused_at - back_at), 1),
        "new_share": round(
            sum(at > back_at + NEW_KEYS_S for at, _ in new.others) / NEW_PER_S / max(1.0, empty_at - back_at), 4
        ),
        "new_others": dict(Counter(status for at, status in new.others if at > back_at + NEW_KEYS_S)),
        "load": round(mean / usual, 2),
        "peak": round(max(rates) / usual, 2),
        "promised": sorted(orders.promised.union(*(each.promised for each in chains))),
        "refused": orders.refused,
        "wrong": dict(orders.wrong + new.wrong),
        "books": {name: sum(numbers[name] for numbers in ledger.totals().values()) for name in ("accepted", "spooled")},
    }


async def _capacity(port: int) -> float:
    """Events a second that are taken in while the brokers are well."""
    full = Orders(port, 1e9, 1 << 30, FULL_BATCH, FULL_FIRST)
    asyncio.get_running_loop().call_later(FULL_S, full.stop)
    await full.run(3600)
    await asyncio.sleep(CALM_S)
    return len(full.promised) / FULL_S


def _kept(ledger: Ledger) -> int:
    numbers = ledger.totals().get(TOPIC, {})
    return int(numbers.get("delivered", 0) + numbers.get("replayed", 0))


def measured(one: dict[str, Any], script: Path | None) -> dict[str, Any]:
    """One row."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        cluster: Brokers = Mock() if script is None else Kafka(script, directory)
        try:
            cluster.create([TOPIC, "web.page_view"])
            with _served(directory, cluster, one["workers"]) as (service, port, spool):
                found = asyncio.run(scenario(port, service.pid, spool, cluster, one))
            found |= _looked_for(cluster, found.pop("promised"), found.pop("refused"))
        finally:
            cluster.stop()
    bound = max(MIN_EMPTY_S, 2 * one["outage_s"])
    held = {
        "empty": found["empty_s"] is not None and found["empty_s"] <= bound,
        "new keys": found["new_201_s"] <= NEW_KEYS_S or found["new_share"] <= OTHERS,
        "nothing lost": not found["lost"],
        "no ghosts": not found["ghosts"],
        "order": not found["disordered"],
        "load": found["load"] <= LOAD,
    }
    missed = [what for what, holds in held.items() if not holds]
    return one | found | {"verdict": "holds" if not missed else f"misses: {', '.join(missed)}"}


def _served(directory: Path, cluster: Brokers, workers: int) -> Any:
    from contextlib import contextmanager

    @contextmanager
    def serve() -> Any:
        port, spool, file = free_port(), directory / "spool", directory / "settings.yaml"
        examples = ROOT / "server" / "examples"
        kafka = {
            "bootstrap.servers": cluster.servers,
            "message.timeout.ms": 4000,
            "max.in.flight.requests.per.connection": cluster.most_in_flight,
        }
        written = {
            "workers": workers,
            "http": {"listen": [f"127.0.0.1:{port}"]},
            "admin": {"listen": "127.0.0.1:0"},
            "schemas": {"base_uris": [str(examples / "schemas")]},
            "streams": {"sources": [str(examples / "streams.yaml")]},
            "sink": {"kind": "kafka", "kafka": kafka},
            "spool": {"path": str(spool)},
        }
        file.write_text(json.dumps(written), encoding="utf-8")
        with Child("service", ["server", "serve", "-c", str(file)], set(os.sched_getaffinity(0)), directory) as service:
            service.wait_for(port)
            yield service, port, spool

    return serve()


def _looked_for(cluster: Brokers, promised: list[int], refused: set[int]) -> dict[str, int]:
    """Compare what was promised with what the brokers hold."""
    reader = TopicReader(cluster.servers, [TOPIC], PARTITIONS)
    reader.start()
    reader.finish()
    numbers = [int(one.event["meta"]["request_id"]) for one in reader.found]
    there = Counter(numbers)
    return {
        "promised": len(promised),
        "lost": sum(not there[number] for number in promised),
        "twice": sum(there[number] > 1 for number in promised),
        "ghosts": sum(there[number] > 0 for number in refused),
        "disordered": _disordered(numbers, set(promised)),
    }


def _disordered(numbers: list[int], promised: set[int]) -> int:
    """How many events of chains come after a younger one of their chain, the first copies alone."""
    newest: dict[int, int] = {}
    count = 0
    for number in dict.fromkeys(numbers):
        if not CHAINED <= number < FULL_FIRST or number not in promised:
            continue
        chain = number // CHAIN_SIZE
        count += number < newest.get(chain, 0)
        newest[chain] = max(number, newest.get(chain, 0))
    return count


def run(arguments: list[str]) -> int:
    """Print the table; 1 when a row does not hold."""
    parser = argparse.ArgumentParser(prog="python -m bench recovery", description=__doc__.partition("\n")[0])
    parser.add_argument("--workers", nargs="+", type=int, default=[1, 2, 4])
    parser.add_argument("--per-s", nargs="+", default=["300", "3000", "80%"], help="events a second")
    parser.add_argument("--keys", nargs="+", type=int, default=[50, 2000, 1 << 30], help="2^30: each its own")
    parser.add_argument("--outage", nargs="+", type=float, default=[6.0, 40.0], help="seconds")
    parser.add_argument("--kafka", type=Path, help="start Apache Kafka by this script instead of mock brokers")
    parser.add_argument("--keep", action="store_true", help=f"write the figures to bench/results/{RESULTS.name}")
    options = parser.parse_args(arguments)
    head = {
        name: name
        for name in ("workers", "per_s", "keys", "outage_s", "empty_s", "new_201_s", "all_201_s", "load", "peak")
    }
    print(ROW.format(**head, verdict="verdict"))
    results = []
    for workers in options.workers:
        for per_s, batch in map(_rate, options.per_s):
            for keys in options.keys:
                for outage_s in options.outage:
                    one = {"workers": workers, "per_s": per_s, "keys": keys, "outage_s": outage_s, "asked": str(per_s)}
                    found = measured(one | {"batch": batch}, options.kafka)
                    results.append(found)
                    print(
                        ROW.format(**{name: _said(value) for name, value in found.items()}),
                        found["new_others"] or "",
                        flush=True,
                    )
    if options.keep:
        environment = measure.environment() | {"load_average": os.getloadavg()[0]}
        kept = {"environment": environment, "results": results}
        RESULTS.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    return int(any(found["verdict"] != "holds" for found in results))


def _rate(text: str) -> tuple[int | str, int]:
    """A rate, and how many events a request carries at it."""
    if text.endswith("%"):
        return text, FULL_BATCH
    return int(text), 1 if int(text) <= 500 else 10


def _said(value: Any) -> Any:
    return "never" if value is None else "all" if value == 1 << 30 else value
