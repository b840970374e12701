"""Produce events at a rate, and read what a process has used, for the bench of streams.

Place: bench.streaming.measured.
Rule: every event carries the time at which it was handed to the producer.
Not here: clients (crowd).
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Final

from confluent_kafka import Producer

from bench.streaming.crowd import Clients

PADDING: Final = "x" * 700  # An event of Wikimedia's recentchange has about this size.
WARM_S: Final = 2.0
LAST_S: Final = 0.5  # For the last events to arrive.
PAGE_BYTES: Final = 4096


def produce(servers: str, topic: str, per_s: float, seconds: float) -> int:
    """Produce events at a steady rate. Returns their number."""
    producer = Producer({"bootstrap.servers": servers, "linger.ms": 0})
    began, sent = time.monotonic(), 0
    while (now := time.monotonic()) < began + seconds:
        while sent < (now - began) * per_s:
            event = f'{{"sent_ns":{time.time_ns()},"meta":{{"stream":"{topic}","id":"{sent}"}},"text":"{PADDING}"}}'
            producer.produce(topic, event)
            sent += 1
        producer.poll(0)
        time.sleep(0.002)
    producer.flush(10)
    return sent


def cpu_s(pid: int) -> float:
    """Return the CPU seconds of all threads of a process, as the scheduler counts them."""
    total_ns = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        total_ns += int((task / "schedstat").read_text().split()[0])
    return total_ns / 1e9


def resident(pid: int) -> int:
    """Return the resident bytes of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_BYTES


def percentile(waits_ms: list[float], share: float) -> float:
    """Return a percentile, in milliseconds."""
    return round(sorted(waits_ms)[int(len(waits_ms) * share)], 1) if waits_ms else float("nan")


def steady(
    servers: str, topic: str, pid: int, clients: Clients, per_s: float, seconds: float
) -> tuple[dict[str, Any], list[float]]:
    """Measure a steady rate of events for these clients. Returns figures, and the waits that were noted."""
    produce(servers, topic, per_s, WARM_S)
    time.sleep(LAST_S)
    clients.counts()
    before_s, began = cpu_s(pid), time.monotonic()
    produced = produce(servers, topic, per_s, seconds)
    time.sleep(LAST_S)
    elapsed_s = time.monotonic() - began
    events, waits_ms = clients.counts()
    used_s = cpu_s(pid) - before_s
    return {
        "produced_per_s": round(produced / seconds),
        "deliveries_per_s": round(events / elapsed_s),
        "delivered_share": round(events / max(produced * clients.count, 1), 3),
        "cpu_us_per_delivery": round(used_s / max(events, 1) * 1e6, 2),
        "cpu_share": round(used_s / elapsed_s, 2),
        "p50_ms": percentile(waits_ms, 0.5),
        "p99_ms": percentile(waits_ms, 0.99),
        "resident_mb": round(resident(pid) / 1e6, 1),
    }, waits_ms
