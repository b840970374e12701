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

from confluent_kafka import KafkaError, Message, Producer

from processors.page_change.consolidator import Output
from processors.page_change.embedded.stop import SLICE_S, GivenUpError, Stop
from server.config.kafka.settings import DEFAULTS
from server.errors import PenstockError

FLUSH_S: Final = 120.0
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
    """The output of a Kafka sink. Java's producers hash keys with murmur2, so this one does too."""

    def __init__(self, properties: Mapping[str, object]) -> None:
        self._producer = Producer(
            {
                **DEFAULTS,
                "partitioner": "murmur2_random",
                **properties,
                # No client waits: a broker that is away for a while holds the commit up, and nothing is lost.
                "message.timeout.ms": round(FLUSH_S * 1000),
                "statistics.interval.ms": 0,
            }
        )
        self._failed: list[KafkaError] = []

    def write(self, outputs: Sequence[Addressed], stop: Stop) -> Sequence[Addressed]:
        """Produce, and wait until every record is acked."""
        self._failed.clear()
        for topic, output in outputs:
            while True:
                try:
                    self._producer.produce(
                        topic, output.value, output.key, timestamp=output.at, on_delivery=self._on_delivery
                    )
                    break
                except BufferError:
                    self._producer.poll(SLICE_S)
                    self._go_on(stop)
        deadline = time.monotonic() + FLUSH_S + 10
        while (left := self._producer.flush(SLICE_S)) and time.monotonic() < deadline:
            self._go_on(stop)
        if self._failed or left:
            reason = self._failed[0].str() if self._failed else f"{left} records have no ack"
            raise PenstockError(f"the output cannot be written: {reason}; nothing of it is committed")
        return ()

    def _go_on(self, stop: Stop) -> None:
        """Give up what has no ack if the stop cannot wait: the end of the process would wait for it."""
        if not stop.may_wait():
            left = len(self._producer)
            self._producer.purge()
            raise GivenUpError(f"{left} records of the output have no ack")

    def _on_delivery(self, error: KafkaError | None, _message: Message) -> None:
        if error is not None:
            self._failed.append(error)
