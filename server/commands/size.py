"""``penstock size``: estimate the resources for a load from the measured cost of one event.

Place: a command of its own; CAPACITY.md says how each line is derived, and the limits of the method.
Rules: measured constants are in size_constants.json with their source; assumptions are here, with their reason, and the
answer says which is which. Figures are rounded up: too many workers cost less than too few.
Not here: measuring (bench.sizing).
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import Any

from msgspec import Struct

from server.commands.support.options import positive, whole
from server.commands.support.output import until_nobody_reads
from server.config.settings import Config
from server.errors import EXIT_DONE

CONSTANTS = Path(__file__).with_name("size_constants.json")

# The planned load of a core. The rest is for bursts, reloads, and the minute in which another host's share comes over.
BUSY = 0.6
# Bytes besides the event as it came: enrichment (id, time, some 90 bytes), its Kafka headers, topic, key and row.
STORED_BYTES = 350
OWED_SHARE = 0.25  # The share of spool.max_bytes that is reserved for accepted events: sink.spool.spool.
ON_DISK = 1.2  # SQLite's pages are never full.
WAL_BYTES = 16 << 20  # The size of a worker's log: sink.spool.file,
MAP_BYTES = 16 << 20  # and of its map of keys: sink.spool.keys.
REPLAY_PER_S = 10_000.0  # What the worker that leads replays beside its requests (bench recovery).
REPLAY_GAIN = 0.8  # sink.spool.pace lets the brokers have 1.8 times the usual load.
MANY_CONNECTIONS = 2_000  # A broker serves some thousands: a rule of Kafka's operators, not measured here.
MIN_SPOOL_BYTES, MAX_SPOOL_BYTES = 1 << 20, 1 << 34  # A spool that is worth it, and the largest spool.max_bytes.
MAX_WORKERS = 256  # Of one host: the setting `workers`.
# How long an event is in memory while brokers are healthy: linger, round trip and a poll.
IN_FLIGHT_S = 0.1
# The throughput of one partition with three replicas on plain disks: a rule of Kafka's operators, not measured here.
PARTITION_BYTES_PER_S = 5_000_000
MB = 1_000_000


class Load(Struct, frozen=True, kw_only=True):
    """The load. ``batch`` is the number of events per request; ``cores`` are those of one host; ``brokers_per_s`` is
    how many events a second all brokers together can take, None: enough."""

    events_per_s: float
    event_bytes: int
    outage_min: float = 30.0
    batch: int = 1
    brokers: int = 3
    brokers_per_s: float | None = None
    cores: int = 8


class Size(Struct, frozen=True, kw_only=True):
    """The resources, over all hosts unless the name says otherwise. ``replay_min`` is the time after the outage until
    the spools are empty, None: they never are; ``brokers_needed_per_s`` is what the brokers have to take for the
    shortest time."""

    cpu_us_per_event: float
    cores: float
    workers: int
    hosts: int
    hosts_for_cpu: int
    memory_mb_per_host: int
    memory_limit_mb_per_host: int
    spool_bytes_per_host: int
    disk_bytes_per_host: int
    replay_min: float | None
    brokers_needed_per_s: float
    partitions: int
    broker_connections: int
    connections_per_broker: int
    to_brokers_mb_per_s: float


def measured() -> dict[str, Any]:
    """Read the measured constants, by name."""
    constants: dict[str, Any] = json.loads(CONSTANTS.read_text(encoding="utf-8"))
    return constants


def size(load: Load, constants: dict[str, Any]) -> Size:
    """Compute the resources, as CAPACITY.md describes section by section."""
    cost = {name: entry["value"] for name, entry in constants.items() if name != "machine"}
    defaults = Config()
    event_us = cost["cpu_us_per_event"] + load.event_bytes * cost["cpu_us_per_byte"]
    per_event_us = cost["cpu_us_per_request"] / load.batch + event_us
    cores = load.events_per_s * per_event_us / 1e6
    stored_bytes = load.event_bytes + STORED_BYTES
    waiting_bytes = load.events_per_s * load.outage_min * 60 * stored_bytes / (1 - OWED_SHARE)
    # A host can spool no more than the largest spool.max_bytes; beyond that it takes more hosts, not a larger disk.
    for_cpu = math.ceil(cores / BUSY / min(load.cores, MAX_WORKERS))
    hosts = max(for_cpu, math.ceil(waiting_bytes / MAX_SPOOL_BYTES))
    spare = 1 if hosts > 1 or cores / BUSY > load.cores / 2 else 0  # One host may be down.
    spool_bytes = max(
        MIN_SPOOL_BYTES, math.ceil(waiting_bytes / hosts)
    )  # The spool of a host that is down takes nothing.
    hosts += spare
    workers = max(math.ceil(cores / BUSY), hosts)
    workers_per_host = math.ceil(workers / hosts)
    workers = workers_per_host * hosts
    in_memory_mb = load.events_per_s / workers * IN_FLIGHT_S * stored_bytes / MB
    bound_mb = (defaults.sink.max_outstanding_bytes + defaults.http.limits.max_in_flight_bytes) / MB
    # Live events go on: the replay gains on them by what the brokers take beyond the usual load (sink.spool.pace).
    most_per_s = min(REPLAY_PER_S * hosts, REPLAY_GAIN * load.events_per_s)
    gain_per_s = min(most_per_s, math.inf if load.brokers_per_s is None else load.brokers_per_s - load.events_per_s)
    return Size(
        cpu_us_per_event=per_event_us,
        cores=cores,
        workers=workers,
        hosts=hosts,
        hosts_for_cpu=for_cpu,
        memory_mb_per_host=math.ceil(cost["master_mb"] + workers_per_host * (cost["worker_mb"] + in_memory_mb)),
        memory_limit_mb_per_host=math.ceil(cost["master_mb"] + workers_per_host * (cost["worker_mb"] + bound_mb)),
        spool_bytes_per_host=spool_bytes,
        disk_bytes_per_host=math.ceil(spool_bytes * ON_DISK) + workers_per_host * (WAL_BYTES + MAP_BYTES),
        replay_min=load.events_per_s * load.outage_min / gain_per_s if gain_per_s > 0 else None,
        brokers_needed_per_s=load.events_per_s + most_per_s,
        partitions=max(math.ceil(load.events_per_s * stored_bytes / PARTITION_BYTES_PER_S), load.brokers),
        broker_connections=workers * (load.brokers + 1),
        connections_per_broker=math.ceil(workers * (load.brokers + 1) / load.brokers),
        to_brokers_mb_per_s=load.events_per_s * stored_bytes / MB,
    )


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument("--events-per-s", type=positive, required=True, metavar="N")
    parser.add_argument("--bytes", type=whole, required=True, metavar="B", help="of one event")
    parser.add_argument("--outage-min", type=positive, default=30.0, metavar="M", help="without brokers; default 30")
    parser.add_argument("--batch", type=whole, default=1, metavar="K", help="events per request; default 1")
    parser.add_argument("--brokers", type=whole, default=3, metavar="N", help="of Kafka; default 3")
    parser.add_argument(
        "--brokers-per-s", type=positive, metavar="N", help="events a second that all brokers together can take"
    )
    parser.add_argument("--cores", type=whole, default=8, metavar="N", help="of one host; default 8")
    parser.add_argument("--json", action="store_true", help="print JSON for programs, with the constants")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    load = Load(
        events_per_s=options.events_per_s,
        event_bytes=options.bytes,
        outage_min=options.outage_min,
        batch=options.batch,
        brokers=options.brokers,
        brokers_per_s=options.brokers_per_s,
        cores=options.cores,
    )
    return run(load, is_json=options.json)


def run(load: Load, *, is_json: bool) -> int:
    """Print the resources."""
    constants = measured()
    found = size(load, constants)
    if is_json:
        text = json.dumps({"load": _fields(load), "size": _fields(found), "constants": constants}, indent=1)
    else:
        text = "\n".join(_lines(load, found, constants))
    with until_nobody_reads():
        print(text)
    return EXIT_DONE


def _fields(struct: Struct) -> dict[str, Any]:
    return {name: getattr(struct, name) for name in struct.__struct_fields__}


def _lines(load: Load, found: Size, constants: dict[str, Any]) -> list[str]:
    shape = "one event per request" if load.batch == 1 else f"{load.batch} events per request"
    machine = constants["machine"]
    why = f", because of the spool: CPU needs {found.hosts_for_cpu}" if found.hosts > found.hosts_for_cpu + 1 else ""
    rows = [
        ("CPU", f"{found.cpu_us_per_event:.1f} µs per event, {found.cores:.1f} cores in all"),
        ("workers", f"{found.workers}, one core each, at most {BUSY:.0%} busy"),
        ("hosts", f"{found.hosts} of {load.cores} cores{why}"),
        (
            "memory",
            f"{found.memory_mb_per_host} MB per host; with every limit reached {found.memory_limit_mb_per_host} MB",
        ),
        (
            "spool",
            f"spool.max_bytes {found.spool_bytes_per_host} per host, for {load.outage_min:g} min without a broker",
        ),
        (
            "disk",
            f"{found.disk_bytes_per_host / 1e9:.1f} GB per host",
        ),
        ("way back", _way_back(load, found)),
        ("Kafka", f"{found.partitions} partitions (assumed: {PARTITION_BYTES_PER_S // MB} MB/s each)"),
        ("", _connections(load, found)),
        ("", f"{found.to_brokers_mb_per_s:.1f} MB/s before compression"),
    ]
    head = f"{load.events_per_s:,.0f} events/s of {load.event_bytes} bytes, {shape}:"
    return [
        head,
        *(f"  {name:<10}{text}" for name, text in rows),
        f"Measured {machine['time'][:10]}: {machine['cpu']}, Python {machine['python']}. docs/CAPACITY.md says how.",
    ]


def _way_back(load: Load, found: Size) -> str:
    """How long after an outage the spools are empty, and what that takes."""
    needed = f"{found.brokers_needed_per_s:,.0f} events/s"
    if load.brokers_per_s is None:
        return f"spools empty {_time(found.replay_min)} after the outage, if the brokers take {needed}"
    given = f"brokers that take {load.brokers_per_s:,.0f} events/s"
    if found.replay_min is None:
        return f"none: {given} have nothing to spare for what has waited; {needed} are needed"
    why = f"; {needed} would be as fast as it can be" if load.brokers_per_s < found.brokers_needed_per_s else ""
    return f"spools empty {_time(found.replay_min)} after the outage, with {given}{why}"


def _time(minutes: float | None) -> str:
    assert minutes is not None
    return f"{minutes:.0f} min" if minutes >= 3 else f"{minutes * 60:.0f} s"


def _connections(load: Load, found: Size) -> str:
    text = (
        f"{found.broker_connections} connections to {load.brokers} brokers, {found.connections_per_broker} per broker"
    )
    is_many = found.connections_per_broker > MANY_CONNECTIONS
    return f"{text}: use pools of hosts by stream, with few brokers for each stream" if is_many else text
