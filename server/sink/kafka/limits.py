"""How much the topics take, as the brokers say, and which of them take less than a batch of ours.

Place: sink.kafka.producer asks HERE, on a thread, for the replay of the spool and before it sends batches again; so do
processors when they start (page_change.limits).
Rules: a topic whose settings may not be read (DESCRIBE_CONFIGS), or of which no broker tells in time, counts as one
that takes batches: the first batch that it refuses will tell. A batch may be smaller on the wire than its records,
because it is compressed; that is not relied on.
Not here: what becomes of the records of such a topic (sink.kafka.alone).
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from typing import Final

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import ConfigResource

from server.config.kafka.consumers import reaching
from server.config.kafka.rules import Properties
from server.sink.kafka.contact import PROBE_S

_LIMIT: Final = "max.message.bytes"
_BATCH_BYTES: Final = 1_000_000  # librdkafka's ``batch.size`` where it is not set.
_logger = logging.getLogger("sink.kafka")


def small_topics(topics: Collection[str], properties: Properties) -> set[str]:
    """Return those topics whose limit is below the largest batch of a producer with these properties. It may take
    PROBE_S."""
    most_bytes = min(int(properties.get("batch.size", _BATCH_BYTES)), int(properties["message.max.bytes"]))
    try:
        found = limits(topics, properties, PROBE_S)
    except (KafkaException, TypeError, ValueError):  # There is no thread left, or nothing to ask for.
        return set()
    return {topic for topic, limit in found.items() if isinstance(limit, int) and limit < most_bytes}


def limits(topics: Collection[str], properties: Properties, within_s: float) -> dict[str, int | KafkaError]:
    """Return the limit of each topic, or why no broker tells it, which takes ``within_s`` at most. ``properties`` are
    those of the producer. Raises KafkaException, TypeError or ValueError if it cannot be asked for."""
    admin = AdminClient({**reaching(properties, {})}, logger=_logger)
    resources = [ConfigResource("topic", topic) for topic in topics]
    found: dict[str, int | KafkaError] = {}
    for resource, answer in admin.describe_configs(resources, request_timeout=within_s).items():
        # An exception that is raised refers to this frame, which refers to it: the client would stay for a while.
        fault = answer.exception()
        if fault is not None:
            found[resource.name] = fault.args[0]
        elif (entry := answer.result().get(_LIMIT)) is not None and entry.value is not None:
            found[resource.name] = int(entry.value)
    return found
