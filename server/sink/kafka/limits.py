"""Which topics take less than a batch of ours, as the brokers say.

Place: sink.kafka.producer asks HERE, on a thread, for the replay of the spool and before it sends batches again.
Rules: a topic whose settings may not be read (DESCRIBE_CONFIGS), or of which no broker tells in time, counts as one
that takes batches: the first batch that it refuses will tell. A batch may be smaller on the wire than its records,
because it is compressed; that is not relied on.
Not here: what becomes of the records of such a topic (sink.kafka.alone).
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from typing import Final

from confluent_kafka import KafkaException
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
    return {topic for topic, limit in _limits(topics, properties).items() if limit < most_bytes}


def _limits(topics: Collection[str], properties: Properties) -> dict[str, int]:
    found = {}
    try:
        admin = AdminClient({**reaching(properties, {})}, logger=_logger)
        asked = admin.describe_configs([ConfigResource("topic", topic) for topic in topics], request_timeout=PROBE_S)
    except (KafkaException, TypeError, ValueError):  # There is no thread left, or nothing to ask for.
        return {}
    for resource, answer in asked.items():
        # An exception that is raised refers to this frame, which refers to it: the client would stay for a while.
        entry = None if answer.exception() is not None else answer.result().get(_LIMIT)
        if entry is not None and entry.value is not None:
            found[resource.name] = int(entry.value)
    return found
