"""How large a record may be: by the settings, by the producer, and by the topic that it goes to.

Place: settings, the brokers → HERE → records, by way of both runners.
Rules: the brokers are asked once, when a runner starts. A topic that does not exist yet, or whose settings may not be
read, takes what ``most_record_bytes`` says. Both runners ask in the same way, so that their outputs are the same.
Not here: the error event of a record that is too large (records).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Final

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import ConfigResource

from processors.page_change.catalog import Catalog
from processors.page_change.records import LEAST_BYTES
from processors.page_change.settings import PageChangeSettings
from server.config.kafka.rules import Value
from server.config.kafka.settings import DEFAULTS
from server.errors import PenstockError, SettingsError

# A broker weighs the batch: 61 bytes for its head, and at most 28 for those of a record without headers (KIP-98).
FRAME_BYTES: Final = 100
ASK_S: Final = 10.0
# The properties of the intake's producer that any other client of the same brokers needs.
_SHARED: Final = ("bootstrap.servers", "metadata.broker.list", "client.dns.lookup", "broker.address.family")
_SECURITY: Final = ("sasl.", "ssl.", "security.")

log = logging.getLogger("page_change")


def shared(properties: Mapping[str, Value]) -> dict[str, Value]:
    """Return the properties with which any client of librdkafka reaches the brokers of this producer."""
    return {name: value for name, value in properties.items() if name in _SHARED or name.startswith(_SECURITY)}


def most_bytes(settings: PageChangeSettings, catalog: Catalog) -> dict[str, int]:
    """Return the bytes of the largest record, with its key, of each stream that is written. Raises SettingsError."""
    found = dict.fromkeys(catalog.topic_of, settings.most_record_bytes)
    sink = catalog.generation.config.sink
    if sink.kind != "kafka":
        return found
    of_producer = int(str(sink.kafka.get("message.max.bytes", DEFAULTS["message.max.bytes"])))
    of_topic = _limits(shared(sink.kafka), sorted(catalog.topic_of.values()))
    for stream, topic in catalog.topic_of.items():
        found[stream] = min(found[stream], min(of_producer, of_topic.get(topic, of_producer)) - FRAME_BYTES)
        if found[stream] < LEAST_BYTES:
            raise SettingsError(
                f"topic {topic} takes records of at most {found[stream]} bytes; raise its max.message.bytes"
            )
    return found


def _limits(properties: dict[str, Value], topics: list[str]) -> dict[str, int]:
    """Return the ``max.message.bytes`` of the topics whose settings the brokers tell."""
    admin = AdminClient(properties)
    found = {}
    resources = [ConfigResource("topic", topic) for topic in topics]
    asked = admin.describe_configs(resources, request_timeout=ASK_S)
    for resource, answer in asked.items():
        try:
            found[resource.name] = int(answer.result()["max.message.bytes"].value)
        except KafkaException as fault:
            error = fault.args[0]
            if error.code() < 0:  # Of librdkafka itself: no broker has answered.
                raise PenstockError(f"the limits of the topics cannot be asked for: {error.str()}") from fault
            log.warning(
                "topic %s does not tell how large its records may be: %s; most_record_bytes decides",
                *(resource.name, error.str()),
            )
    return found
