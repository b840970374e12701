"""Read the newest events of topics.

Place: sink.kafka.kind → HERE → librdkafka, by ``assign``, in another process than the producers.
Rules: the contract is sink.watch.Tail. Each call begins so many events before the end of each partition (librdkafka's
RD_KAFKA_OFFSET_TAIL), so no watermark is asked for, and leaves out what a call before has returned. ``TOPICS`` are
read at once, so that memory is bounded.
Not here: finding one event (sink.kafka.watch), reading whole streams (eventstreams).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import Final

from confluent_kafka import KafkaError, KafkaException, TopicPartition

from server.config.kafka.rules import Properties
from server.sink.kafka import consumer
from server.sink.watch import TAIL_BYTES, Stored, WatchError

POLL_S: Final = 0.1
AT_ONCE: Final = 500
TOPICS: Final = 50
TAIL: Final = -2000  # RD_KAFKA_OFFSET_TAIL_BASE

_NAME: Final = "penstock-samples"
_OWN: Final = {
    "auto.offset.reset": "latest",
    "fetch.wait.max.ms": "100",
    "queued.max.messages.kbytes": "4096",
    "fetch.message.max.bytes": "262144",
}

_log = logging.getLogger("plausibility.kafka")


class KafkaTail:
    """The contract is sink.watch.Tail. ``properties`` are the producer's."""

    def __init__(self, properties: Properties) -> None:
        try:
            self._consumer = consumer.make(properties, _NAME, _OWN, _log)
        except KafkaException as failed:
            raise WatchError(f"a consumer cannot be made: {failed.args[0].str()}") from None
        self._left_bytes = 0
        self._next: dict[tuple[str, int], int] = {}

    def take(self, topics: Sequence[str], most: int, within_s: float) -> dict[str, list[Stored]]:
        until, self._left_bytes = time.monotonic() + within_s, TAIL_BYTES
        found: dict[str, list[Stored]] = {}
        try:
            # One question for all topics: they have a place in memory, and a question for each would take seconds.
            known = self._consumer.list_topics(timeout=within_s).topics
            there = [topic for topic in topics if topic in known and known[topic].error is None]
            for at in range(0, len(there), TOPICS):
                places = [
                    TopicPartition(topic, partition, TAIL - _share(most, len(known[topic].partitions)))
                    for topic in there[at : at + TOPICS]
                    for partition in known[topic].partitions
                ]
                self._consumer.assign(places)
                self._consumer.resume(places)  # What was paused by a call before still is.
                limits = {(place.topic, place.partition): TAIL - place.offset for place in places}
                self._read(limits, found, until)
        except KafkaException as failed:
            raise WatchError(failed.args[0].str()) from None
        finally:
            self._consumer.unassign()
        return {topic: stored[-most:] for topic, stored in found.items()}

    def close(self) -> None:
        self._consumer.close()

    def _read(self, left: dict[tuple[str, int], int], found: dict[str, list[Stored]], until: float) -> None:
        """Read so many events of each partition, or all up to its end."""
        while left and self._left_bytes > 0 and (left_s := until - time.monotonic()) > 0:
            for message in self._consumer.consume(AT_ONCE, min(POLL_S, left_s)):
                place = (message.topic() or "", message.partition() or 0)
                error = message.error()
                if error is not None:
                    if error.code() == KafkaError._PARTITION_EOF:
                        left.pop(place, None)
                        if (message.offset() or 0) < self._next.get(place, 0):
                            del self._next[place]  # The topic was made again.
                    continue
                if place not in left or self._left_bytes <= 0:
                    continue
                self._left_bytes -= len(message)
                left[place] -= 1
                if not left[place]:
                    del left[place]
                    self._consumer.pause([TopicPartition(*place)])
                offset = message.offset() or 0
                if offset >= self._next.get(place, 0):
                    self._next[place] = offset + 1
                    found.setdefault(place[0], []).append(Stored(message.value() or b"", message.timestamp()[1]))


def _share(most: int, partitions: int) -> int:
    return max(1, most // partitions)
