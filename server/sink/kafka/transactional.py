"""Store records in transactions of a name, so that a process that was killed leaves nothing half stored.

Place: sink.kafka.kind → HERE → librdkafka, for ``penstock recover``.
Rules: ``open`` ends the transaction that a killed or still living process of the same name has open, and that process
can store nothing more; after it, committed records are all that there will be. A record is acked when its transaction
is committed. When a transaction fails, its records are tried again one by one; if the producer itself has failed, no
further record is taken. librdkafka is called on a thread, one call at a time.
Not here: the sink of the service, which promises single events (sink.kafka.producer).
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, Producer

from server.config.kafka import settings as kafka_settings
from server.config.kafka.rules import Properties
from server.errors import PenstockError
from server.record import Record
from server.sink.base import OnAck, Sink
from server.sink.kafka import errors as kafka_errors

BATCH: Final = 500
MOST_WAITING: Final = 2_000
MOST_BYTES: Final = 64 << 20
OPEN_S: Final = 60.0
COMMIT_S: Final = 60.0

# Below the least of the brokers' transaction.max.timeout.ms, and no shorter than the time for a single record.
_TRANSACTION_MS: Final = 60_000
_MESSAGE_MS: Final = 45_000
_REPLACED: Final = (KafkaError._FENCED, KafkaError.INVALID_PRODUCER_EPOCH, KafkaError.PRODUCER_FENCED)
_PASSING: Final = ("broker_timeout", "queue_full", "internal")  # They say nothing about any one record.

_logger = logging.getLogger("sink.kafka")

_Waiting = tuple[Record, OnAck]


class TransactionalSink(Sink):
    """The contract is in sink.base, except that acks come in batches of their own time."""

    def __init__(self, properties: Properties, name: str) -> None:
        self._properties = {
            **kafka_settings.complete(properties, max_outstanding=MOST_WAITING, max_outstanding_bytes=2 * MOST_BYTES),
            "transactional.id": f"penstock-recover-{name}",
            "transaction.timeout.ms": str(_TRANSACTION_MS),
            "message.timeout.ms": str(_MESSAGE_MS),
        }
        self._waiting: list[_Waiting] = []
        self._bytes = 0
        self._task: asyncio.Task[None] | None = None
        self._failed: KafkaError | None = None  # The producer's end.
        self._producer: Producer
        self.callback_failures = 0

    async def open(self) -> None:
        """Replace every other process of this name. Raises PenstockError."""
        try:
            self._producer = Producer({**self._properties, "logger": _logger})
            await asyncio.to_thread(self._producer.init_transactions, OPEN_S)
        except KafkaException as failed:
            raise PenstockError(f"no transaction can be begun: {failed.args[0].str()}") from None

    def submit(self, record: Record, on_ack: OnAck) -> str | None:
        if self._failed is not None:
            return self.classify(self._failed)
        if self.is_full():
            return "queue_full"
        self._waiting.append((record, on_ack))
        self._bytes += len(record.value)
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._store_waiting())
        return None

    def is_full(self) -> bool:
        return len(self._waiting) >= MOST_WAITING or self._bytes >= MOST_BYTES

    def outstanding(self) -> int:
        return len(self._waiting)

    def recall(self) -> None:
        """Do nothing: the records are stored in their order."""

    def separate(self, topic: str, *, is_keyed: bool) -> bool:
        """Do nothing: records of a transaction that fails are tried one by one."""
        return True

    def classify(self, error: Any) -> str:
        """Name the ``error_type``. A producer that was replaced, or has ended, says nothing about the record."""
        if isinstance(error, KafkaError) and (error.fatal() or error.code() in _REPLACED):
            return "broker_timeout"
        return "event_too_large" if kafka_errors.is_too_large(error) else kafka_errors.classify(error)

    async def drain(self, deadline: float) -> int:
        if self._task is not None:
            await asyncio.wait([self._task], timeout=max(0.0, deadline - asyncio.get_running_loop().time()))
        return len(self._waiting)

    async def close(self) -> None:
        """Wait for the transaction that is under way, and fail the records behind it."""
        self._failed = self._failed or KafkaError(KafkaError._DESTROY)
        if self._task is not None:
            await self._task
        left, self._waiting = self._waiting, []
        for _, on_ack in left:
            on_ack(self._failed, None)

    async def _store_waiting(self) -> None:
        """Store all waiting records, a transaction at a time."""
        await asyncio.sleep(0)  # Those of this turn go together.
        while self._waiting and self._failed is None:
            batch = self._waiting[:BATCH]
            outcomes = await asyncio.to_thread(self._store, [record for record, _ in batch])
            del self._waiting[: len(batch)]
            self._bytes -= sum(len(record.value) for record, _ in batch)
            for (_, on_ack), error in zip(batch, outcomes, strict=True):
                on_ack(error, None)
        if self._failed is not None:
            left, self._waiting, self._bytes = self._waiting, [], 0
            for _, on_ack in left:
                on_ack(self._failed, None)

    def _store(self, records: list[Record]) -> list[KafkaError | None]:
        """Store these records, all or none; one by one if that fails. Returns the outcome of each."""
        failed = self._transaction(records)
        if failed is None or len(records) == 1 or self.classify(failed) in _PASSING:
            return [failed] * len(records)
        return [self._failed or self._transaction([record]) for record in records]

    def _transaction(self, records: list[Record]) -> KafkaError | None:
        refused: list[KafkaError] = []

        def on_delivery(error: KafkaError | None, _message: Any) -> None:
            if error is not None:
                refused.append(error)

        try:
            self._producer.begin_transaction()
            for one in records:
                self._producer.produce(
                    one.topic, one.value, one.key, on_delivery=on_delivery, timestamp=one.timestamp_ms,
                    headers=list(one.headers),
                )  # fmt: skip
            self._commit()
        except (KafkaException, BufferError) as failed:
            error = failed.args[0] if isinstance(failed, KafkaException) else KafkaError(KafkaError._QUEUE_FULL)
            cause = refused[0] if refused else error  # Aborting purges the others, which is reported as well.
            self._abort(error)
            return self._failed or cause
        return None

    def _commit(self) -> None:
        """Commit, and repeat that while it may succeed. Raises KafkaException."""
        until_s = time.monotonic() + COMMIT_S
        while True:
            try:
                self._producer.commit_transaction(max(1.0, until_s - time.monotonic()))
            except KafkaException as failed:
                if not failed.args[0].retriable() or time.monotonic() > until_s:
                    raise
            else:
                return

    def _abort(self, error: KafkaError) -> None:
        """Abort the transaction. If that fails too, or the fault is the producer's, the producer is not used again: the
        next process of this name finds out what was stored."""
        if not error.fatal() and error.code() not in _REPLACED:
            try:
                self._producer.abort_transaction(COMMIT_S)
            except KafkaException as failed:
                error = failed.args[0]
            else:
                return
        self._failed = error
