"""Make a librdkafka producer, and connect the first one of a worker.

Place: sink.kafka.producer → HERE.
Rules: what librdkafka refuses is said without secrets. Connecting blocks the loop, which serves no client yet, and has
an end: a dead broker must not keep a worker from becoming ready.
Not here: which properties are allowed (config.kafka.settings), the callbacks (sink.kafka.producer), the two forms of a
producer (sink.kafka.client).
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from confluent_kafka import KafkaException

from server.config.kafka import settings as kafka_settings
from server.errors import BootError
from server.sink.kafka.client import contract
from server.sink.kafka.client.contract import Callbacks

try:
    from server.sink.kafka.client.binding import Producer
except ImportError:  # Nothing is compiled.
    from server.sink.kafka.client.plain import Producer  # type: ignore[assignment]

WARM_UP_S: Final = 2.0  # Time for the first metadata.
# The first attempt to get a producer id meets no connection, and librdkafka repeats it on a timer of 500 ms
# (measured: the first ack took 503 ms right after the metadata, 7 ms a second later). No callback reports its arrival.
PRODUCER_ID_S: Final = 0.55

_logger = logging.getLogger("sink.kafka")


def make(properties: dict[str, str], callbacks: Callbacks) -> contract.Producer:
    """Make a producer. Raises BootError: librdkafka refuses the properties, or has no thread or memory."""
    try:
        return Producer(properties, callbacks)
    except (KafkaException, TypeError, ValueError) as refused:
        reason = refused.args[0].str() if isinstance(refused, KafkaException) else str(refused)
        reason = kafka_settings.redact(reason.strip(), properties)
        raise BootError(f"sink.kafka: librdkafka refuses these properties: {reason}") from None


async def connect(producer: contract.Producer, servers: str) -> bool:
    """Connect to a broker before the first event comes. Returns whether one answers."""
    loop = asyncio.get_running_loop()
    started = loop.time()
    try:
        producer.reach(WARM_UP_S)
    except KafkaException as failed:
        _logger.warning(
            "no Kafka broker answers at %s (%s): starting anyway; events are not acked until one does",
            servers,
            failed.args[0].str(),
        )
        return False
    await asyncio.sleep(max(0.0, PRODUCER_ID_S - (loop.time() - started)))
    return True
