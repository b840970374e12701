"""Measure what the hand-over of a record and its ack cost: by the binding of our own, and by confluent_kafka's.

Place: ``python -m bench binding``, about 20 s; costs measures them within a served intake.
Rules: both run in turns against the same mock cluster, with the properties of the sink. CPU of the calling thread
alone: librdkafka's threads do the same for both.
Not here: what the sink does around them (worker, costs).
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from bench import servers
from server.compiled import finder
from server.config.kafka import settings
from server.sink.kafka.client import contract, plain
from server.sink.kafka.client.contract import Callbacks

TIMESTAMP_MS: Final = 1_700_000_000_000
HEADERS: Final = [("content-type", b"application/json"), ("schema-uri", b"/bench/event/1.0.0")]
RECORDS: Final = 1_000
REPEATS: Final = 10
PATIENCE_S: Final = 30.0

Make = Callable[[dict[str, str], Callbacks], contract.Producer]


class Measured:
    """One of the two, which stays."""

    def __init__(self, make: Make, brokers: str, topics: int) -> None:
        properties = settings.complete(
            {"bootstrap.servers": brokers}, max_outstanding=10 * RECORDS, max_outstanding_bytes=1 << 28
        )
        self._producer = make(properties, Callbacks(_ignore, _ignore, _ignore, _ignore))
        self._sends = [self._producer.topic(f"bench.{number}") for number in range(topics)]
        self._acked = 0
        self.round(b"{}")

    def round(self, value: bytes) -> tuple[float, float]:
        """The cost of a record and of its ack, in microseconds."""
        sent_ns = acked_ns = 0
        for _ in range(REPEATS):
            self._acked = 0
            began_ns = time.thread_time_ns()
            for number in range(RECORDS):
                self._sends[number % len(self._sends)](value, None, self._on_ack, TIMESTAMP_MS, HEADERS)
            sent_ns += time.thread_time_ns() - began_ns
            until_s = time.monotonic() + PATIENCE_S
            while self._acked < RECORDS and time.monotonic() < until_s:
                time.sleep(0.002)
                began_ns = time.thread_time_ns()
                self._producer.poll(0)
                acked_ns += time.thread_time_ns() - began_ns
            if self._acked < RECORDS:
                raise RuntimeError(f"{RECORDS - self._acked} of {RECORDS} acks have not come")
        return sent_ns / REPEATS / RECORDS / 1000, acked_ns / REPEATS / RECORDS / 1000

    def _on_ack(self, error: Any, _outcome: Any) -> None:
        if error is not None:
            raise RuntimeError(f"a record failed: {error}")
        self._acked += 1


def _ignore(*_: object) -> None:
    """Take what a producer says of itself."""


def run(arguments: list[str]) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench binding", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--topics", type=int, nargs="+", default=[1, 100])
    parser.add_argument("--bytes", type=int, default=1_000, help="of a value")
    options = parser.parse_args(arguments)
    if finder.mode().name != finder.COMPILED:
        print("binding: nothing is compiled: make compile", file=sys.stderr)
        return 1
    from server.sink.kafka.client import binding

    makes: dict[str, Make] = {"ours": binding.Producer, "confluent_kafka": plain.Producer}
    with tempfile.TemporaryDirectory() as name, servers.mock_cluster(Path(name)) as cluster:
        brokers, value = cluster.line(), b"x" * options.bytes
        for topics in options.topics:
            sides = {side: Measured(make, brokers, topics) for side, make in makes.items()}
            found = [{side: one.round(value) for side, one in sides.items()} for _ in range(options.rounds)]
            for at, what in enumerate(("record", "ack")):
                ours, theirs = ([one[side][at] for one in found] for side in makes)
                ratio = statistics.median(here / there for here, there in zip(ours, theirs, strict=True))
                print(
                    f"{topics:>4} topics, a {what:<7}{statistics.median(ours):>6.2f} µs, "
                    f"confluent_kafka {statistics.median(theirs):>6.2f} µs, ratio {ratio:.2f}"
                )
    return 0
