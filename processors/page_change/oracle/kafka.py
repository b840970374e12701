"""Run the processor between topics of a real broker, for the oracle and for tests.

Place: oracle.run → HERE → a runner.
Rules: each run has topics of its own, by a prefix, and deletes them. Records have the times of their events.
Not here: the histories (history), the verdict (checker).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Final

import orjson
import yaml
from confluent_kafka import Consumer, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from processors.page_change.map import CANARY, STREAMS
from processors.page_change.oracle.inputs import CENTRES, Arrival
from processors.page_change.oracle.run import EXAMPLE, prepared
from processors.page_change.records import Output
from server.errors import PenstockError

PARTITIONS: Final = 2
WAIT_S: Final = 30.0


class Topics:
    """The topics of one run. ``servers`` are the brokers; ``read`` are those of the inputs; ``written`` has
    the topic of each stream that is written."""

    def __init__(self, servers: str) -> None:
        self.servers = servers
        self._prefix = f"oracle-{os.getpid()}-{os.urandom(3).hex()}."
        self._admin = AdminClient({"bootstrap.servers": servers})
        declared = yaml.safe_load((EXAMPLE / "streams.yaml").read_text("utf-8"))
        self._declared = declared
        self.written = {name: f"{self._prefix}eqiad.{name}" for name in declared["streams"] if name not in STREAMS}
        names = [f"{self._prefix}{centre}.{name}" for name in STREAMS for centre in CENTRES]
        new = [NewTopic(name, PARTITIONS) for name in names]
        # One partition, so that the whole output has an order that can be compared.
        new += [NewTopic(topic, 1) for topic in self.written.values()]
        self.read = names
        self._topics = [topic.topic for topic in new]
        self._wait(self._admin.create_topics(new).values())

    def settings(self, directory: Path, **settings: object) -> Path:
        """Write the settings of an intake and a processor for these topics. Returns those of the processor."""
        config = prepared(directory, {}, **settings)
        streams = self._declared | {
            "default_settings": {
                "destination_event_service": "penstock",
                "topic_prefixes": [f"{self._prefix}{centre}." for centre in CENTRES],
            }
        }
        (directory / "streams.yaml").write_bytes(orjson.dumps(streams))
        intake = orjson.loads((directory / "intake.yaml").read_bytes())
        intake["streams"] = {"sources": ["streams.yaml"]}
        intake["sink"] = {
            "kind": "kafka",
            "kafka": {"bootstrap.servers": self.servers},
            "topic_prefix": f"{self._prefix}eqiad.",
        }
        (directory / "intake.yaml").write_bytes(orjson.dumps(intake))
        return config

    def produce(self, centres: Mapping[str, Sequence[Arrival]]) -> None:
        """Produce the records, in order, with one partition for each page."""
        producer = Producer({"bootstrap.servers": self.servers, "enable.idempotence": True, "linger.ms": 5})
        for centre, arrivals in centres.items():
            for one in arrivals:
                topic = f"{self._prefix}{centre}.{one.stream}"
                producer.produce(topic, one.raw, str(one.page_id), timestamp=one.at)
                producer.poll(0)
        if producer.flush(WAIT_S):
            raise PenstockError(f"{self.servers} does not take the records")

    def produce_canaries(self, at: int) -> None:
        """Produce a canary to every partition of the inputs: it moves the watermark to its time."""
        producer = Producer({"bootstrap.servers": self.servers, "enable.idempotence": True})
        for centre in CENTRES:
            for stream in STREAMS:
                canary = orjson.dumps({"meta": {"stream": stream, "domain": CANARY}})
                for partition in range(PARTITIONS):
                    topic = f"{self._prefix}{centre}.{stream}"
                    producer.produce(topic, canary, partition=partition, timestamp=at)
        if producer.flush(WAIT_S):
            raise PenstockError(f"{self.servers} does not take the records")

    def outputs(self) -> list[Output]:
        """Return all records of the output and of the side streams."""
        consumer = Consumer(
            {
                "bootstrap.servers": self.servers,
                "group.id": self._prefix,
                "enable.partition.eof": True,
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
            }
        )
        found: list[Output] = []
        for name, topic in self.written.items():
            consumer.assign([TopicPartition(topic, 0, 0)])
            while (message := consumer.poll(WAIT_S)) is not None and message.error() is None:
                found.append(_output(name, message))
        consumer.close()
        return found

    def delete(self) -> None:
        """Delete the topics that are there."""
        try:
            there = self._admin.list_topics(timeout=WAIT_S).topics.keys()
        except KafkaException as failed:
            raise self._fault(failed) from failed
        if left := [topic for topic in self._topics if topic in there]:
            self._wait(self._admin.delete_topics(left).values())

    def _wait(self, asked: Iterable[Future[None]]) -> None:
        try:
            for done in asked:
                done.result(WAIT_S)
        except (KafkaException, TimeoutError) as failed:
            raise self._fault(failed) from failed

    def _fault(self, failed: KafkaException | TimeoutError) -> PenstockError:
        reason = failed.args[0].str() if isinstance(failed, KafkaException) else "no broker answers"
        return PenstockError(f"{self.servers} cannot be used: {reason}")


def _output(stream: str, message: Message) -> Output:
    key = message.key()
    assert not isinstance(key, str)
    return Output(stream, key, message.timestamp()[1], message.value() or b"")


def consolidated(
    directory: Path, centres: Mapping[str, Sequence[Arrival]], runner: str, servers: str, jars: Sequence[str] = ()
) -> list[Output]:
    """Run the processor to the end of these inputs. Returns all records that it wrote."""
    from processors.page_change.command import run

    topics = Topics(servers)
    try:
        topics.produce(centres)
        run(topics.settings(directory, flink={"jars": list(jars)}), runner, once=True)
        return topics.outputs()
    finally:
        topics.delete()
