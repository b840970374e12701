"""A second producer that sends one record per request, for topics whose size limit is below our batches.

Place: sink.kafka makes it when a broker first refuses a batch as too large → HERE → librdkafka.
Rules: a broker limits the size of the batch, not of the record (``max.message.bytes`` of a topic, ``message.max.bytes``
of a broker), and librdkafka does not split batches as Java's producer does (KAFKA-3995). A record that is refused here
is too large by itself, and its ack says so: TOO_LARGE. A topic stays here for KEPT_S, and until no record is out here,
so that no record overtakes another when the topic goes back to batches. If a broker says by then that its limit is
still below our batches, it stays for KEPT_S more.
Not here: keeping the order of keys while a topic moves here (intake.delivery), the other producer (sink.kafka).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from typing import Any, Final

from confluent_kafka import KafkaError

from server.sink.base import OnAck
from server.sink.kafka.client.contract import Headers, Produce, Producer
from server.sink.kafka.errors import TOO_LARGE, is_too_large

KEPT_S: Final = 60.0  # Time until batches are tried again: an operator may have raised the limit.
# One request is out at a time: behind a refused one others fail too, and are sent again in any order.
PROPERTIES: Final = {
    "batch.num.messages": "1",
    "max.in.flight.requests.per.connection": "1",
    "statistics.interval.ms": "0",
}


class Alone:
    """The second producer. ``topics`` are those whose records it sends. ``small_topics`` returns those of some topics
    that still take less than a batch; it is called on a thread."""

    def __init__(self, producer: Producer, small_topics: Callable[[Collection[str]], set[str]]) -> None:
        self._producer = producer
        self._small_topics = small_topics
        self._asking: asyncio.Future[set[str]] | None = None
        self._until = 0.0
        self.topics: set[str] = set()
        self.poll = producer.poll
        self.purge = producer.purge

    def __len__(self) -> int:
        return len(self._producer)

    def add(self, topic: str, now: float) -> None:
        self.topics.add(topic)
        self._until = now + KEPT_S

    def is_over(self, now: float) -> bool:
        """Whether batches may be tried again for all topics. Those for which they may are let go before."""
        if now < self._until or len(self._producer):
            return False
        if self._asking is None:
            self._asking = asyncio.get_running_loop().run_in_executor(None, self._small_topics, sorted(self.topics))
        if not self._asking.done():
            return False
        asking, self._asking = self._asking, None
        self.topics = asking.result()
        self._until = now + KEPT_S
        return not self.topics

    def topic(self, name: str) -> Produce:
        """Return how to produce to a topic: like ``Producer.topic``, but that errors say which record is too large."""
        send = self._producer.topic(name)

        def produce(value: bytes, key: bytes | None, on_ack: OnAck, timestamp_ms: int, headers: Headers) -> None:
            send(value, key, _judged(on_ack), timestamp_ms, headers)

        return produce


def _judged(on_ack: OnAck) -> Callable[[KafkaError | None, Any], None]:
    def on_outcome(error: KafkaError | None, message: Any) -> None:
        on_ack(TOO_LARGE if is_too_large(error) else error, message)

    return on_outcome
