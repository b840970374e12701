"""Read what topics hold at this moment, as lines of JSON.

Place: sink.kafka.kind → HERE → librdkafka, by ``assign``, for commands.
Rules: only committed records are read, up to the end that each partition had at the beginning; where another program
holds a transaction open before that end, the reading waits for it. There is no consumer group, nothing is committed,
and no topic is created. A topic that does not exist holds nothing. A record whose value is no JSON is passed over.
Not here: finding a single event (sink.kafka.watch), whole streams for consumers (eventstreams).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import Any, BinaryIO, Final

import msgspec
import orjson
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition

from server.config.kafka.rules import Properties
from server.errors import PenstockError
from server.sink.kafka import consumer
from server.sink.line import line_of

ASK_S: Final = 30.0
STALL_S: Final = 120.0  # Without any record or end for so long, the brokers are taken to be away.
POLL_S: Final = 1.0
AT_ONCE: Final = 1_000

_NAME: Final = "penstock-read"
_COMMITTED: Final = {"auto.offset.reset": "earliest", "isolation.level": "read_committed"}

_log = logging.getLogger("sink.kafka")


def read(properties: Properties, topics: Sequence[str], since_ms: int, out: BinaryIO) -> None:
    """Write a line for every record of these topics, with ``since_ms`` from the first on that is not older. Raises
    PenstockError."""
    try:
        # One that reads committed records alone is told of the end of these, not of the log.
        asking = consumer.make(properties, _NAME, {**_COMMITTED, "isolation.level": "read_uncommitted"}, _log)
        reading = consumer.make(properties, _NAME, _COMMITTED, _log)
        try:
            _Reading(asking, reading, out).read(topics, since_ms)
        finally:
            asking.close()
            reading.close()
    except KafkaException as failed:
        raise PenstockError(f"topics cannot be read: {failed.args[0].str()}") from None


class _Reading:
    """One reading. ``asking`` answers questions about the log, ``consumer`` reads."""

    def __init__(self, asking: Consumer, consumer: Consumer, out: BinaryIO) -> None:
        self._asking, self._consumer = asking, consumer
        self._out = out
        self._ends: dict[tuple[str, int], int] = {}

    def read(self, topics: Sequence[str], since_ms: int) -> None:
        places = [place for topic in topics for place in self._partitions(topic)]
        if since_ms and places:
            wanted = [TopicPartition(place.topic, place.partition, since_ms) for place in places]
            places = [place for place in self._asking.offsets_for_times(wanted, timeout=ASK_S) if place.offset >= 0]
        for place in places:
            first, end = self._asking.get_watermark_offsets(place, timeout=ASK_S)
            if max(first, place.offset) < end:
                self._ends[place.topic, place.partition] = end
        if self._ends:
            self._consumer.assign([place for place in places if (place.topic, place.partition) in self._ends])
            self._until_end()

    def _partitions(self, topic: str) -> list[TopicPartition]:
        described = self._asking.list_topics(topic, timeout=ASK_S).topics[topic]
        if described.error is not None and described.error.code() not in consumer.UNKNOWN:
            raise KafkaException(described.error)
        return [TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in sorted(described.partitions)]

    def _until_end(self) -> None:
        heard_s = time.monotonic()
        while self._ends:
            messages = self._consumer.consume(AT_ONCE, POLL_S)
            if messages:
                heard_s = time.monotonic()
            elif time.monotonic() - heard_s > STALL_S:
                raise PenstockError(
                    f"no broker has sent a record for {STALL_S:.0f} s, or a transaction is open so long"
                )
            for message in messages:
                self._take(message)

    def _take(self, message: Any) -> None:
        place = (message.topic(), message.partition())
        error = message.error()
        if error is None:
            if place in self._ends:
                self._write(message)
                if message.offset() + 1 >= self._ends[place]:
                    self._done(place)
        elif error.code() == KafkaError._PARTITION_EOF:
            if message.offset() >= self._ends.get(place, 0):
                self._done(place)
        elif error.code() not in consumer.PASSING:
            raise KafkaException(error)

    def _done(self, place: tuple[str, int]) -> None:
        if self._ends.pop(place, None) is not None:
            self._consumer.pause([TopicPartition(*place)])

    def _write(self, message: Any) -> None:
        value, key = message.value(), message.key()
        if value is None or not _is_json(value):
            return
        if key is not None and not _is_json(key):
            key = orjson.dumps(key.decode("utf-8", "replace"))
        headers = {name: (text or b"").decode("utf-8", "replace") for name, text in message.headers() or ()}
        self._out.write(line_of(message.topic(), key, message.timestamp()[1], orjson.dumps(headers), value))


def _is_json(text: bytes) -> bool:
    try:
        msgspec.json.decode(text, type=msgspec.Raw)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True
