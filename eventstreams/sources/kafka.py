"""Kafka as a source: one consumer that follows the newest events, and readers for clients that are behind.

Place: hub and sources.pool → HERE → librdkafka, by ``assign``.
Rules: there is no consumer group: librdkafka wants a ``group.id``, and nothing is committed under it. Offsets that are
gone are an error and never replaced (``auto.offset.reset: error``). Offsets without an event (compaction, transactions)
are passed over at the end of a partition by what librdkafka says of it (``enable.partition.eof``).
Clients that are behind have the identity of a topic in their positions, because one that was made again may have grown
past them (server.sink.kafka.topic_ids).
Not here: where clients are (client, hub), properties of the sink (server.config.kafka).
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from eventstreams.record import Place, Record
from eventstreams.sources.base import Batch, Bounds, Described, Gap, SourceError
from eventstreams.sources.tail import TailThread
from server.config.kafka.consumers import reaching
from server.config.kafka.rules import Properties
from server.errors import PenstockError
from server.log import Limited
from server.sink.kafka.topic_ids import TopicIds

TIMEOUT_S: Final = 10.0
POLL_S: Final = 0.1
GATHER_S: Final = 0.002  # After the first of some events, for those that come with it.
TAIL_EVENTS: Final = 1_000
READ_S: Final = 5.0  # The longest reading without an event.

_DEFAULTS: Final[Mapping[str, Any]] = {
    "client.id": "penstock-eventstreams",
    "socket.keepalive.enable": "true",
    "reconnect.backoff.max.ms": "1000",
    "allow.auto.create.topics": "false",
    # An idle fetch waits this long at the broker; new events end it at once.
    "fetch.wait.max.ms": "500",
}
_FIXED: Final[Mapping[str, Any]] = {
    "group.id": "penstock-eventstreams",
    "enable.auto.commit": "false",
    "enable.auto.offset.store": "false",
    "auto.offset.reset": "error",
    "enable.partition.eof": "true",
}
# A reader serves a client for a piece at a time: much that is fetched ahead would be fetched for nothing. A broker
# answers the requests of a connection in their order, so that each one waits for a fetch that waits for events.
_READER: Final[Mapping[str, Any]] = {
    "queued.max.messages.kbytes": "2048",
    "fetch.message.max.bytes": "524288",
    "fetch.wait.max.ms": "20",
}
_TAIL: Final[Mapping[str, Any]] = {"queued.max.messages.kbytes": "16384"}

_log = logging.getLogger("eventstreams.kafka")
_limited = Limited(_log)


def consumer_properties(sink: Properties, own: Properties) -> dict[str, Any]:
    """Return the properties of consumers: those of the sink that say how to reach the brokers, then the consumers'
    own."""
    return {**_DEFAULTS, **reaching(sink, own), **_FIXED}


def _consumer(properties: Mapping[str, Any]) -> Consumer:
    try:
        return Consumer({**properties, "error_cb": _on_error, "logger": _Lines()})
    except KafkaException as failed:
        raise SourceError(f"a consumer cannot be made: {failed.args[0].str()}") from None


def _on_error(error: KafkaError) -> None:
    _limited.warning("error", "a consumer says: %s", error.str())


class _Lines:
    """Logs librdkafka's lines: warnings once per kind and 10 s, because each reader without a broker has one per
    second."""

    def log(self, level: int, _format: str, facility: str, _client: str, text: str) -> None:
        if level >= logging.WARNING:
            _limited.warning(facility, "librdkafka: %s", text)
        else:
            _log.log(level, "librdkafka: %s", text)


def _record(message: Message) -> Record:
    _, timestamp_ms = message.timestamp()
    topic, partition = _place(message)
    return Record(topic, partition, message.offset() or 0, max(0, timestamp_ms), message.key(), message.value())


def _place(message: Message) -> Place:
    """Return the place of a message, or of an error about one."""
    return message.topic() or "", message.partition() or 0


def _is_gone(error: KafkaError) -> bool:
    return error.code() in (KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE)


_UNKNOWN: Final = (
    KafkaError._UNKNOWN_TOPIC,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError._UNKNOWN_PARTITION,
    KafkaError.TOPIC_EXCEPTION,
)


class KafkaReader:
    """The contract is sources.base.Reader."""

    def __init__(self, properties: Mapping[str, Any], topic_ids: TopicIds) -> None:
        self._consumer = _consumer({**properties, **_READER})
        self._topic_ids = topic_ids
        self._assigned: dict[Place, int] = {}

    def describe(self, topics: Sequence[str]) -> Described:
        bounds: dict[Place, Bounds] = {}
        cluster = ""
        try:
            for topic in topics:
                metadata = self._consumer.list_topics(topic, timeout=TIMEOUT_S)
                cluster = metadata.cluster_id or ""
                described = metadata.topics[topic]
                if described.error is not None and described.error.code() in _UNKNOWN:
                    continue
                if described.error is not None:
                    raise SourceError(f"topic {topic}: {described.error.str()}")
                for partition in described.partitions:
                    place = TopicPartition(topic, partition)
                    low, high = self._consumer.get_watermark_offsets(place, timeout=TIMEOUT_S)
                    bounds[topic, partition] = Bounds(low, high)
        except KafkaException as failed:
            raise SourceError(failed.args[0].str()) from None
        try:
            ids = self._topic_ids.of(sorted({topic for topic, _ in bounds}))
        except PenstockError as failed:
            raise SourceError(str(failed)) from None
        return Described(cluster, dict(sorted(bounds.items())), {place: ids.get(place[0], "") for place in bounds})

    def at_times(self, times_ms: Mapping[Place, int]) -> dict[Place, int | None]:
        asked = [TopicPartition(topic, partition, time_ms) for (topic, partition), time_ms in times_ms.items()]
        try:
            found = self._consumer.offsets_for_times(asked, timeout=TIMEOUT_S)
        except KafkaException as failed:
            raise SourceError(failed.args[0].str()) from None
        for one in found:
            if one.error is not None:
                raise SourceError(f"topic {one.topic}: {one.error.str()}")
        return {(one.topic, one.partition): one.offset if one.offset >= 0 else None for one in found}

    def read(self, positions: Mapping[Place, int], most_bytes: int, most_events: int) -> Batch:
        wanted = dict(positions)
        batch = Batch([], {})
        try:
            if wanted != self._assigned:
                self._consumer.assign([TopicPartition(*place, at) for place, at in wanted.items()])
            self._assigned = wanted
            self._fill(batch, most_bytes, most_events)
            if len(batch.at_end) == len(wanted):  # The client goes on without a reader, and so does the broker.
                self._consumer.unassign()
                self._assigned = {}
        except KafkaException as failed:
            raise SourceError(failed.args[0].str()) from None
        return batch

    def _fill(self, batch: Batch, most_bytes: int, most_events: int) -> None:
        until = time.monotonic() + READ_S
        left_bytes = most_bytes
        while left_bytes > 0 and len(batch.records) < most_events and len(batch.at_end) < len(self._assigned):
            wait_s = 0.0 if batch.records else POLL_S
            messages = self._consumer.consume(min(200, most_events - len(batch.records)), wait_s)
            if not messages and (batch.records or time.monotonic() >= until):
                break
            for message in messages:
                left_bytes -= self._take(message, batch)
            if batch.gaps:
                self._assigned = {}
                break
        for place, at in self._assigned.items():
            batch.reached[place] = at

    def _take(self, message: Message, batch: Batch) -> int:
        """Add a message to the batch. Returns its size."""
        error = message.error()
        place = _place(message)
        if error is None:
            if place not in self._assigned:
                return 0
            record = _record(message)
            batch.records.append(record)
            self._assigned[place] = record.offset + 1
            batch.at_end.discard(place)
            return record.weight_bytes
        if error.code() == KafkaError._PARTITION_EOF:
            if place in self._assigned:
                self._assigned[place] = max(self._assigned[place], message.offset() or 0)
                batch.at_end.add(place)
        elif _is_gone(error):
            asked = self._assigned.get(place)
            if asked is not None:
                low, high = self._consumer.get_watermark_offsets(TopicPartition(*place), timeout=TIMEOUT_S)
                batch.gaps.append(Gap(*place, asked, low, high))
        elif error.code() in _UNKNOWN:
            batch.at_end.add(place)
        else:
            raise SourceError(f"topic {place[0]}: {error.str()}")
        return 0

    def close(self) -> None:
        self._consumer.close()


class KafkaTail(TailThread):
    """The contract is sources.base.Tail."""

    def __init__(self, properties: Mapping[str, Any]) -> None:
        super().__init__()
        self._properties = properties
        self._orders: list[tuple[dict[Place, int], list[Place]]] = []
        self._has_orders = threading.Event()

    def follow(self, positions: Mapping[Place, int]) -> None:
        self._order(dict(positions), [])

    def leave(self, places: Sequence[Place]) -> None:
        self._order({}, list(places))

    def _wake(self) -> None:
        self._has_orders.set()

    def _order(self, positions: dict[Place, int], places: list[Place]) -> None:
        with self._lock:
            self._orders.append((positions, places))
        self._has_orders.set()

    def _run(self) -> None:
        consumer = _consumer({**self._properties, **_TAIL})
        followed: set[Place] = set()
        while not self._is_over.is_set():
            try:
                self._obey(consumer, followed)
                if followed:
                    self._consume(consumer, followed)
                else:  # Without a partition, polling would only ask for metadata.
                    self._has_orders.wait(1.0)
            except KafkaException as failed:
                _limited.warning("tail", "the newest events cannot be read for now: %s", failed.args[0].str())
                self._is_over.wait(1.0)
        consumer.close()

    def _obey(self, consumer: Consumer, followed: set[Place]) -> None:
        with self._lock:
            orders, self._orders = self._orders, []
            self._has_orders.clear()
        for positions, places in orders:
            leaving = followed.intersection(places) | followed.intersection(positions)
            if leaving:
                consumer.incremental_unassign([TopicPartition(*place) for place in leaving])
                followed.difference_update(leaving)
            if positions:
                consumer.incremental_assign([TopicPartition(*place, at) for place, at in positions.items()])
                followed.update(positions)

    def _consume(self, consumer: Consumer, followed: set[Place]) -> None:
        message = consumer.poll(POLL_S)
        if message is None:
            return
        records = []
        for one in (message, *consumer.consume(TAIL_EVENTS, GATHER_S)):
            error = one.error()
            place = _place(one)
            if error is None:
                if place in followed:
                    records.append(_record(one))
            elif _is_gone(error) and place in followed:
                consumer.incremental_unassign([TopicPartition(*place)])
                followed.discard(place)
                self._on_lost(place)
            elif error.code() != KafkaError._PARTITION_EOF:
                _limited.warning("tail", "the newest events cannot be read for now: %s", error.str())
        if records:
            self._on_records(records)
