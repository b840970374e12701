"""How large a record may be: by the settings, by the producer, and by the topic that it goes to.

Place: settings, the brokers → HERE → records, by way of both runners.
Rules: the brokers are asked once, when a runner starts. A topic that does not exist yet, or whose settings may not be
read, takes what ``most_record_bytes`` says. Both runners ask in the same way, so that their outputs are the same.
Not here: asking the brokers (server.sink.kafka.limits), the error event of a record that is too large (records).
"""

from __future__ import annotations

import logging
from typing import Final

from confluent_kafka import KafkaError

from processors.page_change.catalog import Catalog
from processors.page_change.records import LEAST_BYTES
from processors.page_change.settings import PageChangeSettings
from server.config.kafka.rules import Properties
from server.config.kafka.settings import DEFAULTS
from server.errors import PenstockError, SettingsError
from server.sink.kafka.limits import limits

# A broker weighs the batch: 61 bytes for its head, and at most 28 for those of a record without headers (KIP-98).
FRAME_BYTES: Final = 100
ASK_S: Final = 10.0

log = logging.getLogger("page_change")


def most_bytes(settings: PageChangeSettings, catalog: Catalog) -> dict[str, int]:
    """Return the bytes of the largest record, with its key, of each stream that is written. Raises SettingsError."""
    found = dict.fromkeys(catalog.topic_of, settings.most_record_bytes)
    sink = catalog.generation.config.sink
    if sink.kind != "kafka":
        return found
    of_producer = int(str(sink.kafka.get("message.max.bytes", DEFAULTS["message.max.bytes"])))
    of_topic = _told(sorted(catalog.topic_of.values()), sink.kafka)
    for stream, topic in catalog.topic_of.items():
        found[stream] = min(found[stream], min(of_producer, of_topic.get(topic, of_producer)) - FRAME_BYTES)
        if found[stream] < LEAST_BYTES:
            raise SettingsError(
                f"topic {topic} takes records of at most {found[stream]} bytes; raise its max.message.bytes"
            )
    return found


def _told(topics: list[str], properties: Properties) -> dict[str, int]:
    """Return the limits of the topics whose settings the brokers tell. Raises PenstockError if none answers."""
    found = {}
    for topic, limit in limits(topics, properties, ASK_S).items():
        if not isinstance(limit, KafkaError):
            found[topic] = limit
        elif limit.code() < 0:  # Of librdkafka itself: no broker has answered.
            raise PenstockError(f"the limits of the topics cannot be asked for: {limit.str()}")
        else:
            log.warning(
                "topic %s does not tell how large its records may be: %s; most_record_bytes decides",
                *(topic, limit.str()),
            )
    return found
