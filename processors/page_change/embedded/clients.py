"""Make the clients of a processor for Kafka.

Place: settings → HERE → kafka_input, outputs, and the choice of an input.
Rule: properties that librdkafka refuses are an error of the settings, in its words.
Not here: which properties there are (server.config.kafka).
"""

from __future__ import annotations

from collections.abc import Mapping

from confluent_kafka import Consumer, KafkaException, Producer

from processors.wrong import WrongSettingError
from server.config.kafka.consumers import reaching
from server.config.kafka.rules import Properties
from server.errors import SettingsError


def consumer(properties: Mapping[str, object]) -> Consumer:
    """Return a consumer. Raises WrongSettingError."""
    try:
        return Consumer(dict(properties))
    except (KafkaException, TypeError, ValueError) as refused:
        raise WrongSettingError("kafka", f"no consumer can be made: {_words(refused)}") from None


def producer(properties: Mapping[str, object]) -> Producer:
    """Return a producer. Raises SettingsError."""
    try:
        return Producer(dict(properties))
    except (KafkaException, TypeError, ValueError) as refused:
        raise SettingsError(f"sink.kafka of the intake: no producer can be made: {_words(refused)}") from None


def check(own: Properties) -> None:
    """Raise WrongSettingError for properties that no consumer takes, where none is needed yet."""
    if own:
        given = reaching({}, {"group.id": "check", **own})
        given.pop("bootstrap.servers", None)  # Nothing is asked.
        consumer(given).close()


def _words(refused: Exception) -> str:
    return str(refused.args[0].str() if isinstance(refused, KafkaException) else refused)
