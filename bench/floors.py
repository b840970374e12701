"""Measure the floors below which no design can go: decoding an event, and handing one to librdkafka, each alone.

Place: costs → HERE, in a process of its own (`python -m bench.floors BROKERS WORK`); prints one line of JSON.
Rules: the same events as the servers get. Decoding: the best of many rounds, because only work is compared. Handing
over: CPU of the whole process by the scheduler's count, librdkafka's threads and deliveries included, as in servers.
Not here: the bare server and nginx, which are peers.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time

import orjson
from confluent_kafka import Producer

from bench.measure import Meter
from bench.works import WORKS

ROUNDS = 15
PRODUCED = 20_000  # A round. Below librdkafka's bound on its queue.


def loads_us(events: list[bytes]) -> float:
    """``orjson.loads`` of one event."""
    best = float("inf")
    for _ in range(ROUNDS):
        began = time.thread_time_ns()
        for _ in range(10):
            for event in events:
                orjson.loads(event)
        best = min(best, time.thread_time_ns() - began)
    return best / (10 * len(events)) / 1000


def produce_us(brokers: str, topic: str, events: list[bytes]) -> float:
    """``produce`` and the delivery of one event, with the settings of all servers."""
    producer = Producer(
        {"bootstrap.servers": brokers, "acks": "all", "enable.idempotence": True, "linger.ms": 5, "client.id": "floor"}
    )
    producer.produce(topic, events[0])
    producer.flush(10)
    costs = []
    for _ in range(5):
        meter = Meter(os.getpid())
        for number in range(PRODUCED):
            producer.produce(topic, events[number % len(events)])
            if number % 1000 == 0:
                producer.poll(0)
        producer.flush(10)
        costs.append(meter.read().total_s / PRODUCED * 1e6)
    return statistics.median(costs)


def main() -> None:
    """Measure and print."""
    brokers, name = sys.argv[1:]
    work = WORKS[name].workload
    found = {"loads_us": loads_us(work.events), "produce_us": produce_us(brokers, "floor", work.events)}
    sys.stdout.write(json.dumps({key: round(value, 3) for key, value in found.items()}) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
