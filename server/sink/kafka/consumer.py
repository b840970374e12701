"""Make consumers that belong to no group, for readers in other processes than the producers.

Place: sink.kafka.reader, tail, watch → HERE → librdkafka.
Rules: a consumer reaches the brokers as the producer does. librdkafka wants a ``group.id``; nothing is committed under
it. No topic is created, and the end of a partition is told. librdkafka's words about a broker are logged at most once
per kind and 10 s.
Not here: what is read, and from where (those that use this file).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Final

from confluent_kafka import Consumer, KafkaError

from server.config.kafka.consumers import reaching
from server.config.kafka.rules import Properties
from server.log import Limited

_FIXED: Final[Mapping[str, Any]] = {
    "enable.auto.commit": "false",
    "enable.auto.offset.store": "false",
    "enable.partition.eof": "true",
    "allow.auto.create.topics": "false",
}
# Errors that say that a topic, or a partition of it, does not exist; and those that pass by themselves.
UNKNOWN: Final = (
    KafkaError._UNKNOWN_TOPIC,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError._UNKNOWN_PARTITION,
    KafkaError.TOPIC_EXCEPTION,
)
PASSING: Final = (KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN, KafkaError._TIMED_OUT)


def make(properties: Properties, name: str, own: Mapping[str, str], log: logging.Logger) -> Consumer:
    """Make a consumer that brokers know as ``name``. ``properties`` are the producer's, ``own`` those of this reader.
    Raises KafkaException."""
    limited = Limited(log)

    def on_error(error: KafkaError) -> None:
        limited.warning(error.name(), "consumer %s: %s", name, error.str())

    given: dict[str, Any] = {**reaching(properties, {}), **_FIXED, **own, "client.id": name, "group.id": name}
    return Consumer({**given, "error_cb": on_error, "logger": log})
