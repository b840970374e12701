"""Put one counted load on one server: its cost, the answers, and the records that the brokers hold of it.

Place: quick, peers, compare, scaling → HERE → load.client, measure.
Rules: CPU is per event of a request that was answered 2xx. The ends of the topics' partitions before and after tell
what arrived: ``lost`` is what is not there, less what is there twice (latency tells them apart, on a real Kafka).
Not here: in which order rounds are taken, and what is made of them.
"""

from __future__ import annotations

import json
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

from confluent_kafka import Consumer, KafkaException, TopicPartition

from bench import measure, servers
from bench.measure import Meter, Usage
from bench.works import Work

WARM_UP_S = 0.4  # Idempotent producers take half a second for their first message.
SETTLE_S = 3.0


class Round(NamedTuple):
    """What one round said. Events are those of requests that were answered 2xx."""

    events: int
    seconds: float
    usage: Usage
    lost: int
    refused: int

    @property
    def cpu_us(self) -> float:
        """Per event, all threads."""
        return self.usage.total_s / max(self.events, 1) * 1e6


class Watermarks:
    """Counts what the brokers hold. All servers write to the same topics, in turns."""

    def __init__(self, brokers: str) -> None:
        self._consumer = Consumer({"bootstrap.servers": brokers, "group.id": "bench", "enable.auto.commit": False})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Before the brokers go: a client without brokers complains on standard error."""
        self._consumer.close()

    def count(self, topics: Sequence[str]) -> int:
        """The sum of the ends of their partitions; 0 for a topic that is not there yet."""
        return sum(end for topic in topics for end in self.ends(topic).values())

    def ends(self, topic: str) -> dict[int, int]:
        """The end of each partition."""
        found = {}
        for partition in self._consumer.list_topics(topic, timeout=10).topics[topic].partitions:
            try:
                found[partition] = self._consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=10)[1]
            except KafkaException:
                return {}
        return found


def load(port: int, work: Work, seconds: float, connections: int = 0) -> dict[str, Any]:
    """One counted load from a process of its own, on its own core."""
    arguments = ["--port", str(port), "--work", work.name, "--seconds", str(seconds)]
    arguments += ["--connections", str(connections)]
    with tempfile.TemporaryDirectory() as directory:
        with servers.Child("load", ["bench.load.client", *arguments], servers.LOAD_CORES, Path(directory)) as client:
            line = client.line()
            client.process.wait(seconds + 20)
        if not line:
            raise RuntimeError(f"the load client failed:\n{(Path(directory) / 'load.log').read_text()[-2000:]}")
    answer: dict[str, Any] = json.loads(line)
    return answer


def warm(pid: int, port: int, work: Work) -> None:
    """The first events of a server: connections to brokers, routes, memory."""
    load(port, work, WARM_UP_S)
    measure.settle(pid, SETTLE_S)


def take(pid: int, port: int, work: Work, seconds: float, watermarks: Watermarks | None) -> Round:
    """One round. Without watermarks nothing is said of losses: the server produces nothing."""
    topics = work.workload.topics
    held = watermarks.count(topics) if watermarks else 0
    meter = Meter(pid)
    said = load(port, work, seconds)
    measure.settle(pid, SETTLE_S)
    usage = meter.read()
    requests = sum(said["statuses"].values())
    taken = sum(count for status, count in said["statuses"].items() if status.startswith("2"))
    lost = taken * work.accepted - (watermarks.count(topics) - held) if watermarks else 0
    return Round(taken * work.batch, said["seconds"], usage, lost, (requests - taken) * work.batch + said["broken"])


def summary(rounds: Sequence[Round]) -> dict[str, Any]:
    """Medians; losses and refusals are added up; the parts of the CPU are those of all rounds together."""
    each = sorted(one.cpu_us for one in rounds)
    all_events = max(sum(one.events for one in rounds), 1)
    parts = {
        name: round(sum(getattr(one.usage, f"{name}_s") for one in rounds) / all_events * 1e6, 3)
        for name in ("user", "system", "producer")
    }
    return {
        "cpu_us_per_event": round(statistics.median(each), 3),
        "cpu_us_spread": round(each[-1] - each[0], 3),
        "parts_us": parts,
        "events_per_s": round(statistics.median(one.events / one.seconds for one in rounds)),
        "lost": sum(one.lost for one in rounds),
        "refused": sum(one.refused for one in rounds),
    }
