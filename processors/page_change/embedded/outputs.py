"""Write the outputs: into the store's own database, or into Kafka before the store commits.

Place: embedded.run → HERE.
Rules: with an embedded sink, outputs are part of the commit, so each is stored exactly once. In Kafka they are acked by
all replicas before the commit: after a kill some come twice, with the same bytes and the same ``meta.id``. A stop
waits no longer for them than it may (stop).
Not here: state and positions (embedded.store).
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from confluent_kafka import KafkaError, KafkaException, Message

from processors.page_change.embedded.clients import producer
from processors.page_change.embedded.stop import SLICE_S, GivenUpError, Stop
from processors.page_change.records import Output
from server.config.kafka.settings import DEFAULTS
from server.errors import PenstockError

FLUSH_S: Final = 120.0
FATAL_S: Final = 5.0  # To learn which fatal error it was.
BATCH_BYTES: Final = 1_000_000  # The default of librdkafka's batch.size.
Addressed = tuple[str, Output]  # A topic and a record.


class Outputs(Protocol):
    """Where outputs go."""

    def write(self, outputs: Sequence[Addressed], stop: Stop) -> Sequence[Addressed]:
        """Write them, and return those that the store has to commit. Raises PenstockError, and GivenUpError if the stop
        cannot wait any longer."""


class IntoStore:
    """The output of an embedded sink."""

    def write(self, outputs: Sequence[Addressed], stop: Stop) -> Sequence[Addressed]:
        """Leave all of them to the store."""
        return outputs


class IntoKafka:
    """The output of a Kafka sink. Java's producers hash keys with murmur2, so this one does too. ``most`` has the bytes
    of the largest record of each stream."""

    def __init__(self, properties: Mapping[str, object], most: Mapping[str, int]) -> None:
        self._failed: list[tuple[KafkaError, str | None]] = []  # Each with the topic of its record.
        self._producer = producer(
            {
                **DEFAULTS,
                "partitioner": "murmur2_random",
                **properties,
                # A topic weighs the whole batch, and librdkafka does not split one that is refused.
                "batch.size": min(*most.values(), int(str(properties.get("batch.size", BATCH_BYTES)))),
                # A batch that is refused must not be followed by a newer one of its partition: nothing is written
                # until the next run, which writes both again.
                "enable.gapless.guarantee": True,
                # No client waits: a broker that is away for a while holds the commit up, and nothing is lost.
                "message.timeout.ms": round(FLUSH_S * 1000),
                "statistics.interval.ms": 0,
            }
        )

    def write(self, outputs: Sequence[Addressed], stop: Stop) -> Sequence[Addressed]:
        """Produce, and wait until every record is acked."""
        self._failed.clear()
        topic = None
        try:
            for topic, output in outputs:
                self._produce(topic, output, stop)
            deadline = time.monotonic() + FLUSH_S + 10
            while (left := self._producer.flush(SLICE_S)) and not self._failed and time.monotonic() < deadline:
                self._go_on(stop)
        except KafkaException as refused:
            is_fatal = refused.args[0].code() == KafkaError._FATAL
            if is_fatal:
                raise self._fault(self._fatal_error() or refused.args[0], None) from refused
            raise self._fault(refused.args[0], topic) from refused
        if self._failed:
            raise self._fault(*self._failed[0])
        if left:
            raise self._fault(KafkaError(KafkaError._MSG_TIMED_OUT), None)
        return ()

    def _produce(self, topic: str, output: Output, stop: Stop) -> None:
        while True:
            try:
                self._producer.produce(
                    topic, output.value, output.key, timestamp=output.at, on_delivery=self._on_delivery
                )
                return
            except BufferError:
                self._producer.poll(SLICE_S)
                self._go_on(stop)

    def _fatal_error(self) -> KafkaError | None:
        """Return the error after which the producer takes nothing more, which polling raises: on a busy machine some
        time after records are refused because of it."""
        deadline = time.monotonic() + FATAL_S
        while time.monotonic() < deadline:
            try:
                self._producer.poll(SLICE_S)
            except KafkaException as fatal:
                found: KafkaError = fatal.args[0]
                return found
        return None

    def _fault(self, error: KafkaError, topic: str | None) -> PenstockError:
        """Give up what has no ack, because the end of the process would wait for it, and return what went wrong."""
        self._producer.purge()
        where = "" if topic is None else f" to topic {topic}"
        return PenstockError(f"the output cannot be written{where}: {error.str()}; nothing of it is committed")

    def _go_on(self, stop: Stop) -> None:
        """Give up what has no ack if the stop cannot wait: the end of the process would wait for it."""
        if not stop.may_wait():
            left = len(self._producer)
            self._producer.purge()
            raise GivenUpError(f"{left} records of the output have no ack")

    def _on_delivery(self, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self._failed.append((error, message.topic()))
