"""Find one event again in a topic.

Place: sink.kafka.kind → HERE → librdkafka, by ``assign``, in another process than the producers.
Rules: the contract is sink.watch.Watch. A partition whose offsets are gone, or that appears after the mark, is read
from its beginning.
Not here: reading whole streams (eventstreams).
"""

from __future__ import annotations

import logging
import time
from typing import Final

from confluent_kafka import OFFSET_BEGINNING, KafkaError, KafkaException, TopicPartition

from server.config.kafka.rules import Properties
from server.sink.kafka import consumer
from server.sink.watch import Found, Mark, Sought, WatchError

POLL_S: Final = 0.1
LOOK_S: Final = 0.5  # How often a topic that does not exist is looked for.
AT_ONCE: Final = 200

_NAME: Final = "penstock-canary"
_OWN: Final = {
    "auto.offset.reset": "earliest",
    "fetch.wait.max.ms": "100",
    # A canary lies right behind its mark: much that is fetched ahead would be fetched for nothing.
    "queued.max.messages.kbytes": "2048",
    "fetch.message.max.bytes": "524288",
}

_log = logging.getLogger("canary.kafka")


class KafkaWatch:
    """The contract is sink.watch.Watch. ``properties`` are the producer's."""

    def __init__(self, properties: Properties) -> None:
        try:
            self._consumer = consumer.make(properties, _NAME, _OWN, _log)
        except KafkaException as failed:
            raise WatchError(f"a consumer cannot be made: {failed.args[0].str()}") from None

    def mark(self, topic: str, within_s: float) -> Mark:
        until = time.monotonic() + within_s
        try:
            partitions = self._partitions(topic, within_s)
            if partitions is None:
                return Mark(topic, {}, exists=False)
            ends = {}
            for partition in partitions:
                left_s = max(POLL_S, until - time.monotonic())
                place = TopicPartition(topic, partition)
                ends[str(partition)] = self._consumer.get_watermark_offsets(place, timeout=left_s)[1]
            return Mark(topic, ends)
        except KafkaException as failed:
            raise WatchError(failed.args[0].str()) from None

    def find(self, mark: Mark, needle: bytes, within_s: float) -> Sought:
        until = time.monotonic() + within_s
        try:
            partitions = self._partitions(mark.topic, within_s)
            while partitions is None and time.monotonic() < until:
                time.sleep(min(LOOK_S, max(0.0, until - time.monotonic())))
                partitions = self._partitions(mark.topic, max(POLL_S, until - time.monotonic()))
            if partitions is None:
                return Sought(exists=False)
            begins = [
                TopicPartition(mark.topic, each, mark.ends.get(str(each), OFFSET_BEGINNING)) for each in partitions
            ]
            self._consumer.assign(begins)
            return self._read(needle, len(partitions), until)
        except KafkaException as failed:
            raise WatchError(failed.args[0].str()) from None
        finally:
            self._consumer.unassign()

    def close(self) -> None:
        self._consumer.close()

    def _partitions(self, topic: str, within_s: float) -> list[int] | None:
        """Return the partitions of a topic, or None if it does not exist."""
        described = self._consumer.list_topics(topic, timeout=within_s).topics[topic]
        if described.error is None:
            return sorted(described.partitions)
        if described.error.code() in consumer.UNKNOWN:
            return None
        raise WatchError(f"topic {topic}: {described.error.str()}")

    def _read(self, needle: bytes, partitions: int, until: float) -> Sought:
        at_end: set[int] = set()
        exists = True
        while (left_s := until - time.monotonic()) > 0:
            for message in self._consumer.consume(AT_ONCE, min(POLL_S, left_s)):
                partition, error = message.partition() or 0, message.error()
                if error is None:
                    at_end.discard(partition)
                    if needle in (message.value() or b""):
                        place = str(partition)
                        return Sought(Found(place, message.offset() or 0, message.timestamp()[1]), is_at_end=True)
                elif error.code() == KafkaError._PARTITION_EOF:
                    at_end.add(partition)
                elif error.code() in consumer.UNKNOWN:
                    exists = False
                elif error.code() not in consumer.PASSING:
                    raise WatchError(f"topic {message.topic()}: {error.str()}")
        return Sought(is_at_end=len(at_end) == partitions, exists=exists)
