"""The identities that Kafka gives to topics: a topic that is deleted and made again under its name has another one.

Place: eventstreams.sources.kafka (readers, on several threads), processors.page_change.embedded.kafka_input → HERE.
Rules: all readers of a process share one client, which connects when it is first asked. Only the client for
administration can ask for identities; it has the properties of the consumers. Brokers older than 2.8 have none.
Not here: what follows from another identity (those that ask).
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, TopicCollection, Uuid
from confluent_kafka.admin import AdminClient

from server.errors import PenstockError

TIMEOUT_S: Final = 10.0
# An identity is random. 48 of its 128 bits tell two logs of one name apart, and every event of a client carries them.
CHARACTERS: Final = 8

_NONE: Final = str(Uuid(0, 0))
_FOR_URLS: Final = str.maketrans(
    "+/", "-_"
)  # Kafka's tools write identities in this alphabet, librdkafka in the other.
_UNKNOWN: Final = (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC, KafkaError.TOPIC_EXCEPTION)


class TopicIds:
    """Asks for identities. May be used on any thread."""

    def __init__(self, properties: Mapping[str, Any]) -> None:
        # The consumers log the same trouble with the same brokers; this client would write to standard error.
        self._properties = {**properties, "log_level": 0}
        self._lock = threading.Lock()
        self._client: AdminClient | None = None

    def of(self, topics: Sequence[str]) -> dict[str, str]:
        """Return the identities of topics as far as they exist and have one. Raises PenstockError."""
        if not topics:
            return {}
        found = {}
        try:
            asked = self._connected().describe_topics(TopicCollection(list(topics)), request_timeout=TIMEOUT_S)
            for topic, answer in asked.items():
                try:
                    found[topic] = short(answer.result(2 * TIMEOUT_S).topic_id)
                except KafkaException as failed:
                    if failed.args[0].code() not in _UNKNOWN:
                        raise
        except KafkaException as failed:
            raise PenstockError(f"the identities of topics: {failed.args[0].str()}") from None
        except TimeoutError:
            raise PenstockError("the identities of topics: no broker has answered") from None
        return found

    def _connected(self) -> AdminClient:
        with self._lock:
            if self._client is None:
                self._client = AdminClient(self._properties)
            self._client.poll(0)  # It serves callbacks, such as those that renew tokens.
            return self._client


def short(identity: Uuid | None) -> str:
    """Return the first characters of an identity as Kafka's tools write it; "": it is none."""
    if identity is None or str(identity) == _NONE:
        return ""
    return str(identity).translate(_FOR_URLS)[:CHARACTERS]
